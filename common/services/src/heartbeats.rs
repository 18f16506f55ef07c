//! Flow runs whose process has ended without a word: their heartbeats stop, and they become CRASHED.
//!
//! Only runs that send heartbeats are watched. Before a run is given up, its events are looked at: a consumer of the stream
//! that is behind ends no run. The transition frees the run's slots as any other that ends it.

use domain::{
    filter::EventFilter,
    heartbeats::{HEARTBEAT, Pulse},
    model::{FlowRunId, ReceivedEvent, StateType, Timestamp},
    orchestration::Client,
};
use error::{Error, Result};
use serde_json::json;
use store::{Item, event_query::Counting, events::FLOW_RUN_RESOURCE, heartbeats::WatchedPulse, table::Subject};

use crate::{
    App,
    stream::{Failures, Written},
    transitions::{Proposal, propose_flow_run_state},
};

/// Notes the heartbeats in `written`.
pub(crate) async fn follow(app: &App, written: &[(usize, Written<'_>)], failures: &mut Failures) {
    for (place, Written { after, .. }) in written {
        if Subject::of(&after.key).is_some_and(Subject::is_event)
            && is_heartbeat(after)
            && let Err(error) = note(app, after).await
        {
            failures.add(*place, error);
        }
    }
}

/// The text tells, before the record is read.
fn is_heartbeat(item: &Item) -> bool {
    item.head.as_deref().is_some_and(|head| head.contains(HEARTBEAT))
}

async fn note(app: &App, item: &Item) -> Result<()> {
    let event: ReceivedEvent = item.record()?;
    let run = event.resource.id().strip_prefix(FLOW_RUN_RESOURCE).and_then(|id| id.parse().ok());
    match run.filter(|_| event.event == HEARTBEAT) {
        // A clock that is ahead must not keep a run alive that has ended.
        Some(run) => {
            let sent = event.occurred.min(event.received);
            app.store.note_heartbeat(run, sent, app.settings.heartbeat_patience).await
        }
        None => Ok(()),
    }
}

/// Looks after a flow run that may have been silent for too long.
pub(crate) async fn look(app: &App, id: FlowRunId) -> Result<()> {
    let Some(found) = app.store.pulse(id).await? else { return Ok(()) };
    let run = app.store.flow_run(id).await?.map(|found| found.record);
    let state = run.and_then(|run| run.state).filter(|state| state.r#type == StateType::Running);
    // What does not run beats no more; if it goes on, the next heartbeat is noted again.
    let Some(state) = state else { return app.store.forget_pulse(&found).await };
    let (set, now) = (app.settings.heartbeat_patience, app.now());
    let last = last_heartbeat(app, id, now).await?;
    let pulse = last.map_or(found.record.pulse, |last| Pulse::after(Some(found.record.pulse), id, last));
    // The state may have been entered later: a run that was resumed has not beaten yet.
    let silent_since = pulse.last.max(state.timestamp);
    let patience = pulse.patience(set);
    let due = silent_since.plus_seconds(patience);
    if due > now {
        return app.store.postpone_pulse(&found, WatchedPulse { pulse, due }).await;
    }
    let message = format!("The flow run has sent no heartbeat for {} seconds.", patience.round());
    let proposed = serde_json::from_value(json!({ "type": StateType::Crashed, "message": message }))?;
    let proposal = Proposal { expected: Some(state.id), ..Proposal::new(proposed, false, Client::default()) };
    match propose_flow_run_state(app, id, &proposal).await {
        // The run is gone, or has left the state; whichever it is in, it is looked at again if it beats.
        Ok(_) | Err(Error::NoSuchRun(_) | Error::Conflict(_)) => app.store.forget_pulse(&found).await,
        Err(error) => Err(error),
    }
}

/// Returns when the flow run has last sent a heartbeat, by its events.
async fn last_heartbeat(app: &App, id: FlowRunId, now: Timestamp) -> Result<Option<Timestamp>> {
    let mut filter: EventFilter = serde_json::from_value(json!({
        "resource": { "id": [format!("{FLOW_RUN_RESOURCE}{id}")] }, "event": { "name": [HEARTBEAT] }, "order": "DESC",
    }))?;
    filter.resolve(now);
    let found = app.store.read_events(&filter, None, 1, Counting::PageOnly).await?;
    Ok(found.events.first().map(|event| event.occurred.min(event.received)))
}
