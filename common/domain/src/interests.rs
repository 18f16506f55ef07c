//! Where those who are to be told of something are filed, and where one looks who has something to tell.
//!
//! A filter is filed under something that all it selects have in common: a resource, a run, a name, or how the name
//! begins. Who has an event looks in the few places that it belongs to, and there asks the filters themselves. So the
//! places only have to be enough, never exact: [`of_event`] names every place of a filter that selects the event.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::{
    filter::{EventFilter, LogFilter},
    model::{Log, ReceivedEvent, Subscription, WorkPoolId},
};

/// Up to how many values a filter is filed under each of them.
const MOST_VALUES: usize = 25;

/// How many parts of a name, between its full stops, a place says at most.
const MOST_PARTS: usize = 2;

/// The place of those who are to be told of all events, as far as the index knows.
const ALL_EVENTS: &str = "events/all";

/// The place of those who are to be told of all log lines, as far as the index knows.
const ALL_LOGS: &str = "logs/all";

/// The place of all connections through which background task runs are handed out, whether they are free or not.
pub const TASK_WORKERS: &str = "task_workers";

/// Something that one may ask for, and where those are filed who have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interest {
    /// The place; there are few of a kind, so that it is cheap to know in which somebody is.
    pub place: String,
    /// What is asked for, of all that share the place; empty where that is everything.
    pub asked: String,
}

impl Interest {
    fn all(place: &str) -> Self {
        Self { place: place.to_owned(), asked: String::new() }
    }

    /// Files under one of 256 places of its kind, by the value.
    fn of(kind: &str, value: &str) -> Self {
        let bucket = Uuid::new_v5(&Uuid::NAMESPACE_OID, value.as_bytes()).as_bytes()[0];
        Self { place: format!("{kind}/{bucket}"), asked: value.to_owned() }
    }

    /// Returns the interest in the runs of a background task.
    pub fn in_task(task_key: &str) -> Self {
        Self::of("task", task_key)
    }

    /// Returns the interest in a work pool.
    pub fn in_pool(pool: WorkPoolId) -> Self {
        Self::of("pool", &pool.to_string())
    }

    /// Returns the interest of all who work for background tasks.
    pub fn of_task_workers() -> Self {
        Self::all(TASK_WORKERS)
    }
}

impl Subscription {
    /// Returns what the subscription is filed under as long as its connection lives.
    ///
    /// A worker of background tasks is filed under its tasks only while it is free, which this does not name.
    pub fn interests(&self) -> Vec<Interest> {
        match self {
            Self::Events(subscription) => of_event_filter(&subscription.filter),
            Self::Logs(subscription) => of_log_filter(&subscription.filter),
            Self::TaskRuns(_) => vec![Interest::of_task_workers()],
            Self::Pool(subscription) => vec![Interest::in_pool(subscription.pool)],
        }
    }
}

/// Returns what a filter of events is filed under.
pub fn of_event_filter(filter: &EventFilter) -> Vec<Interest> {
    let few = |values: &&[String]| values.len() <= MOST_VALUES;
    let each = |kind: &str, values: &[String]| distinct(values.iter().map(|value| Interest::of(kind, value)));
    if let Some(ids) = filter.involved_resource_ids().filter(few) {
        return each("events/resource", ids);
    }
    if let Some(names) = filter.names().filter(few) {
        return each("events/name", names);
    }
    let prefixes = filter.event.as_ref().and_then(|event| event.prefix.as_deref());
    let stems: Option<BTreeSet<String>> = prefixes
        .filter(|prefixes| !prefixes.is_empty() && prefixes.len() <= MOST_VALUES)
        .and_then(|prefixes| prefixes.iter().map(|prefix| stem_of_prefix(prefix)).collect());
    match stems {
        Some(stems) => stems.iter().map(|stem| Interest::all(&of_stem(stem))).collect(),
        None => vec![Interest::all(ALL_EVENTS)],
    }
}

/// Returns where those may be filed who are to be told of `event`.
pub fn of_event(event: &ReceivedEvent) -> Vec<Interest> {
    let involved = event.related.iter().map(|related| related.resource().id());
    let involved = std::iter::once(event.resource.id()).chain(involved);
    let stems = stems_of_name(&event.event).into_iter().map(|stem| Interest::all(&of_stem(&stem)));
    let others = [Interest::all(ALL_EVENTS), Interest::of("events/name", &event.event)];
    distinct(others.into_iter().chain(stems).chain(involved.map(|id| Interest::of("events/resource", id))))
}

/// Returns what a filter of log lines is filed under; nothing if it selects none.
pub fn of_log_filter(filter: &LogFilter) -> Vec<Interest> {
    if let Some(ids) = filter.task_run_ids().filter(|ids| ids.len() <= MOST_VALUES) {
        return distinct(ids.iter().map(|id| Interest::of("logs/task_run", &id.to_string())));
    }
    if let Some(ids) = filter.flow_run_ids().filter(|ids| ids.len() <= MOST_VALUES) {
        return distinct(ids.iter().map(|id| Interest::of("logs/flow_run", &id.to_string())));
    }
    vec![Interest::all(ALL_LOGS)]
}

/// Returns where those may be filed who are to be told of `log`.
pub fn of_log(log: &Log) -> Vec<Interest> {
    let flow_run = log.flow_run_id.map(|id| Interest::of("logs/flow_run", &id.to_string()));
    let task_run = log.task_run_id.map(|id| Interest::of("logs/task_run", &id.to_string()));
    [Some(Interest::all(ALL_LOGS)), flow_run, task_run].into_iter().flatten().collect()
}

fn distinct(interests: impl Iterator<Item = Interest>) -> Vec<Interest> {
    interests.collect::<BTreeSet<_>>().into_iter().collect()
}

