//! One evaluation: what is known is read, the triggers decide, and one transaction writes what has changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use domain::{
    automations::{
        ChildFirings, Fired, Firing, FiringOfTrigger, Node, Seen, Window, child_fired, elapse, is_stateless, take,
    },
    model::{FiringId, ReceivedEvent, Timestamp, TriggerId, automation::Posture},
};
use error::Result;
use futures::future::{BoxFuture, try_join_all};
use store::{
    CommitError, Record, Versioned,
    commit::retry_on_conflict,
    triggers::{Evaluated as Written, TakenEvent, TriggerState, WaitingFirings},
};
use uuid::Uuid;

use super::remembered::Evaluated;
use crate::App;

/// How many events an evaluation takes in at once, so that its transaction is within DynamoDB's 100 items and 4 MB.
const AT_ONCE: usize = 12;

/// How many held events are looked at for one window at most.
const MOST_HELD: usize = 1_000;

/// An event that a trigger takes in.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// The trigger's place in its tree.
    node: usize,
    /// The values of the labels that keep evaluations apart.
    values: Vec<String>,
    /// The event.
    event: Seen,
}

impl Taken {
    /// Says that the trigger in this place takes in `event`.
    pub(super) fn new(evaluated: &Evaluated, node: usize, event: &ReceivedEvent) -> Option<Self> {
        let coverage = &evaluated.tree.nodes().get(node)?.coverage;
        Some(Self { node, values: coverage.values(event), event: Seen::from(event) })
    }
}

/// Has an automation take events in.
///
/// # Errors
/// Those of the store. What was taken in before an error is not taken in again.
pub(super) fn evaluate<'e>(
    app: &'e App,
    evaluated: &'e Arc<Evaluated>,
    taken: Vec<Taken>,
) -> BoxFuture<'e, Result<()>> {
    Box::pin(async move {
        if let [node] = evaluated.tree.nodes()
            && evaluated.tree.is_single()
            && is_stateless(&node.trigger)
        {
            let firings: Vec<Firing> = taken.iter().map(|taken| alone(evaluated, node, taken, app.now())).collect();
            return app.store.add_firings(&firings).await;
        }
        for part in parts(evaluated, taken) {
            retry_on_conflict(|| attempt(app, evaluated, &part)).await?;
        }
        Ok(())
    })
}

/// Ends the window of a proactive trigger whose time is over.
///
/// # Errors
/// [`CommitError::ConditionFailed`] if another evaluation came first.
pub(super) async fn end_window(
    app: &App,
    evaluated: &Evaluated,
    node: &Node,
    state: Versioned<TriggerState>,
    until: Timestamp,
) -> Result<(), CommitError> {
    let now = app.now();
    let mut change = Change::new(evaluated, now);
    change.read_waiting(app).await?;
    let before = state.record.window.clone();
    let (window, fired) = elapse(&node.trigger, before.clone(), until);
    if window == before && fired.is_none() {
        return Ok(());
    }
    let values = state.record.values.clone();
    change.fire(node, &values, fired.into_iter().collect());
    let ids = (evaluated.automation.id, node.trigger.id);
    change.written.states.push((TriggerState::new(ids, values, window, true, now), Some(state.version)));
    change.write(app).await
}

/// Returns the firing of a trigger that fires with each event by itself; its id is the same for the same event.
fn alone(evaluated: &Evaluated, node: &Node, taken: &Taken, now: Timestamp) -> Firing {
    let id = FiringId(Uuid::new_v5(&node.trigger.id.0, taken.event.id.0.as_bytes()));
    let fired = Fired { at: taken.event.occurred, event: Some(taken.event.clone()) };
    Firing { firing: firing(id, node, &taken.values, fired, now), automation: evaluated.automation.clone() }
}

fn firing(id: FiringId, node: &Node, values: &[String], fired: Fired, now: Timestamp) -> FiringOfTrigger {
    FiringOfTrigger {
        id,
        trigger: node.trigger.id,
        triggered: now,
        at: fired.at,
        triggering_labels: node.coverage.labels().iter().cloned().zip(values.iter().cloned()).collect(),
        triggering_firings: Vec::new(),
        triggering_event: fired.event.map(|event| event.id),
    }
}

