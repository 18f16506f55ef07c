//! The filter of automations.

use serde::{Deserialize, Serialize};

use super::{membership::AnyOf, operator::Operator, sort::NamedSort, tags::AnyTagsFilter};
use crate::model::{Automation, AutomationId, Timestamp};

/// How automations are sorted (contract schema `AutomationSort`).
pub type AutomationSort = NamedSort;

/// Filters automations (contract schema `AutomationFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutomationFilter {
    /// How the clauses combine.
    pub operator: Operator,
    /// On the automation's id.
    pub id: Option<AnyOf<AutomationId>>,
    /// On the automation's name.
    pub name: Option<AnyOf<String>>,
    /// On when the automation was created.
    pub created: Option<CreatedBefore>,
    /// On the automation's tags.
    pub tags: Option<AnyTagsFilter>,
}

/// Filters by when a record was created (contract schema `AutomationFilterCreated`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CreatedBefore {
    /// The last time that matches, itself included.
    #[serde(rename = "before_")]
    pub before: Option<Timestamp>,
}

impl AutomationFilter {
    /// Tells whether the filter selects `automation`.
    pub fn matches(&self, automation: &Automation) -> bool {
        self.operator.combine([
            self.id.as_ref().map(|filter| filter.matches(Some(&automation.id))),
            self.name.as_ref().map(|filter| filter.matches(Some(automation.name.as_str()))),
            self.created.as_ref().map(|filter| filter.before.is_none_or(|before| automation.created <= before)),
            self.tags.as_ref().map(|filter| filter.matches(&automation.tags)),
        ])
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[AutomationId]> {
        let present = [self.id.is_some(), self.name.is_some(), self.created.is_some(), self.tags.is_some()];
        self.operator.bound(&present, self.id.as_ref()?.any.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::automation::TriggerId;

    fn automation() -> Automation {
        let record = json!({
            "name": "mine", "tags": ["a"], "trigger": {"type": "event", "id": TriggerId::new(), "posture": "Reactive"},
            "actions": [], "id": AutomationId::new(), "created": "2026-01-31T09:30:00Z", "updated": Timestamp::now(),
        });
        serde_json::from_value(record).unwrap()
    }

    #[test]
    fn follows_the_truth_table() {
        let automation = automation();
        let table = [
            (json!({}), true),
            (json!({"id": {"any_": [automation.id]}}), true),
            (json!({"id": {"any_": []}}), false),
            (json!({"name": {"any_": ["mine", "other"]}}), true),
            (json!({"name": {"any_": ["min"]}}), false),
            (json!({"created": {"before_": "2026-01-31T09:30:00Z"}}), true),
            (json!({"created": {"before_": "2026-01-31T09:29:59Z"}}), false),
            (json!({"created": {}}), true),
            (json!({"tags": {"any_": ["b", "a"]}}), true),
            (json!({"tags": {"is_null_": true}}), false),
            (json!({"tags": {"is_null_": true}, "name": {"any_": ["mine"]}, "operator": "or_"}), true),
        ];
        for (filter, expected) in table {
            let parsed: AutomationFilter = serde_json::from_value(filter.clone()).unwrap();
            assert_eq!(parsed.matches(&automation), expected, "{filter}");
        }
    }

    #[test]
    fn an_alternative_binds_no_id() {
        let parse = |filter: Value| serde_json::from_value::<AutomationFilter>(filter).unwrap();
        let id = AutomationId::new();
        assert_eq!(parse(json!({"id": {"any_": [id]}, "tags": {}})).ids(), Some([id].as_slice()));
        assert_eq!(parse(json!({"id": {"any_": [id]}, "tags": {}, "operator": "or_"})).ids(), None);
    }
}
