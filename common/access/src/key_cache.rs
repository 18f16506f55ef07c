//! What a process remembers of the keys that it has read, so that most requests read none.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use domain::model::{ApiKey, ApiKeyId, Timestamp};

/// How many keys are remembered at most.
const LARGEST: usize = 1_000;

/// The keys that were read lately, and the ids under which there was none.
#[derive(Default)]
pub struct KeyCache(Mutex<HashMap<ApiKeyId, Remembered>>);

struct Remembered {
    key: Option<ApiKey>,
    /// By the wall clock: the monotonic one stands still while Lambda keeps a function frozen.
    read: Timestamp,
}

impl Remembered {
    fn is_fresh(&self, now: Timestamp, seconds: f64) -> bool {
        (0.0..seconds).contains(&now.seconds_since(self.read))
    }
}

impl KeyCache {
    /// Returns what was read under `id` less than `seconds` before `now`; the outer `None` if nothing was.
    pub fn recall(&self, id: ApiKeyId, now: Timestamp, seconds: f64) -> Option<Option<ApiKey>> {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(&id).filter(|remembered| remembered.is_fresh(now, seconds)).map(|remembered| remembered.key.clone())
    }

    /// Notes what was read under `id` at `now`.
    pub fn note(&self, id: ApiKeyId, key: Option<ApiKey>, now: Timestamp, seconds: f64) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= LARGEST {
            keys.retain(|_, remembered| remembered.is_fresh(now, seconds));
        }
        if keys.len() >= LARGEST {
            keys.clear();
        }
        keys.insert(id, Remembered { key, read: now });
    }
}

impl fmt::Debug for KeyCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyCache")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while_also_that_there_is_no_such_key() {
        let (memory, id, now) = (KeyCache::default(), ApiKeyId::new(), Timestamp::now());
        assert_eq!(memory.recall(id, now, 30.0), None);
        memory.note(id, None, now, 30.0);
        assert_eq!(memory.recall(id, now.plus_seconds(29.9), 30.0), Some(None));
        assert_eq!(memory.recall(id, now.plus_seconds(30.0), 30.0), None);
        assert_eq!(memory.recall(id, now.plus_seconds(-1.0), 30.0), None, "a clock that was set back");
        assert_eq!(memory.recall(id, now, 0.0), None, "a memory that is switched off");
    }

    #[test]
    fn never_grows_beyond_its_bound() {
        let (memory, now) = (KeyCache::default(), Timestamp::now());
        for _ in 0..=LARGEST {
            memory.note(ApiKeyId::new(), None, now, 30.0);
        }
        assert!(memory.0.lock().unwrap().len() <= LARGEST);
    }
}
