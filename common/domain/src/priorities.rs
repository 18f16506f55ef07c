//! The ranks of a work pool's queues: unique, from 1, as Prefect's `bulk_update_work_queue_priorities` keeps them.

use crate::model::WorkQueueId;

/// A queue's rank within its pool; 1 is served first.
pub type Ranked = (WorkQueueId, i64);

/// Returns the smallest rank that none of the queues has.
pub fn first_free(queues: &[Ranked]) -> i64 {
    let mut taken: Vec<i64> = queues.iter().map(|(_, priority)| *priority).collect();
    taken.sort_unstable();
    let gap = taken.iter().zip(1..).find(|(priority, rank)| *priority != rank).map(|(_, rank)| rank);
    gap.unwrap_or_else(|| taken.last().copied().unwrap_or_default().saturating_add(1))
}

/// Gives the queue `id` the rank `priority`; returns all queues whose rank changes by it, with their new ranks.
///
/// Queues that stand in the way step back by no more than they have to.
pub fn make_room(queues: &[Ranked], id: WorkQueueId, priority: i64) -> Vec<Ranked> {
    let mut others: Vec<Ranked> = queues.iter().copied().filter(|(other, _)| *other != id).collect();
    others.sort_by_key(|(_, priority)| *priority);
    let place = others.partition_point(|(_, other)| *other < priority);
    others.insert(place, (id, priority));
    let mut last = 0;
    for (_, rank) in &mut others {
        last = if *rank <= last { last.saturating_add(1) } else { *rank };
        *rank = last;
    }
    others.retain(|queue| !queues.contains(queue));
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(priorities: &[i64]) -> Vec<Ranked> {
        priorities.iter().map(|priority| (WorkQueueId::new(), *priority)).collect()
    }

    #[test]
    fn a_new_queue_takes_the_first_gap() {
        assert_eq!(first_free(&[]), 1);
        assert_eq!(first_free(&queues(&[1, 2])), 3);
        assert_eq!(first_free(&queues(&[3, 1])), 2);
        assert_eq!(first_free(&queues(&[7])), 1);
    }

    #[test]
    fn queues_step_back_no_further_than_they_have_to() {
        let table = [
            (vec![1, 2, 4], 3, 1, vec![2, 3, 4, 1]),
            (vec![1, 2, 3], 2, 1, vec![2, 3, 1]),
            (vec![1, 2, 3], 0, 3, vec![3, 2, 4]),
            (vec![1, 2], 1, 9, vec![1, 9]),
        ];
        for (before, moved, priority, expected) in table {
            let mut ranked = queues(&before);
            let new = WorkQueueId::new();
            let id = ranked.get(moved).map_or(new, |(id, _)| *id);
            let changed = make_room(&ranked, id, priority);
            if id == new {
                ranked.push((new, priority));
            }
            let after: Vec<i64> = ranked
                .iter()
                .map(|(id, rank)| changed.iter().find(|(other, _)| other == id).map_or(*rank, |(_, rank)| *rank))
                .collect();
            assert_eq!(after, expected, "{before:?}");
        }
    }
}
