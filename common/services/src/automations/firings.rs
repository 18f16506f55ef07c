//! What follows from a firing: an event tells of it, and its actions are carried out.

use domain::{
    automations::Firing,
    events::lifecycle::LARGEST_EVENT,
    model::{Event, ReceivedEvent, automation::Trigger},
};
use error::Result;
use serde_json::{Value, json};
use store::Item;

use crate::{
    App, event_ingestion,
    jobs::queue::{Message, Queue},
};

/// Keeps the event that tells of a firing, and has the queue carry out its actions.
pub(super) async fn follow(app: &App, queue: &Queue, item: &Item) -> Result<()> {
    let firing: Firing = item.record()?;
    let about = match firing.firing.triggering_event {
        Some(id) => app.store.event(id).await?,
        None => None,
    };
    event_ingestion::keep(app, &[triggered(&firing, about.as_ref())?.receive(app.now())]).await?;
    let id = firing.firing.id;
    let messages: Vec<Message> =
        firing.actions().iter().map(|action| Message::Act { firing: id, action: action.index }).collect();
    queue.send(&messages).await
}

/// Returns the event that tells of `firing`, which an event made, if it is still there.
fn triggered(firing: &Firing, about: Option<&ReceivedEvent>) -> Result<Event> {
    let automation = &firing.automation;
    let mut resource = json!({
        "prefect.resource.id": format!("prefect.automation.{}", automation.id),
        "prefect.resource.name": automation.name,
    });
    if let (Trigger::Event(trigger), Some(labels)) = (&automation.trigger, resource.as_object_mut()) {
        labels.insert("prefect.posture".to_owned(), serde_json::to_value(trigger.posture)?);
    }
    let related = about.map(|event| {
        json!({
            "prefect.resource.id": format!("prefect.event.{}", event.id),
            "prefect.resource.role": "triggering-event",
        })
    });
    let event = |about: Value| {
        serde_json::from_value::<Event>(json!({
            "occurred": firing.firing.triggered,
            "event": "prefect.automation.triggered",
            "resource": resource,
            "related": related.iter().collect::<Vec<_>>(),
            "payload": {"triggering_labels": firing.firing.triggering_labels, "triggering_event": about},
            "id": firing.told_by(),
        }))
    };
    let whole = event(serde_json::to_value(about)?)?;
    if serde_json::to_vec(&whole)?.len() <= LARGEST_EVENT {
        return Ok(whole);
    }
    // The event is there to be read; it is only told without what it carries.
    let short = about.map(|about| ReceivedEvent { payload: serde_json::Map::new(), ..about.clone() });
    Ok(event(serde_json::to_value(short)?)?)
}
