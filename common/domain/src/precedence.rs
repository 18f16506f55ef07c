//! Which of two states of a run came first, where each says which one it follows.
//!
//! The hosts that report a run's states have clocks of their own, and reports come in any order. So what a state says it
//! follows decides, and times only where that says nothing.

use std::collections::{HashMap, HashSet};

use crate::model::{State, StateId, Timestamp};

/// How far clocks of two hosts may differ, in seconds, where part of what a state follows is not known yet.
const CLOCKS_DIFFER: f64 = 60.0;

/// What is known of the states of a run: which one each follows.
#[derive(Clone, Debug, Default)]
pub struct Precedence(HashMap<StateId, Option<StateId>>);

/// A state, as far as its place among others goes.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The state.
    pub id: StateId,
    /// When it was entered, by the clock of who reports it.
    pub timestamp: Timestamp,
    /// Whether it ends the run.
    pub is_terminal: bool,
}

impl From<&State> for Place {
    fn from(state: &State) -> Self {
        Self { id: state.id, timestamp: state.timestamp, is_terminal: state.is_terminal() }
    }
}

impl Precedence {
    /// Notes that the state `id` follows another one, or none.
    pub fn note(&mut self, id: StateId, follows: Option<StateId>) {
        let known = self.0.entry(id).or_insert(follows);
        *known = known.or(follows);
    }

    /// Tells whether `later` follows `earlier`, at once or by way of others.
    pub fn follows(&self, later: StateId, earlier: StateId) -> bool {
        self.before(later).any(|id| id == earlier)
    }

    /// Tells whether the run goes on from `current` to `next`, so that `next` is its state.
    ///
    /// Where neither follows the other, the later one is it. An end of which it isn't known yet what it follows is taken for
    /// the later one, if the clocks may be wrong by so much: what is missing may be all that is between.
    pub fn supersedes(&self, next: Place, current: Place) -> bool {
        if next.id == current.id || self.follows(current.id, next.id) {
            return false;
        }
        if self.follows(next.id, current.id) {
            return true;
        }
        let ahead = next.timestamp.seconds_since(current.timestamp);
        let may_be_wrong = ahead.abs() < CLOCKS_DIFFER;
        match (next.is_terminal, current.is_terminal) {
            (true, false) if may_be_wrong && self.lacks_some_before(next.id) => true,
            (false, true) if may_be_wrong && self.lacks_some_before(current.id) => false,
            _ => ahead > 0.0,
        }
    }

    /// Puts `states`, which are in the order of their times, into the order in which they follow each other.
    pub fn sort<T>(&self, states: Vec<T>, id: impl Fn(&T) -> StateId) -> Vec<T> {
        let mut waiting: Vec<Option<T>> = states.into_iter().map(Some).collect();
        let mut places: HashMap<StateId, Vec<usize>> = HashMap::new();
        for (place, state) in waiting.iter().enumerate() {
            places.entry(state.as_ref().map(&id).unwrap_or_default()).or_default().push(place);
        }
        let mut sorted = Vec::with_capacity(waiting.len());
        for place in 0..waiting.len() {
            let Some(first) = waiting.get(place).and_then(Option::as_ref).map(&id) else { continue };
            // What it follows goes first, the farthest one at first.
            let mut chain: Vec<StateId> = std::iter::once(first).chain(self.before(first)).collect();
            chain.reverse();
            for place in chain.iter().filter_map(|id| places.get(id)).flatten() {
                sorted.extend(waiting.get_mut(*place).and_then(Option::take));
            }
        }
        sorted
    }

