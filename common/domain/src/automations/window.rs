//! When a trigger of events fires: events are counted in windows of time, one after the other.
//!
//! A reactive trigger fires as soon as enough events are in its window, and not again before the window ends. A proactive one
//! fires when its window has ended with too few of them. With `after`, only an event that is named there opens a window.
//! These are the rules of Prefect's triggers, but for what the document `docs/automations.md` lists.

use serde::{Deserialize, Serialize};

use super::Coverage;
use crate::model::{
    EventId, ReceivedEvent, Seconds, Timestamp,
    automation::{EventTrigger, Posture},
};

/// How far the first window of a trigger reaches back, in seconds, so that what comes late and out of order counts in it.
pub const LOOKBACK: f64 = 15.0 * 60.0;

/// How long a window of a reactive trigger is kept after its end, in seconds
/// (Prefect's `PREFECT_EVENTS_EXPIRED_BUCKET_BUFFER`).
const EXPIRED_AFTER: f64 = 60.0;

/// What is remembered of an event that was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The event's id.
    pub id: EventId,
    /// The event's name.
    pub event: String,
    /// When it occurred.
    pub occurred: Timestamp,
}

impl From<&ReceivedEvent> for Seen {
    fn from(event: &ReceivedEvent) -> Self {
        Self { id: event.id, event: event.event.clone(), occurred: event.occurred }
    }
}

/// A window of time in which a trigger counts events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When it begins.
    pub start: Timestamp,
    /// When it ends; this moment is in the next one.
    pub end: Timestamp,
    /// How many events were counted; one less where the event that opened it does not count.
    pub count: i64,
    /// The event that was counted last, or opened the window.
    pub last: Option<Seen>,
}

/// That a trigger has fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The event that made it fire, or was the last one before it did.
    pub event: Option<Seen>,
    /// The moment that decided it: when the event occurred, or the window ended.
    pub at: Timestamp,
}

/// The expected events that were taken in before, which a window that opens over them counts.
///
/// Only triggers with `after` hold events.
pub trait Held {
    /// Returns the events from `start` until before `end`, by when they occurred.
    fn within(&self, start: Timestamp, end: Timestamp) -> Vec<Seen>;
}

impl Held for [Seen] {
    fn within(&self, start: Timestamp, end: Timestamp) -> Vec<Seen> {
        let mut held: Vec<Seen> =
            self.iter().filter(|seen| start <= seen.occurred && seen.occurred < end).cloned().collect();
        held.sort_by_key(|seen| (seen.occurred, seen.id));
        held.dedup_by_key(|seen| seen.id);
        held
    }
}

/// Tells whether the trigger fires with each event by itself, so that nothing has to be remembered of it.
pub fn is_stateless(trigger: &EventTrigger) -> bool {
    is_immediate(trigger) && trigger.after.is_empty() && trigger.threshold <= 1
}

/// Tells whether each event counts whenever it occurred.
fn is_immediate(trigger: &EventTrigger) -> bool {
    trigger.posture == Posture::Reactive && trigger.within == Seconds::ZERO
}

fn is_met(trigger: &EventTrigger, count: i64) -> bool {
    match trigger.posture {
        Posture::Reactive => count >= trigger.threshold,
        Posture::Proactive => count < trigger.threshold,
    }
}

fn is_ready(trigger: &EventTrigger, window: &Window, now: Timestamp) -> bool {
    trigger.posture == Posture::Reactive || window.end <= now
}

/// Returns when a window ends that starts at `start`.
fn end_of(trigger: &EventTrigger, start: Timestamp) -> Timestamp {
    start.plus_seconds(trigger.within.as_f64())
}

/// Opens a window of a trigger with `after`, over the events that it held.
fn opened(
    trigger: &EventTrigger,
    start: Timestamp,
    count: i64,
    last: Option<Seen>,
    held: &(impl Held + ?Sized),
) -> Window {
    let end = end_of(trigger, start);
    let before = if trigger.after.is_empty() { 0 } else { held.within(start, end).len() };
    Window { start, end, count: count.saturating_add(i64::try_from(before).unwrap_or(i64::MAX)), last }
}

/// Takes in an event that the trigger covers; returns the window that is open then, and whether the trigger has fired.
///
/// `now` is when it is looked at, which matters for windows that are over for long.
pub fn take(
    trigger: &EventTrigger,
    coverage: &Coverage,
    window: Option<Window>,
    event: &Seen,
    held: &(impl Held + ?Sized),
    now: Timestamp,
) -> (Option<Window>, Vec<Fired>) {
    let mut fired = Vec::new();
    let mut window = window;
    let (starts, expects) = (coverage.starts_after(&event.event), coverage.expects(&event.event));
    if trigger.posture == Posture::Reactive {
        window = window.filter(|window| window.end > now.plus_seconds(-EXPIRED_AFTER));
    }
    if starts && window.as_ref().is_some_and(|window| window.end <= event.occurred) {
        // What is over makes room, and fires before if it was to.
        fired.extend(elapse(trigger, window, event.occurred).1);
        window = None;
    }
    if starts && window.is_none() {
        // An event that starts and is expected counts from the next one on.
        let count = if expects { -1 } else { 0 };
        let opened = opened(trigger, event.occurred, count, Some(event.clone()), held);
        if !expects && trigger.posture == Posture::Reactive && is_met(trigger, opened.count) && trigger.threshold > 0 {
            let last = held.within(opened.start, opened.end).pop().unwrap_or_else(|| event.clone());
            fired.push(Fired { at: last.occurred.max(event.occurred), event: Some(last) });
            return (None, fired);
        }
        window = Some(opened);
    }
    if window.is_none() && trigger.after.is_empty() && expects {
        let start = event.occurred.plus_seconds(-LOOKBACK);
        window = Some(Window { start, end: end_of(trigger, event.occurred), count: 0, last: Some(event.clone()) });
    }
    match window {
        Some(open) if expects => {
            let (window, last) = evaluate(trigger, coverage, open, event, held);
            fired.extend(last);
            (window, fired)
        }
        window => (window, fired),
    }
}

