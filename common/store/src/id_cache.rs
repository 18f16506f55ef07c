//! What a process remembers of ids by their names, so that a record is found with one read in the place of two.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// How many names are remembered before all of them are forgotten.
const MOST: usize = 1_000;

/// The ids of records by names that never change.
///
/// What is remembered is a guess: whoever uses it reads the record under the id, and looks the name up if there is none.
#[derive(Debug)]
pub(super) struct IdCache<Id>(Mutex<HashMap<String, Id>>);

impl<Id> Default for IdCache<Id> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Id: Copy> IdCache<Id> {
    /// Returns the id that `name` had last.
    pub(super) fn recall(&self, name: &str) -> Option<Id> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// Remembers the id of `name`.
    pub(super) fn learn(&self, name: &str, id: Id) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(name.to_owned(), id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_no_more_than_it_may() {
        let memory = IdCache::default();
        for number in 0..=MOST {
            memory.learn(&number.to_string(), number);
        }
        assert_eq!(memory.recall("0"), None);
        assert_eq!(memory.recall(&MOST.to_string()), Some(MOST));
    }
}
