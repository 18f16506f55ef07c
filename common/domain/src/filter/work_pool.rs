//! The filter of work pools.

use serde::{Deserialize, Serialize};

use super::{membership::AnyOf, operator::Operator};
use crate::model::{WorkPool, WorkPoolId};

/// Filters work pools (contract schema `WorkPoolFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkPoolFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the pool's id.
    pub id: Option<AnyOf<WorkPoolId>>,
    /// On the pool's name, compared exactly.
    pub name: Option<AnyOf<String>>,
    /// On the kind of the pool's workers.
    pub r#type: Option<AnyOf<String>>,
}

impl WorkPoolFilter {
    /// Tells whether the filter selects `pool`.
    pub fn matches(&self, pool: &WorkPool) -> bool {
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&pool.id))),
            self.name.as_ref().map(|filter| filter.matches(Some(pool.name.as_str()))),
            self.r#type.as_ref().map(|filter| filter.matches(Some(pool.r#type.as_str()))),
        ])
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[WorkPoolId]> {
        self.bound(self.id.as_ref()?.any.as_deref())
    }

    /// Returns the names of which every match has one.
    pub fn names(&self) -> Option<&[String]> {
        self.bound(self.name.as_ref()?.any.as_deref())
    }

    fn bound<T>(&self, bound: Option<T>) -> Option<T> {
        self.operator.bound(&[self.id.is_some(), self.name.is_some(), self.r#type.is_some()], bound)
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
        let document = json!({"id": WorkPoolId::new(), "created": now, "updated": now, "name": "p", "type": "process"});
        let pool: WorkPool = serde_json::from_value(document).unwrap();
        let table = [
            (json!({}), true),
            (json!({"id": {"any_": [pool.id]}, "type": {"any_": ["docker"]}}), false),
            (json!({"id": {"any_": [pool.id]}, "type": {"any_": ["docker"]}, "operator": "or_"}), true),
            (json!({"name": {"any_": ["P"]}}), false),
        ];
        for (filter, expected) in table {
            let parsed: WorkPoolFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches(&pool), expected, "{filter}");
        }
    }
}
