//! The workers that are connected to this process, and what they are told of their pools.
//!
//! What is told while a worker has not read what was told before is told once: only the last of it counts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use uuid::Uuid;

use domain::model::{CleanupKind, CleanupMessage, WorkPoolId, WorkQueueId};

/// What has become of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolChange {
    /// It has changed, and is of this version since.
    Changed(u64),
    /// It was deleted.
    Deleted,
}

/// What a worker has not read yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// What has become of its pool.
    pub pool: Option<PoolChange>,
    /// Whether a cleanup may be free.
    pub cleanup: bool,
}

/// The workers that are connected, by their pools, in the order in which they are asked to clean up.
#[derive(Debug, Default)]
pub struct WorkerChannels(Mutex<HashMap<WorkPoolId, Vec<Arc<Member>>>>);

#[derive(Debug)]
struct Member {
    id: Uuid,
    kinds: Vec<CleanupKind>,
    queues: Vec<WorkQueueId>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    news: News,
    /// Whether it takes another cleanup.
    is_free: bool,
}

impl Member {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, note: impl FnOnce(&mut News)) {
        note(&mut self.state().news);
        self.wake.notify_one();
    }

    /// Tells whether the worker takes `message` at all.
    fn takes(&self, message: &CleanupMessage) -> bool {
        self.kinds.contains(&message.kind) && self.state().is_free
    }
}

impl WorkerChannels {
    /// Notes a worker of `pool`, until the returned value is dropped; it cleans up these `kinds`, first of these `queues`.
    pub fn join(
        self: &Arc<Self>,
        pool: WorkPoolId,
        kinds: Vec<CleanupKind>,
        queues: Vec<WorkQueueId>,
    ) -> WorkerChannel {
        let (state, wake) = (Mutex::default(), Notify::new());
        let member = Arc::new(Member { id: Uuid::new_v4(), kinds, queues, state, wake });
        self.all().entry(pool).or_default().push(Arc::clone(&member));
        WorkerChannel { channels: Arc::clone(self), pool, member }
    }

    /// Tells the workers of `pool` what has become of it.
    pub fn tell_of_pool(&self, pool: WorkPoolId, change: PoolChange) {
        self.tell(pool, |news| news.pool = Some(change));
    }

    /// Tells the workers of `pool` that a cleanup may be free.
    pub fn tell_of_cleanups(&self, pool: WorkPoolId) {
        self.tell(pool, |news| news.cleanup = true);
    }

    /// Tells whether a worker of `pool` is connected.
    pub fn serve(&self, pool: WorkPoolId) -> bool {
        self.all().contains_key(&pool)
    }

    fn tell(&self, pool: WorkPoolId, note: impl Fn(&mut News)) {
        for member in self.all().get(&pool).into_iter().flatten() {
            member.tell(&note);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<WorkPoolId, Vec<Arc<Member>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker that is connected.
#[derive(Debug)]
pub struct WorkerChannel {
    channels: Arc<WorkerChannels>,
    pool: WorkPoolId,
    member: Arc<Member>,
}

impl WorkerChannel {
    /// Waits for what the worker has not read yet.
    pub async fn news(&self) -> News {
        loop {
            let news = std::mem::take(&mut self.member.state().news);
            if news != News::default() {
                return news;
            }
            self.member.wake.notified().await;
        }
    }

    /// Notes whether the worker takes another cleanup.
    pub fn set_free(&self, is_free: bool) {
        self.member.state().is_free = is_free;
    }

    /// Tells whether `message` is for this worker: the first of those that are free, of the message's queue if there are any.
    pub fn is_its_turn(&self, message: &CleanupMessage) -> bool {
        let all = self.channels.all();
        let takers = || all.get(&self.pool).into_iter().flatten().filter(|member| member.takes(message));
        let of_its_queue = |member: &&Arc<Member>| message.work_queue_id.is_some_and(|id| member.queues.contains(&id));
        let first = takers().find(of_its_queue).or_else(|| takers().next());
        first.is_some_and(|first| first.id == self.member.id)
    }

    /// Notes that the worker was asked to clean up: the others are asked before it the next time, and for what is left.
    pub fn was_asked(&self) {
        if let Some(members) = self.channels.all().get_mut(&self.pool)
            && let Some(place) = members.iter().position(|member| member.id == self.member.id)
        {
            let member = members.remove(place);
            members.push(member);
        }
        self.channels.tell_of_cleanups(self.pool);
    }
}

impl Drop for WorkerChannel {
    fn drop(&mut self) {
        let mut all = self.channels.all();
        if let Some(members) = all.get_mut(&self.pool) {
            members.retain(|member| member.id != self.member.id);
            if members.is_empty() {
                all.remove(&self.pool);
            }
        }
        drop(all);
        // What was this worker's turn is another one's.
        self.channels.tell_of_cleanups(self.pool);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::{CleanupMessageId, Object, Timestamp};

    const KIND: CleanupKind = CleanupKind::CancellingTimeoutTeardown;

    fn message(pool: WorkPoolId, queue: Option<WorkQueueId>) -> CleanupMessage {
        CleanupMessage {
            id: CleanupMessageId::new(),
            work_pool_id: pool,
            work_queue_id: queue,
            kind: KIND,
            target: Object::new(),
            created: Timestamp::now(),
            delivery_count: 0,
            reservation: None,
            check: None,
        }
    }

    #[tokio::test]
    async fn of_what_is_told_before_it_is_read_the_last_counts() {
        let (channels, pool) = (Arc::new(WorkerChannels::default()), WorkPoolId::new());
        let (worker, other) = (channels.join(pool, Vec::new(), Vec::new()), WorkPoolId::new());
        for version in 2..5 {
            channels.tell_of_pool(pool, PoolChange::Changed(version));
        }
        channels.tell_of_pool(other, PoolChange::Deleted);
        assert_eq!(worker.news().await, News { pool: Some(PoolChange::Changed(4)), cleanup: false });
        channels.tell_of_cleanups(pool);
        assert_eq!(worker.news().await, News { pool: None, cleanup: true });
        drop(worker);
        assert!(!channels.serve(pool));
    }

    #[test]
    fn a_cleanup_is_one_workers_turn_its_queues_workers_first() {
        let (channels, pool) = (Arc::new(WorkerChannels::default()), WorkPoolId::new());
        let (queue, other) = (WorkQueueId::new(), WorkQueueId::new());
        let workers = [other, queue, queue].map(|queue| channels.join(pool, vec![KIND], vec![queue]));
        let turn = |queue| {
            let message = message(pool, queue);
            workers.iter().map(|worker| worker.is_its_turn(&message)).collect::<Vec<_>>()
        };
        assert_eq!(turn(Some(queue)), [false, false, false], "nobody is free");
        for worker in &workers {
            worker.set_free(true);
        }
        assert_eq!(turn(Some(queue)), [false, true, false]);
        workers[1].was_asked();
        assert_eq!(turn(Some(queue)), [false, false, true]);
        workers[2].set_free(false);
        assert_eq!(turn(Some(queue)), [false, true, false]);
        workers[1].set_free(false);
        assert_eq!(turn(Some(queue)), [true, false, false], "another one before nobody");
        assert_eq!(turn(None), [true, false, false]);
    }
}
