//! The filter of work queues.

use serde::{Deserialize, Serialize};

use super::{like, membership::AnyOf, operator::Operator};
use crate::model::{WorkQueue, WorkQueueId};

/// A filter object on a work queue's name (contract schema `WorkQueueFilterName`); both clauses must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkQueueNameFilter {
    /// The names to include, compared exactly.
    #[serde(rename = "any_")]
    pub any: Option<Vec<String>>,
    /// Prefixes of which the name must have one, whatever the case.
    #[serde(rename = "startswith_")]
    pub starts_with: Option<Vec<String>>,
}

impl WorkQueueNameFilter {
    /// Returns the clause, or `None` where an empty list of prefixes stands alone.
    ///
    /// The real server renders that list as no SQL at all, so that it isn't an alternative under `or_` either.
    fn clause(&self, name: &str) -> Option<bool> {
        let any = self.any.as_ref().map(|names| names.iter().any(|one| one == name));
        let Some(prefixes) = &self.starts_with else { return Some(any.unwrap_or(true)) };
        if prefixes.is_empty() {
            return any;
        }
        Some(any.unwrap_or(true) && prefixes.iter().any(|prefix| like::starts_with(prefix, name)))
    }
}

/// Filters work queues (contract schema `WorkQueueFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkQueueFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the queue's id.
    pub id: Option<AnyOf<WorkQueueId>>,
    /// On the queue's name.
    pub name: Option<WorkQueueNameFilter>,
}

impl WorkQueueFilter {
    /// Tells whether the filter selects `queue`.
    pub fn matches(&self, queue: &WorkQueue) -> bool {
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&queue.id))),
            self.name.as_ref().and_then(|filter| filter.clause(&queue.name)),
        ])
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[WorkQueueId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the names of which every match has one.
    pub fn names(&self) -> Option<&[String]> {
        self.bound(self.name.as_ref()?.any.as_deref())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        self.operator.bound(&[self.id.is_some(), self.name.is_some()], bound)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn follows_the_truth_table() {
        let now = Timestamp::now();
        let document =
            json!({"id": WorkQueueId::new(), "created": now, "updated": now, "name": "Marvin", "work_pool_id": null});
        let queue: WorkQueue = serde_json::from_value(document).unwrap();
        let table = [
            (json!({}), true),
            (json!({"name": {"startswith_": ["mar"]}}), true),
            (json!({"name": {"startswith_": ["vin", "MAR"]}}), true),
            (json!({"name": {"startswith_": ["M_r"]}}), false),
            (json!({"name": {"startswith_": ["vin"]}}), false),
            (json!({"name": {"startswith_": []}}), true),
            (json!({"name": {"startswith_": [], "any_": ["x"]}}), false),
            (json!({"name": {"startswith_": []}, "id": {"any_": []}, "operator": "or_"}), false),
            (json!({"name": {}, "id": {"any_": []}, "operator": "or_"}), true),
        ];
        for (filter, expected) in table {
            let parsed: WorkQueueFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches(&queue), expected, "{filter}");
        }
    }
}
