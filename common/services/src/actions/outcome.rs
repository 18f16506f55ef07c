//! What became of an action, and the events that tell of it.

use domain::model::{Event, EventId, automation::Trigger};
use error::{Error, Result};
use serde_json::{Map, Value, json};
use store::{Write, triggers::CarriedOut};

use super::acting::Acting;

/// How far apart an event and the firing that it makes may be, in seconds, for what follows to be said to follow the
/// event.
///
/// Prefect's consumers wait for what an event follows, and not for what happened long ago.
const FOLLOWS_WITHIN: f64 = 300.0;

/// That an action was carried out.
pub(super) enum Carried {
    /// And this was noted in the same transaction.
    Noted(CarriedOut),
    /// And nothing is noted.
    Done,
}

/// Why an action was not carried out.
#[derive(Debug)]
pub(super) enum Failed {
    /// It can't be; an event tells this reason.
    For(String),
    /// It could not be; the message is tried again, or put aside.
    Later(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Later(error)
    }
}

/// What the events tell besides.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    related: Vec<Value>,
    details: Map<String, Value>,
}

impl Report {
    /// Relates the events to a resource.
    pub(super) fn relate(&mut self, resource: &Value) {
        self.related.push(resource.clone());
    }

    /// Relates the events to what the action acts on.
    pub(super) fn target(&mut self, kind: &str, id: impl std::fmt::Display) {
        let id = format!("prefect.{kind}.{id}");
        self.relate(&json!({"prefect.resource.id": id, "prefect.resource.role": "target"}));
    }

    /// Adds a detail of the result.
    pub(super) fn detail(&mut self, name: &str, value: impl Into<Value>) {
        self.details.insert(name.to_owned(), value.into());
    }

    /// Adds the status with which a client's request would be answered.
    pub(super) fn status(&mut self, status: u16) {
        self.detail("status_code", status);
    }
}

impl Acting<'_> {
    /// Makes the note of what became of the action, which was not carried out for this `reason`, if there is one.
    pub(super) fn note(&self, report: &Report, reason: Option<&str>) -> Result<CarriedOut> {
        let firing = self.triggered.firing;
        let now = self.app.now();
        let resource = self.resource()?;
        let related = self.related(report);
        let action = json!({
            "action_index": self.triggered.index,
            "action_type": self.kind(),
            "invocation": self.triggered.invocation(),
        });
        let mut result = action.clone();
        if let Value::Object(result) = &mut result {
            result.extend(reason.map(|reason| ("reason".to_owned(), reason.into())));
            result.extend(report.details.clone());
        }
        let triggered: Event = serde_json::from_value(json!({
            "occurred": firing.firing.triggered,
            "event": "prefect.automation.action.triggered",
            "resource": resource,
            "related": related,
            "payload": action,
            "id": self.triggered.told_by("triggered"),
            "follows": self.follows(),
        }))?;
        let what = if reason.is_none() { "executed" } else { "failed" };
        let outcome: Event = serde_json::from_value(json!({
            "occurred": now,
            "event": format!("prefect.automation.action.{what}"),
            "resource": resource,
            "related": related,
            "payload": result,
            "id": self.triggered.told_by(what),
            "follows": triggered.id,
        }))?;
        Ok(CarriedOut {
            firing: firing.firing.id,
            action: self.triggered.index,
            carried_out: now,
            events: vec![triggered, outcome],
        })
    }

    /// Returns the note that the action was carried out, and what writes it together with what the action does.
    pub(super) fn note_beside(&self, report: &Report) -> Result<(CarriedOut, Vec<Write>)> {
        let note = self.note(report, None)?;
        let write = self.app.store.insert(&note)?;
        Ok((note, vec![write]))
    }

    fn resource(&self) -> Result<Value> {
        let automation = self.automation();
        let kind = match &automation.trigger {
            Trigger::Event(_) => "event",
            Trigger::Compound(_) => "compound",
            Trigger::Sequence(_) => "sequence",
        };
        let mut resource = json!({
            "prefect.resource.id": format!("prefect.automation.{}", automation.id),
            "prefect.resource.name": automation.name,
            "prefect.trigger-type": kind,
        });
        if let (Trigger::Event(trigger), Some(labels)) = (&automation.trigger, resource.as_object_mut()) {
            labels.insert("prefect.posture".to_owned(), serde_json::to_value(trigger.posture)?);
        }
        Ok(resource)
    }

    /// Returns what the events relate to: the targets, and the events that led to the action.
    fn related(&self, report: &Report) -> Vec<Value> {
        let event = |id: EventId, role: &str| {
            let id = format!("prefect.event.{id}");
            json!({"prefect.resource.id": id, "prefect.resource.role": role})
        };
        let mut related = report.related.clone();
        related.push(event(self.triggered.firing.told_by(), "automation-triggered-event"));
        related.extend(self.triggered.triggering_event().map(|id| event(id, "triggering-event")));
        related
    }

    /// Returns the event that what happened follows, if that is recent.
    fn follows(&self) -> Option<EventId> {
        let event = self.event.as_ref()?;
        let apart = self.triggered.firing.firing.triggered.seconds_since(event.occurred);
        (apart.abs() < FOLLOWS_WITHIN).then_some(event.id)
    }
}
