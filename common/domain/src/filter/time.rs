//! The clauses on an instant: `before_`, `after_` and `is_null_`.
//!
//! Both limits are inclusive, all clauses must hold, and an instant that is null satisfies neither limit.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// The limits that every match's instant keeps; a match always has that instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    /// The earliest instant of a match, itself included.
    pub not_before: Option<Timestamp>,
    /// The latest instant of a match, itself included.
    pub not_after: Option<Timestamp>,
}

impl TimeBounds {
    /// Returns the bounds, or `None` where both sides are open.
    pub(crate) fn new(not_before: Option<Timestamp>, not_after: Option<Timestamp>) -> Option<Self> {
        (not_before.is_some() || not_after.is_some()).then_some(Self { not_before, not_after })
    }

    /// Returns the bounds that keep both these and `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            not_before: self.not_before.max(other.not_before),
            not_after: match (self.not_after, other.not_after) {
                (Some(one), Some(another)) => Some(one.min(another)),
                (one, another) => one.or(another),
            },
        }
    }

    /// Tells whether `time` lies within the bounds.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.not_before.is_none_or(|limit| time >= limit) && self.not_after.is_none_or(|limit| time <= limit)
    }
}

/// A filter object on an instant, without a test for null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeFilter {
    /// The latest instant to include.
    #[serde(rename = "before_")]
    pub before: Option<Timestamp>,
    /// The earliest instant to include.
    #[serde(rename = "after_")]
    pub after: Option<Timestamp>,
}

impl TimeFilter {
    pub(crate) fn matches(&self, time: Option<Timestamp>) -> bool {
        self.bounds().is_none_or(|bounds| time.is_some_and(|time| bounds.contains(time)))
    }

    pub(crate) fn bounds(&self) -> Option<TimeBounds> {
        TimeBounds::new(self.after, self.before)
    }
}

/// A filter object on an instant, with a test for null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NullableTimeFilter {
    /// The latest instant to include.
    #[serde(rename = "before_")]
    pub before: Option<Timestamp>,
    /// The earliest instant to include.
    #[serde(rename = "after_")]
    pub after: Option<Timestamp>,
    /// Whether the instant must be null (`true`) or must not be (`false`).
    #[serde(rename = "is_null_")]
    pub is_null: Option<bool>,
}

impl NullableTimeFilter {
    pub(crate) fn matches(&self, time: Option<Timestamp>) -> bool {
        self.matches_compared(time, time)
    }

    /// Tests `column` for null and compares `compared`, which may be the column's stand-in when it is null.
    pub(crate) fn matches_compared(&self, column: Option<Timestamp>, compared: Option<Timestamp>) -> bool {
        self.is_null.is_none_or(|null| null == column.is_none())
            && self.bounds().is_none_or(|bounds| compared.is_some_and(|time| bounds.contains(time)))
    }

    pub(crate) fn bounds(&self) -> Option<TimeBounds> {
        TimeBounds::new(self.after, self.before)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn follows_the_truth_table() {
        let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z");
        let times = [Some(early), Some(late), None].map(|time| time.map(|text| text.parse().unwrap()));
        let table = [
            (json!({}), [true, true, true]),
            (json!({"before_": early}), [true, false, false]),
            (json!({"after_": late}), [false, true, false]),
            (json!({"after_": early, "before_": late}), [true, true, false]),
            (json!({"after_": late, "before_": early}), [false, false, false]),
            (json!({"is_null_": true}), [false, false, true]),
            (json!({"is_null_": false}), [true, true, false]),
            (json!({"is_null_": true, "before_": late}), [false, false, false]),
        ];
        for (filter, expected) in table {
            let parsed: NullableTimeFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(times.map(|time| parsed.matches(time)), expected, "{filter}");
        }
    }

    #[test]
    fn compares_a_stand_in_where_the_column_is_null() {
        let stand_in = Some("2026-01-01T00:00:00Z".parse().unwrap());
        let filter = NullableTimeFilter { before: stand_in, is_null: Some(true), ..Default::default() };
        assert!(filter.matches_compared(None, stand_in) && !filter.matches_compared(stand_in, stand_in));
    }

    #[test]
    fn bounds_narrow_each_other() {
        let time = |micros| Timestamp::from_micros(micros);
        let bounds = |not_before, not_after| TimeBounds { not_before, not_after };
        assert_eq!(bounds(time(1), time(8)).and(bounds(time(3), time(9))), bounds(time(3), time(8)));
        assert_eq!(bounds(None, time(8)).and(bounds(time(3), None)), bounds(time(3), time(8)));
    }

    #[test]
    fn bounds_are_absent_when_both_sides_are_open() {
        assert_eq!(NullableTimeFilter { is_null: Some(true), ..Default::default() }.bounds(), None);
    }
}
