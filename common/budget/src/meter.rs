//! What is left of a bound while something is done.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Bound, Exceeded};

/// What is left of a bound.
///
/// It is shared by all that one request asks for, so that a hundred programs within their bounds are not a hundred
/// times as much.
#[derive(Debug)]
pub struct Meter {
    bound: Bound,
    left: AtomicU64,
}

impl Meter {
    /// Begins with all that the bound allows.
    pub const fn new(bound: Bound) -> Self {
        Self { bound, left: AtomicU64::new(bound.most()) }
    }

    /// Takes `amount`.
    ///
    /// # Errors
    /// [`Exceeded`] if less is left; then nothing is left.
    pub fn take(&self, amount: u64) -> Result<(), Exceeded> {
        // Who shares a meter takes by turns, so that nothing gets lost between the two calls.
        let left = self.left();
        self.left.store(left.saturating_sub(amount), Ordering::Relaxed);
        if amount <= left { Ok(()) } else { Err(Exceeded(self.bound)) }
    }

    /// Takes as much as something has entries, or bytes.
    ///
    /// # Errors
    /// Those of [`Self::take`].
    pub fn take_size(&self, size: usize) -> Result<(), Exceeded> {
        self.take(u64::try_from(size).unwrap_or(u64::MAX))
    }

    /// Returns what is left.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// Returns what is said if nothing is left.
    pub const fn exceeded(&self) -> Exceeded {
        Exceeded(self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_allowed_may_be_taken_once() {
        let meter = Meter::new(Bound::SchemaNesting);
        assert_eq!(meter.take(Bound::SchemaNesting.most()), Ok(()));
        assert_eq!(meter.take(0), Ok(()));
        assert_eq!(meter.take(1), Err(Exceeded(Bound::SchemaNesting)));
    }

    #[test]
    fn who_asks_for_too_much_leaves_nothing() {
        let meter = Meter::new(Bound::SchemaNesting);
        assert!(meter.take(u64::MAX).is_err());
        assert_eq!(meter.left(), 0);
    }
}