    /// Returns what is known to come before the state, the nearest first; each once, also where they go in a circle.
    fn before(&self, id: StateId) -> impl Iterator<Item = StateId> + '_ {
        let mut seen = HashSet::from([id]);
        std::iter::successors(self.0.get(&id).copied().flatten(), |id| self.0.get(id).copied().flatten())
            .take_while(move |id| seen.insert(*id))
    }

    /// Tells whether something is missing of what the state follows.
    fn lacks_some_before(&self, id: StateId) -> bool {
        self.before(id).any(|id| !self.0.contains_key(&id))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: f64) -> Timestamp {
        "2026-01-31T09:30:00Z".parse::<Timestamp>().unwrap().plus_seconds(seconds)
    }

    /// Makes a chain of states, each of which follows the one before, entered after so many seconds; the last ends the run.
    fn chain(seconds: &[f64]) -> Vec<(Place, Option<StateId>)> {
        let mut before = None;
        let count = seconds.len();
        let place = |(number, seconds): (usize, &f64)| {
            let place = Place { id: StateId::new(), timestamp: at(*seconds), is_terminal: number + 1 == count };
            (place, before.replace(place.id))
        };
        seconds.iter().enumerate().map(place).collect()
    }

    /// Tells the states one by one, and returns the one that the run is in at last.
    fn told(states: &[(Place, Option<StateId>)]) -> Option<StateId> {
        let (mut precedence, mut current) = (Precedence::default(), None);
        for (state, follows) in states {
            precedence.note(state.id, *follows);
            if current.is_none_or(|current| precedence.supersedes(*state, current)) {
                current = Some(*state);
            }
        }
        current.map(|current| current.id)
    }

    #[test]
    fn the_end_is_the_end_whatever_the_clocks_say() {
        let states = chain(&[0.0, 2.0, 1.0]);
        assert_eq!(told(&states), states.last().map(|(state, _)| state.id));
        let [pending, running, completed] = [0, 1, 2].map(|number| states[number]);
        for order in [[completed, running, pending], [completed, pending, running], [running, completed, pending]] {
            assert_eq!(told(&order), Some(completed.0.id));
        }
    }

    proptest! {
        #[test]
        fn any_clocks_and_any_order_end_alike(
            states in proptest::collection::vec(0..20_i8, 1..7).prop_map(|seconds| {
                chain(&seconds.into_iter().map(f64::from).collect::<Vec<_>>())
            }).prop_flat_map(|states| (Just(states.last().map(|(state, _)| state.id)), Just(states).prop_shuffle())),
        ) {
            let (end, told_in) = states;
            prop_assert_eq!(told(&told_in), end);
        }

        #[test]
        fn sorting_keeps_all_and_puts_each_behind_what_it_follows(
            states in proptest::collection::vec(0..20_i8, 1..7).prop_map(|seconds| {
                chain(&seconds.into_iter().map(f64::from).collect::<Vec<_>>())
            }).prop_shuffle(),
        ) {
            let mut precedence = Precedence::default();
            for (state, follows) in &states {
                precedence.note(state.id, *follows);
            }
            let sorted = precedence.sort(states.clone(), |(state, _)| state.id);
            prop_assert_eq!(sorted.len(), states.len());
            for pair in sorted.windows(2) {
                prop_assert_eq!(pair[1].1, Some(pair[0].0.id));
            }
        }
    }

    #[test]
    fn without_a_word_about_it_the_later_one_is_later() {
        let [first, second] =
            [at(0.0), at(1.0)].map(|timestamp| (Place { id: StateId::new(), timestamp, is_terminal: true }, None));
        assert_eq!(told(&[first, second]), Some(second.0.id));
        assert_eq!(told(&[second, first]), Some(second.0.id));
    }

    #[test]
    fn a_later_attempt_goes_on_from_an_end_of_which_a_report_was_lost() {
        let lost = chain(&[0.0, 1.0, 2.0]);
        let next = chain(&[100.0, 101.0, 102.0]);
        let told_in: Vec<_> = lost.iter().skip(2).chain(&next).copied().collect();
        assert_eq!(told(&told_in), next.last().map(|(state, _)| state.id));
    }

    #[test]
    fn a_circle_ends() {
        let [one, other] = [StateId::new(), StateId::new()];
        let mut precedence = Precedence::default();
        precedence.note(one, Some(other));
        precedence.note(other, Some(one));
        assert!(precedence.follows(one, other) && precedence.follows(other, one));
        assert_eq!(precedence.sort(vec![one, other], |id| *id).len(), 2);
    }
}