/// Counts an expected event in the window that is open, or in the one that comes after it.
fn evaluate(
    trigger: &EventTrigger,
    coverage: &Coverage,
    mut window: Window,
    event: &Seen,
    held: &(impl Held + ?Sized),
) -> (Option<Window>, Option<Fired>) {
    let at = event.occurred;
    if at < window.start {
        return (Some(window), None);
    }
    let before = window.last.clone();
    let counts = is_immediate(trigger) || at < window.end;
    if counts {
        window.count = window.count.saturating_add(1);
        window.last = Some(event.clone());
    }
    let is_met = is_met(trigger, window.count);
    let fired = (is_ready(trigger, &window, at) && is_met).then(|| Fired { event: Some(event.clone()), at });
    if fired.is_none() && at < window.end {
        let rolls = trigger.posture == Posture::Proactive && !is_met && coverage.starts_after(&event.event);
        if rolls {
            // The event that was to come has come, and the next one is to come after it.
            let is_of_next = |seen: &Seen| {
                coverage.expects(&seen.event) && !coverage.starts_after(&seen.event) && seen.occurred >= at
            };
            let last = before.filter(is_of_next).unwrap_or_else(|| event.clone());
            return (Some(opened(trigger, at, 0, Some(last), held)), None);
        }
        return (Some(window), None);
    }
    if !trigger.after.is_empty() {
        return (None, fired);
    }
    if trigger.within == Seconds::ZERO {
        return (if fired.is_some() { None } else { Some(window) }, fired);
    }
    let start = window.end.max(at);
    let next = Window { start, end: end_of(trigger, start), count: 0, last: None };
    if counts {
        return (Some(next), fired);
    }
    if trigger.posture == Posture::Reactive {
        return evaluate(trigger, coverage, next, event, held);
    }
    (Some(Window { count: 1, ..next }), fired)
}

