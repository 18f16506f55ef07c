//! What was read nearly in the order of time, until all that comes before it has been read.

use std::collections::BTreeMap;

use super::query::{Direction, Range};
use domain::model::Timestamp;

/// Things by their places in an order, which begin with their times, or with what stands for none.
#[derive(Debug)]
pub(super) struct Held<T>(BTreeMap<String, T>);

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T> Held<T> {
    /// Holds something that has this place.
    pub(super) fn hold(&mut self, place: String, thing: T) {
        self.0.insert(place, thing);
    }

    /// Takes out what comes before `time` in this direction, in order.
    pub(super) fn take_before(&mut self, time: Timestamp, direction: Direction) -> Vec<(String, T)> {
        let taken = match direction {
            Direction::Ascending => {
                let rest = self.0.split_off(&time.sortable());
                std::mem::replace(&mut self.0, rest)
            }
            Direction::Descending => self.0.split_off(&Range::last_with(&time.sortable())),
        };
        in_order(taken, direction)
    }

    /// Takes out all that there is, in order.
    pub(super) fn take_all(&mut self, direction: Direction) -> Vec<(String, T)> {
        in_order(std::mem::take(&mut self.0), direction)
    }
}

fn in_order<T>(taken: BTreeMap<String, T>, direction: Direction) -> Vec<(String, T)> {
    match direction {
        Direction::Ascending => taken.into_iter().collect(),
        Direction::Descending => taken.into_iter().rev().collect(),
    }
}
