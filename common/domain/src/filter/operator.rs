//! The `operator` field: how the clauses of one filter object combine.

use serde::{Deserialize, Serialize};

/// Whether a record must satisfy all the clauses of a filter object or any one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// Every clause must hold.
    #[default]
    #[serde(rename = "and_")]
    And,
    /// One clause is enough.
    #[serde(rename = "or_")]
    Or,
}

impl Operator {
    /// Combines `clauses`, of which `None` is one that the request left out; no clause at all matches everything.
    ///
    /// A field that is present and says nothing (`{"id": {}}`) is a clause that holds, so that under `or_`
    /// it matches everything: the real server renders it as `true`.
    pub(crate) fn combine(self, clauses: impl IntoIterator<Item = Option<bool>>) -> bool {
        let mut present = clauses.into_iter().flatten().peekable();
        if present.peek().is_none() {
            return true;
        }
        match self {
            Self::And => present.all(|holds| holds),
            Self::Or => present.any(|holds| holds),
        }
    }

    /// Returns `bound` where the clause that it comes from holds for every match, `present` telling which clauses there are.
    pub(crate) fn bound<T>(self, present: &[bool], bound: Option<T>) -> Option<T> {
        let single = present.iter().filter(|present| **present).count() <= 1;
        bound.filter(|_| self == Self::And || single)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combines_as_a_truth_table() {
        let table: [(&[Option<bool>], bool, bool); 6] = [
            (&[], true, true),
            (&[None, None], true, true),
            (&[Some(true), None], true, true),
            (&[Some(false), None], false, false),
            (&[Some(false), Some(true)], false, true),
            (&[Some(false), Some(false)], false, false),
        ];
        for (clauses, and, or) in table {
            assert_eq!(Operator::And.combine(clauses.iter().copied()), and, "and of {clauses:?}");
            assert_eq!(Operator::Or.combine(clauses.iter().copied()), or, "or of {clauses:?}");
        }
    }

    #[test]
    fn an_alternative_binds_only_when_it_is_the_single_one() {
        assert_eq!(Operator::And.bound(&[true, true], Some(1)), Some(1));
        assert_eq!(Operator::Or.bound(&[true, false], Some(1)), Some(1));
        assert_eq!(Operator::Or.bound(&[true, true], Some(1)), None);
    }
}