/// Splits events into those that one transaction takes in, by when they occurred.
///
/// The values of a lone trigger are evaluated by themselves; triggers within another one wait for each other.
fn parts(evaluated: &Evaluated, taken: Vec<Taken>) -> Vec<Vec<Taken>> {
    let mut groups: BTreeMap<Vec<String>, Vec<Taken>> = BTreeMap::new();
    for taken in taken {
        let group = if evaluated.tree.is_single() { taken.values.clone() } else { Vec::new() };
        groups.entry(group).or_default().push(taken);
    }
    let in_order = |mut group: Vec<Taken>| {
        group.sort_by_key(|taken| (taken.event.occurred, taken.event.id, taken.node));
        group
    };
    groups
        .into_values()
        .map(in_order)
        .flat_map(|group| group.chunks(AT_ONCE).map(<[_]>::to_vec).collect::<Vec<_>>())
        .collect()
}

/// A place where a trigger's state is.
type Place = (TriggerId, Uuid);

/// What is known before an evaluation.
struct Before {
    states: HashMap<Place, Versioned<TriggerState>>,
    taken: std::collections::HashSet<store::Key>,
    /// The events that were held before, which windows may open over.
    held: HashMap<Place, Vec<Seen>>,
}

/// Reads, decides and writes once.
async fn attempt(app: &App, evaluated: &Evaluated, part: &[Taken]) -> Result<(), CommitError> {
    let now = app.now();
    let mut change = Change::new(evaluated, now);
    let notes = notes(evaluated, part, now);
    // The state is read first: what is held later has changed it when it is written.
    let places: BTreeSet<Place> = notes.iter().map(|(_, note)| (note.trigger, note.group)).collect();
    let states = app.store.trigger_states(&places.into_iter().collect::<Vec<_>>()).await?;
    let events: Vec<TakenEvent> = notes.iter().map(|(_, note)| note.clone()).collect();
    let (taken, held, ()) = futures::try_join!(
        app.store.already_taken(&events),
        held_before(app, evaluated, &notes),
        change.read_waiting(app),
    )?;
    let states = states.into_iter().map(|state| (place_of(&state.record), state)).collect();
    change.take_all(&notes, Before { states, taken, held });
    change.write(app).await
}

fn place_of(state: &TriggerState) -> Place {
    (state.trigger, TriggerState::group(state.trigger, &state.values))
}

/// Returns the notes that these events were taken in.
fn notes<'t>(evaluated: &Evaluated, part: &'t [Taken], now: Timestamp) -> Vec<(&'t Taken, TakenEvent)> {
    let note = |taken: &'t Taken| {
        let node = evaluated.tree.nodes().get(taken.node)?;
        let place = (node.trigger.id, TriggerState::group(node.trigger.id, &taken.values));
        let name = &taken.event.event;
        let is_held = !node.trigger.after.is_empty() && !node.coverage.starts_after(name);
        let within = node.trigger.within.as_f64();
        Some((taken, TakenEvent::new(place, taken.event.clone(), is_held, within, now)))
    };
    part.iter().filter_map(note).collect()
}

/// Reads what is held for the windows that these events may open.
async fn held_before(
    app: &App,
    evaluated: &Evaluated,
    notes: &[(&Taken, TakenEvent)],
) -> Result<HashMap<Place, Vec<Seen>>> {
    let opening = notes.iter().filter_map(|(taken, note)| {
        let node = evaluated.tree.nodes().get(taken.node)?;
        let is_opening = !note.is_held && node.coverage.starts_after(&note.event.event);
        is_opening.then_some((node, note))
    });
    let reads = opening.map(|(node, note)| async move {
        let place = (note.trigger, note.group);
        let start = note.event.occurred;
        let limit = usize::try_from(node.trigger.threshold).unwrap_or_default().clamp(1, MOST_HELD);
        let window = (start, start.plus_seconds(node.trigger.within.as_f64()));
        Ok::<_, error::Error>((place, app.store.held_events(place, window, limit).await?))
    });
    let mut held: HashMap<Place, Vec<Seen>> = HashMap::new();
    for (place, events) in try_join_all(reads).await? {
        held.entry(place).or_default().extend(events);
    }
    Ok(held)
}