/// Ends the window of a proactive trigger whose time is over at `now`; returns the next one, and whether the trigger has fired.
pub fn elapse(trigger: &EventTrigger, window: Option<Window>, now: Timestamp) -> (Option<Window>, Option<Fired>) {
    let Some(window) = window else { return (None, None) };
    if trigger.posture == Posture::Reactive || now < window.end {
        return (Some(window), None);
    }
    let is_met = is_met(trigger, window.count);
    let fired = is_met.then(|| Fired { event: window.last.clone(), at: window.end });
    // Each value of its labels is looked at again when an event of it comes; without labels, the next window is open at once.
    let goes_on = trigger.after.is_empty() && (is_met || trigger.for_each.is_empty());
    let start = window.end.max(now);
    let next = goes_on.then(|| Window { start, end: end_of(trigger, start), count: 0, last: None });
    (next, fired)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    struct Trial {
        trigger: EventTrigger,
        coverage: Coverage,
        window: Option<Window>,
        held: Vec<Seen>,
        now: f64,
    }

    fn at(seconds: f64) -> Timestamp {
        "2026-01-31T09:00:00Z".parse::<Timestamp>().unwrap().plus_seconds(seconds)
    }

    impl Trial {
        fn new(fields: &Value) -> Self {
            let mut trigger = json!({"posture": "Reactive"});
            trigger.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let trigger: EventTrigger = serde_json::from_value(trigger).unwrap();
            Self { coverage: Coverage::new(&trigger), trigger, window: None, held: Vec::new(), now: 0.0 }
        }

        /// Takes an event in; returns how often the trigger has fired.
        fn event(&mut self, name: &str, seconds: f64) -> usize {
            self.now = self.now.max(seconds);
            let seen = Seen { id: EventId::new(), event: name.into(), occurred: at(seconds) };
            let held = self.held.as_slice();
            let (window, fired) = take(&self.trigger, &self.coverage, self.window.take(), &seen, held, at(self.now));
            self.window = window;
            if self.coverage.expects(name) && !self.coverage.starts_after(name) {
                self.held.push(seen);
            }
            fired.len()
        }

        /// Lets time pass; returns how often the trigger has fired.
        fn time(&mut self, seconds: f64) -> usize {
            self.now = seconds;
            let (window, fired) = elapse(&self.trigger, self.window.take(), at(seconds));
            self.window = window;
            usize::from(fired.is_some())
        }
    }

    #[test]
    fn an_immediate_trigger_fires_with_each_event() {
        let mut trial = Trial::new(&json!({}));
        assert!(is_stateless(&trial.trigger));
        assert_eq!([trial.event("a", 0.0), trial.event("a", 0.0), trial.event("a", 5.0)], [1, 1, 1]);
        let mut trial = Trial::new(&json!({"threshold": 3}));
        assert!(!is_stateless(&trial.trigger));
        let fired: Vec<_> = (0..7).map(|n| trial.event("a", f64::from(n))).collect();
        assert_eq!(fired, [0, 0, 1, 0, 0, 1, 0]);
    }

    #[test]
    fn a_reactive_trigger_fires_once_a_window() {
        let mut trial = Trial::new(&json!({"threshold": 2, "within": 10}));
        assert_eq!([trial.event("a", 0.0), trial.event("a", 5.0)], [0, 1]);
        // Until the window of the first event is over, no further event counts.
        assert_eq!([trial.event("a", 6.0), trial.event("a", 7.0), trial.event("a", 8.0)], [0, 0, 0]);
        assert_eq!([trial.event("a", 11.0), trial.event("a", 12.0)], [0, 1]);
    }

    #[test]
    fn a_reactive_trigger_counts_what_comes_late_in_its_first_window() {
        let mut trial = Trial::new(&json!({"threshold": 3, "within": 10}));
        assert_eq!([trial.event("a", 100.0), trial.event("a", 90.0), trial.event("a", 95.0)], [0, 0, 1]);
    }

    #[test]
    fn an_event_after_the_window_counts_in_the_next_one() {
        let mut trial = Trial::new(&json!({"threshold": 2, "within": 10}));
        assert_eq!([trial.event("a", 0.0), trial.event("a", 15.0), trial.event("a", 20.0)], [0, 0, 1]);
    }

    #[test]
    fn a_reactive_trigger_waits_for_what_comes_after() {
        let fields = json!({"after": ["a"], "expect": ["b"], "within": 10});
        let mut trial = Trial::new(&fields);
        assert_eq!([trial.event("b", 0.0), trial.event("a", 1.0), trial.event("b", 2.0)], [0, 0, 1]);
        assert_eq!([trial.event("b", 3.0), trial.event("a", 20.0), trial.event("b", 31.0)], [0, 0, 0]);
        // A window that is over makes room for the next one at once.
        assert_eq!([trial.event("a", 40.0), trial.event("a", 55.0), trial.event("b", 56.0)], [0, 0, 1]);
    }

    #[test]
    fn what_was_held_counts_when_its_beginning_comes_late() {
        let mut trial = Trial::new(&json!({"after": ["a"], "expect": ["b"], "within": 10}));
        assert_eq!([trial.event("b", 5.0), trial.event("a", 1.0)], [0, 1]);
        let mut trial = Trial::new(&json!({"after": ["a"], "expect": ["b"], "within": 10, "posture": "Proactive"}));
        assert_eq!([trial.event("b", 5.0), trial.event("a", 1.0), trial.time(11.0)], [0, 0, 0]);
        assert_eq!([trial.event("b", 15.0), trial.event("a", 16.0), trial.time(25.0), trial.time(26.0)], [0, 0, 0, 1]);
    }

    #[test]
    fn a_proactive_trigger_fires_when_too_few_have_come() {
        let mut trial = Trial::new(&json!({"posture": "Proactive", "within": 10, "threshold": 2}));
        assert_eq!([trial.event("a", 0.0), trial.time(9.0), trial.time(10.0)], [0, 0, 1]);
        assert_eq!(
            [trial.event("a", 12.0), trial.event("a", 13.0), trial.time(20.0), trial.time(29.0), trial.time(30.0)],
            [0, 0, 0, 0, 1]
        );
    }

    #[test]
    fn heartbeats_begin_a_new_window_each() {
        let fields = json!({"posture": "Proactive", "within": 10, "after": ["beat"], "expect": ["beat", "end"], "for_each": ["x"]});
        let mut trial = Trial::new(&fields);
        for seconds in [0.0, 8.0, 16.0, 24.0] {
            assert_eq!([trial.event("beat", seconds), trial.time(seconds + 7.0)], [0, 0]);
        }
        assert_eq!([trial.time(33.9), trial.time(34.0)], [0, 1]);
        assert!(trial.window.is_none());
        assert_eq!([trial.event("beat", 50.0), trial.event("end", 55.0), trial.time(60.0)], [0, 0, 0]);
        // The end may be heard of before the last beat.
        assert_eq!(
            [trial.event("beat", 70.0), trial.event("end", 78.0), trial.event("beat", 77.0), trial.time(90.0)],
            [0; 4]
        );
    }

    #[test]
    fn with_labels_only_an_event_opens_the_next_window() {
        let mut trial = Trial::new(&json!({"posture": "Proactive", "within": 10, "for_each": ["x"]}));
        assert_eq!([trial.event("a", 0.0), trial.time(10.0)], [0, 0]);
        assert!(trial.window.is_none());
    }
}
