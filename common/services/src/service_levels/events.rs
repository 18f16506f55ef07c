//! The events `prefect.sla.violation` and `prefect.sla.resolution`.
//!
//! The first has the name that Prefect Cloud's documentation gives it; the second, the labels `prefect.sla.…` and what the
//! payloads say are ours.

use serde_json::{Value, json};
use uuid::Uuid;

use super::Verdict;
use domain::model::{
    Event, EventId, Timestamp,
    deployment::{ServiceLevelAgreement, SlaCondition},
    event::{RESOURCE_ID, RESOURCE_NAME},
};
use error::Result;

/// Whose agreement it is, or who does not keep to it: a flow run or a deployment.
#[derive(Clone, Debug)]
pub(super) struct Party {
    /// The kind of resource, such as `flow-run`.
    pub kind: &'static str,
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it has to do with, each thing in its role.
    pub related: Value,
}

/// Returns the events of what `verdict` says of the agreement; none if nothing was violated.
///
/// The same `case` of the same party is told of once.
pub(super) fn of(agreement: &ServiceLevelAgreement, party: &Party, case: &str, verdict: Verdict) -> Result<Vec<Event>> {
    let event_id =
        |name: &str| EventId(Uuid::new_v5(&party.id, format!("{name}#{case}#{}", agreement.name).as_bytes()));
    let violated = |since| event(agreement, party, "violation", since, event_id("violation"), None);
    Ok(match verdict {
        Verdict::Kept | Verdict::Open { .. } => Vec::new(),
        Verdict::Violated { since } => vec![violated(since)?],
        Verdict::Resolved { since, until } => {
            let follows = Some(event_id("violation"));
            vec![violated(since)?, event(agreement, party, "resolution", until, event_id("resolution"), follows)?]
        }
    })
}

fn event(
    agreement: &ServiceLevelAgreement,
    party: &Party,
    name: &str,
    occurred: Timestamp,
    id: EventId,
    follows: Option<EventId>,
) -> Result<Event> {
    Ok(serde_json::from_value(json!({
        "occurred": occurred,
        "event": format!("prefect.sla.{name}"),
        "resource": {
            RESOURCE_ID: format!("prefect.{}.{}", party.kind, party.id),
            RESOURCE_NAME: party.name,
            "prefect.sla.name": agreement.name,
            "prefect.sla.severity": agreement.severity,
        },
        "related": party.related,
        "payload": { "sla": told(agreement) },
        "id": id,
        "follows": follows,
    }))?)
}

/// Tells the agreement in the client's words.
fn told(agreement: &ServiceLevelAgreement) -> Value {
    let mut told = match &agreement.condition {
        SlaCondition::Duration(seconds) => json!({"type": "TimeToCompletionSla", "duration": seconds}),
        SlaCondition::StaleAfter(stale_after) => json!({"type": "FrequencySla", "stale_after": stale_after}),
        SlaCondition::Within(within) => json!({"type": "LatenessSla", "within": within}),
        SlaCondition::ExpectedEvent(expected) => json!({
            "type": "FreshnessSla",
            "within": expected.within,
            "expected_event": expected.event,
            "resource_match": expected.resource,
        }),
    };
    told["name"] = json!(agreement.name);
    told["severity"] = json!(agreement.severity);
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::deployment::Severity;

    fn at(second: u32) -> Timestamp {
        format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    #[test]
    fn a_violation_and_its_end_are_told_once_each() {
        let agreement = ServiceLevelAgreement {
            name: "slow".into(),
            severity: Severity::High,
            enabled: true,
            condition: SlaCondition::Duration(10),
            since: None,
        };
        let party = Party { kind: "flow-run", id: Uuid::from_u128(1), name: "run".into(), related: json!([]) };
        let told = |case, verdict| of(&agreement, &party, case, verdict).unwrap();
        assert!(told("", Verdict::Open { deadline: at(1) }).is_empty());
        let violated = told("", Verdict::Violated { since: at(1) });
        let resolved = told("", Verdict::Resolved { since: at(1), until: at(2) });
        assert_eq!(violated[0], resolved[0]);
        assert_eq!(resolved[1].follows, Some(violated[0].id));
        assert_eq!((resolved[1].event.as_str(), resolved[1].occurred), ("prefect.sla.resolution", at(2)));
        assert_ne!(told("other", Verdict::Violated { since: at(1) })[0].id, violated[0].id);
        let expected = json!({"type": "TimeToCompletionSla", "duration": 10, "name": "slow", "severity": "high"});
        assert_eq!(violated[0].payload["sla"], expected);
        assert_eq!(violated[0].resource.label("prefect.sla.severity"), Some("high"));
    }
}
