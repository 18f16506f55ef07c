//! What follows from changes of the table: events are evaluated, firings told of and carried out, windows opened.

use std::{collections::HashMap, sync::Arc};

use domain::{
    automations::Window,
    model::{AutomationId, ReceivedEvent, StoredAutomation, automation::Posture},
};
use error::Result;
use store::{
    CommitError, Item,
    table::Subject,
    triggers::{Evaluated as Written, TriggerState},
};

use super::{
    evaluation::{self, Taken},
    firings,
    remembered::Evaluated,
};
use crate::{
    App,
    jobs::queue::Queue,
    stream::{Failures, Written as Change},
};

/// Does what follows for automations from what was `written`.
pub(crate) async fn follow(app: &App, queue: &Queue, written: &[(usize, Change<'_>)], failures: &mut Failures) {
    let mut events: Vec<(usize, &Item)> = Vec::new();
    for (place, change) in written {
        let outcome = match Subject::of(&change.after.key) {
            // An event never changes; it is written again by who did not hear that it was.
            Some(subject) if subject.is_event() => {
                events.push((*place, change.after));
                Ok(())
            }
            Some(Subject::Automation(_)) => open_windows(app, change.after).await,
            Some(Subject::Firing(_)) => firings::follow(app, queue, change.after).await,
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            failures.add(*place, error);
        }
    }
    evaluate(app, &events, failures).await;
}

/// What an automation has to take in.
struct Concerned {
    evaluated: Arc<Evaluated>,
    /// The events' places in the batch.
    places: Vec<usize>,
    taken: Vec<Taken>,
}

/// Has the automations that are interested take the events in, each automation all that concern it at once.
async fn evaluate(app: &App, events: &[(usize, &Item)], failures: &mut Failures) {
    if events.is_empty() {
        return;
    }
    let known = match app.automations.known(&app.store).await {
        Ok(known) => known,
        Err(error) => return failures.add_all(events.iter().map(|(place, _)| *place), &error),
    };
    if known.is_empty() {
        return;
    }
    let mut concerned: HashMap<AutomationId, Concerned> = HashMap::new();
    for (place, item) in events {
        let event: ReceivedEvent = match item.record() {
            Ok(event) => event,
            Err(error) => {
                failures.add(*place, error);
                continue;
            }
        };
        for (evaluated, node) in known.interested_in(&event) {
            let id = evaluated.automation.id;
            let nothing = || Concerned { evaluated: evaluated.clone(), places: Vec::new(), taken: Vec::new() };
            let concerned = concerned.entry(id).or_insert_with(nothing);
            concerned.places.push(*place);
            concerned.taken.extend(Taken::new(evaluated, *node, &event));
        }
    }
    let evaluations = concerned.into_values().map(|Concerned { evaluated, places, taken }| async move {
        evaluation::evaluate(app, &evaluated, taken).await.map_err(|error| (places, error))
    });
    for outcome in futures::future::join_all(evaluations).await {
        if let Err((places, error)) = outcome {
            failures.add_all(places, &error);
        }
    }
}

/// Opens the windows of the triggers of an automation that wait for the absence of events from the beginning on.
async fn open_windows(app: &App, item: &Item) -> Result<()> {
    let stored: StoredAutomation = item.record()?;
    let known = app.automations.known(&app.store).await?;
    // What was written is only the way it was; what is known is at least as new.
    let Some(evaluated) = known.automation(stored.automation.id) else { return Ok(()) };
    let now = app.now();
    for node in evaluated.tree.nodes() {
        let trigger = &node.trigger;
        let waits = trigger.posture == Posture::Proactive && trigger.after.is_empty() && trigger.for_each.is_empty();
        if !waits {
            continue;
        }
        let place = (trigger.id, TriggerState::group(trigger.id, &[]));
        let found = app.store.trigger_states(&[place]).await?.pop();
        if found.as_ref().is_some_and(|state| state.record.window.is_some()) {
            continue;
        }
        let end = now.plus_seconds(trigger.within.as_f64());
        let window = Window { start: now, end, count: 0, last: None };
        let ids = (evaluated.automation.id, trigger.id);
        let state = TriggerState::new(ids, Vec::new(), Some(window), true, now);
        let written = Written { states: vec![(state, found.map(|state| state.version))], ..Written::default() };
        match app.store.write_evaluated(&written).await {
            // Another one has opened it.
            Ok(()) | Err(CommitError::ConditionFailed(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