fn of_stem(stem: &str) -> String {
    format!("events/prefix/{stem}")
}

/// Returns what the names that start with `prefix` certainly start with, in whole parts; none if that is nothing.
///
/// Prefixes compare without case in ASCII, `%` and `_` in them are wildcards, and a NUL ends them
/// ([`super::filter::like`]).
fn stem_of_prefix(prefix: &str) -> Option<String> {
    let literal = prefix.split(['%', '_', '\0']).next().unwrap_or_default();
    let (whole, _) = literal.rsplit_once('.')?;
    Some(parts(whole).join("."))
}

/// Returns every stem that a prefix of `name` may have.
fn stems_of_name(name: &str) -> Vec<String> {
    let name = name.split('\0').next().unwrap_or_default();
    let Some((whole, _)) = name.rsplit_once('.') else { return Vec::new() };
    let parts = parts(whole);
    (1..=parts.len()).map(|count| parts[..count].join(".")).collect()
}

fn parts(whole: &str) -> Vec<String> {
    whole.split('.').take(MOST_PARTS).map(str::to_ascii_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{FlowRunId, LogId, TaskRunId, Timestamp};

    fn event(name: &str, resource: &str, related: &[String]) -> ReceivedEvent {
        let related: Vec<Value> =
            related.iter().map(|id| json!({"prefect.resource.id": id, "prefect.resource.role": "x"})).collect();
        serde_json::from_value(json!({
            "occurred": "2026-01-31T09:30:00Z", "event": name, "resource": {"prefect.resource.id": resource},
            "related": related, "id": Uuid::nil(), "received": "2026-01-31T09:30:01Z",
        }))
        .unwrap()
    }

    fn names() -> impl Strategy<Value = String> {
        "[aAb%_.\\x00]{0,6}"
    }

    fn some(of: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(of, 0..3)
    }

    fn resources() -> impl Strategy<Value = String> {
        "[ab]{1,2}"
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn whoever_is_to_be_told_of_an_event_is_where_one_looks(
            name in names(), resource in resources(), related in some(resources()),
            prefixes in some(names()), exact in some(names()), excluded in some(names()),
            ids in some(resources()), related_ids in some(resources()), any_ids in some(resources()),
            id_prefixes in some(resources()), which in 0..64_u8,
        ) {
            let mut filter = json!({});
            let mut set = |bit: u8, path: &[&str], value: Value| if which & (1 << bit) != 0 {
                let mut place = &mut filter;
                for part in path { place = &mut place[*part]; }
                *place = value;
            };
            set(0, &["event", "prefix"], json!(prefixes));
            set(1, &["event", "name"], json!(exact));
            set(2, &["event", "exclude_name"], json!(excluded));
            set(3, &["resource", "id"], json!(ids));
            set(4, &["related"], json!([{"id": related_ids}, {"role": ["x"]}]));
            set(5, &["any_resource"], json!({"id": any_ids, "id_prefix": id_prefixes}));
            let filter: EventFilter = serde_json::from_value(filter).unwrap();
            let event = event(&name, &resource, &related);
            if filter.matches(&event) {
                let (filed, looked) = (of_event_filter(&filter), of_event(&event));
                prop_assert!(filed.iter().any(|one| looked.contains(one)), "{filed:?} and {looked:?}");
            }
        }
    }

    #[test]
    fn few_places_are_looked_in() {
        let event = event("prefect.flow-run.Completed", "prefect.flow-run.1", &["prefect.flow.1".to_owned()]);
        assert_eq!(of_event(&event).len(), 6);
        let filed = |filter| of_event_filter(&serde_json::from_value(filter).unwrap());
        let places = |filter| filed(filter).into_iter().map(|interest| interest.place).collect::<Vec<_>>();
        assert_eq!(places(json!({})), ["events/all"]);
        assert_eq!(places(json!({"event": {"prefix": ["prefect.flow-run."]}})), ["events/prefix/prefect.flow-run"]);
        assert_eq!(
            places(json!({"event": {"prefix": ["Prefect.flow", "x."]}})),
            ["events/prefix/prefect", "events/prefix/x"]
        );
        assert_eq!(places(json!({"event": {"prefix": ["x.", "all"]}})), ["events/all"]);
        let of_run = filed(json!({"any_resource": {"id": ["prefect.flow-run.1"]}}));
        assert!(of_run.len() == 1 && of_event(&event).contains(&of_run[0]), "{of_run:?}");
    }

    #[test]
    fn whoever_is_to_be_told_of_a_line_is_where_one_looks() {
        let (flow_run, task_run, now) = (FlowRunId::new(), TaskRunId::new(), Timestamp::now());
        let line: Log = serde_json::from_value(json!({
            "id": LogId::new(), "created": now, "updated": now, "name": "a", "level": 20, "message": "m",
            "timestamp": now, "flow_run_id": flow_run, "task_run_id": task_run,
        }))
        .unwrap();
        for filter in [
            json!({}),
            json!({"flow_run_id": {"any_": [flow_run, FlowRunId::new()]}}),
            json!({"task_run_id": {"any_": [task_run]}, "level": {"ge_": 10}}),
            json!({"task_run_id": {"any_": [TaskRunId::new()]}, "level": {"ge_": 10}, "operator": "or_"}),
        ] {
            let parsed: LogFilter = serde_json::from_value(filter.clone()).unwrap();
            assert!(parsed.matches(&line), "{filter}");
            assert!(of_log_filter(&parsed).iter().any(|one| of_log(&line).contains(one)), "{filter}");
        }
        let nothing: LogFilter = serde_json::from_value(json!({"flow_run_id": {"any_": []}})).unwrap();
        assert_eq!(of_log_filter(&nothing), []);
    }
}