/// What becomes of a trigger for one set of values.
struct Group<'e> {
    node: &'e Node,
    values: &'e [String],
    window: Option<Window>,
    has_changed: bool,
}

/// What an evaluation changes.
struct Change<'e> {
    evaluated: &'e Evaluated,
    now: Timestamp,
    written: Written,
    /// What waits in the triggers of triggers, with the versions of their items, and whether that has changed.
    waiting: HashMap<TriggerId, (ChildFirings, Option<u64>, bool)>,
}

impl<'e> Change<'e> {
    fn new(evaluated: &'e Evaluated, now: Timestamp) -> Self {
        Self { evaluated, now, written: Written::default(), waiting: HashMap::new() }
    }

    async fn read_waiting(&mut self, app: &App) -> Result<()> {
        let composites = self.evaluated.tree.composites();
        if composites.is_empty() {
            return Ok(());
        }
        for Versioned { record, version } in app.store.waiting_firings(&composites).await? {
            self.waiting.insert(record.trigger, (record.firings, Some(version), false));
        }
        Ok(())
    }

    fn take_all(&mut self, notes: &[(&Taken, TakenEvent)], before: Before) {
        let Before { states, mut taken, mut held } = before;
        let mut groups: HashMap<Place, Group<'_>> = HashMap::new();
        for (event, note) in notes {
            let Some(node) = self.evaluated.tree.nodes().get(event.node) else { continue };
            if !taken.insert(note.key()) {
                continue;
            }
            let place = (note.trigger, note.group);
            let group = groups.entry(place).or_insert_with(|| {
                let window = states.get(&place).and_then(|state| state.record.window.clone());
                Group { node, values: &event.values, window, has_changed: false }
            });
            let held = held.entry(place).or_default();
            let before = group.window.clone();
            let (window, fired) =
                take(&node.trigger, &node.coverage, before.clone(), &note.event, held.as_slice(), self.now);
            if note.is_held {
                held.push(note.event.clone());
            }
            // What changes nothing now may open a window when it comes again, once the one that is open has ended.
            self.written.taken.push(note.clone());
            group.has_changed |= window != before || !fired.is_empty() || note.is_held;
            group.window = window;
            self.fire(node, &event.values, fired);
        }
        for (place, Group { node, values, window, .. }) in groups.into_iter().filter(|(_, group)| group.has_changed) {
            let ids = (self.evaluated.automation.id, node.trigger.id);
            let is_proactive = node.trigger.posture == Posture::Proactive;
            let state = TriggerState::new(ids, values.to_vec(), window, is_proactive, self.now);
            self.written.states.push((state, states.get(&place).map(|state| state.version)));
        }
    }

    /// Takes the firings of a trigger of events to the triggers around it, and to the automation.
    fn fire(&mut self, node: &Node, values: &[String], fired: Vec<Fired>) {
        for fired in fired {
            let mut firing = firing(FiringId::new(), node, values, fired, self.now);
            loop {
                let Some(parent) = self.evaluated.tree.parent(firing.trigger) else {
                    let automation = self.evaluated.automation.clone();
                    self.written.firings.push(Firing { firing, automation });
                    break;
                };
                let (children, _, has_changed) = self.waiting.entry(parent.id()).or_default();
                let before = children.clone();
                let next = child_fired(parent, children, firing);
                *has_changed = *has_changed || *children != before;
                match next {
                    Some(next) => firing = next,
                    None => break,
                }
            }
        }
    }

    async fn write(mut self, app: &App) -> Result<(), CommitError> {
        let changed = self.waiting.into_iter().filter(|(_, (.., has_changed))| *has_changed);
        self.written.waiting =
            changed.map(|(trigger, (firings, version, _))| (WaitingFirings { trigger, firings }, version)).collect();
        app.store.write_evaluated(&self.written).await
    }
}
