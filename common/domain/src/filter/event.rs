//! The filter of events.
//!
//! Unlike other filters, an empty list says nothing here, and all clauses must hold. Prefixes and label values
//! compare without case in ASCII, names and ids exactly, since the real server uses `LIKE` for the ones and `IN` for the
//! others. Prefixes aren't escaped, so that `%` and `_` in them are wildcards.

use std::{collections::HashSet, slice};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    like::Pattern,
    log::TextSearchFilter,
    python_json::{write_list, write_object, write_string, write_value},
    sort::EventOrder,
    text_search::TextSearch,
    time::TimeBounds,
};
use crate::model::{
    EventId, ReceivedEvent, Resource, Timestamp,
    event::{RESOURCE_ID, RESOURCE_ROLE},
};

const SECONDS_A_DAY: i64 = 86_400;
const DEFAULT_WINDOW_DAYS: i64 = 180;

/// One value or a list of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One value.
    One(T),
    /// A list.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// Returns the values as a list.
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(value) => slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl OneOrMany<String> {
    /// Tells whether Python takes the value for false: an empty text or an empty list.
    fn is_blank(&self) -> bool {
        match self {
            Self::One(text) => text.is_empty(),
            Self::Many(texts) => texts.is_empty(),
        }
    }
}

/// The labels that a resource must have, with the values of which each must have one (contract schema
/// `ResourceSpecification`).
///
/// A value is a pattern in which `*` stands for any run and `?` for any character; `!` before it negates it. A label
/// that the resource lacks has no value, and fails a negated pattern too.
pub type ResourceSpecification = IndexMap<String, OneOrMany<String>>;

/// A filter object on when an event occurred (contract schema `EventOccurredFilter`); both limits are inclusive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventOccurredFilter {
    /// The earliest instant to include; see [`EventFilter::resolve`].
    pub since: Option<Timestamp>,
    /// The latest instant to include; see [`EventFilter::resolve`].
    pub until: Option<Timestamp>,
}

/// A filter object on an event's name (contract schema `EventNameFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventNameFilter {
    /// Prefixes of which the name must have one.
    pub prefix: Option<Vec<String>>,
    /// Prefixes of which the name must have none.
    pub exclude_prefix: Option<Vec<String>>,
    /// The names to include.
    pub name: Option<Vec<String>>,
    /// The names to exclude.
    pub exclude_name: Option<Vec<String>>,
}

impl EventNameFilter {
    fn matches(&self, name: &str) -> bool {
        let is = |one: &String| one == name;
        given(self.prefix.as_deref()).is_none_or(|prefixes| starts_with_one(prefixes, name))
            && given(self.exclude_prefix.as_deref()).is_none_or(|prefixes| !starts_with_one(prefixes, name))
            && given(self.name.as_deref()).is_none_or(|names| names.iter().any(is))
            && given(self.exclude_name.as_deref()).is_none_or(|names| !names.iter().any(is))
    }
}

/// A filter object on the resource that an event is about (contract schema `EventResourceFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventResourceFilter {
    /// The resources' ids to include.
    pub id: Option<Vec<String>>,
    /// Prefixes of which the resource's id must have one.
    pub id_prefix: Option<Vec<String>>,
    /// The labels that the resource must have; a role is none of them, even if the resource was sent with one.
    pub labels: Option<ResourceSpecification>,
    /// Whether to answer one event a resource only; see [`EventFilter::retain_distinct`].
    pub distinct: bool,
}

/// A filter object on the further resources that an event involves, one of which must satisfy all of it
/// (contract schema `EventRelatedFilter`).
///
/// The resource that the event is about has the role `""` here: only `{"role": [""]}` looks at it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventRelatedFilter {
    /// The resources' ids to include.
    pub id: Option<Vec<String>>,
    /// The resources' roles to include.
    pub role: Option<Vec<String>>,
    /// Pairs of an id and a role to include.
    pub resources_in_roles: Option<Vec<(String, String)>>,
    /// The labels that the resource must have, its role among them.
    pub labels: Option<ResourceSpecification>,
}

impl EventRelatedFilter {
    fn matches(&self, event: &ReceivedEvent) -> bool {
        let id = given(self.id.as_deref());
        let role = given(self.role.as_deref());
        let pairs = given(self.resources_in_roles.as_deref());
        let labels = self.labels.as_ref().filter(|labels| !labels.is_empty());
        if id.is_none() && role.is_none() && pairs.is_none() && labels.is_none() {
            return true;
        }
        involved(event).any(|resource| {
            id.is_none_or(|ids| ids.iter().any(|id| id == resource.id()))
                && role.map_or(!resource.role.is_empty(), |roles| roles.iter().any(|role| role == resource.role))
                && pairs.is_none_or(|pairs| pairs.iter().any(|(id, role)| id == resource.id() && role == resource.role))
                && labels.is_none_or(|labels| resource.has_labels_and_role(labels))
        })
    }
}

/// A filter object on all resources that an event involves, one of which must satisfy all of it
/// (contract schema `EventAnyResourceFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventAnyResourceFilter {
    /// The resources' ids to include.
    pub id: Option<Vec<String>>,
    /// Prefixes of which the resource's id must have one.
    pub id_prefix: Option<Vec<String>>,
    /// The labels that the resource must have, its role among them.
    pub labels: Option<ResourceSpecification>,
}

impl EventAnyResourceFilter {
    fn matches(&self, event: &ReceivedEvent) -> bool {
        let id = given(self.id.as_deref());
        let prefix = given(self.id_prefix.as_deref());
        let labels = self.labels.as_ref().filter(|labels| !labels.is_empty());
        involved(event).any(|resource| {
            id.is_none_or(|ids| ids.iter().any(|id| id == resource.id()))
                && prefix.is_none_or(|prefixes| starts_with_one(prefixes, resource.id()))
                && labels.is_none_or(|labels| resource.has_labels_and_role(labels))
        })
    }
}

/// A filter object on an event's id (contract schema `EventIDFilter`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventIdFilter {
    /// The ids to include.
    pub id: Option<Vec<EventId>>,
}

/// Filters events (contract schema `EventFilter`); all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventFilter {
    /// On when the event occurred.
    pub occurred: EventOccurredFilter,
    /// On the event's name.
    pub event: Option<EventNameFilter>,
    /// On the resource that the event is about.
    pub resource: Option<EventResourceFilter>,
    /// On the further resources that the event involves; each filter of a list may be satisfied by another one.
    pub related: Option<OneOrMany<EventRelatedFilter>>,
    /// On all resources that the event involves; each filter of a list may be satisfied by another one.
    pub any_resource: Option<OneOrMany<EventAnyResourceFilter>>,
    /// On the event's id.
    pub id: EventIdFilter,
    /// On the name, the resources and the payload, as the JSON text that the real server keeps them as.
    pub text: Option<TextSearchFilter>,
    /// The order of the answer.
    pub order: EventOrder,
}

impl EventFilter {
    /// Fills in the limits that the request left out: the start of the day 180 days before `now`, and `now`.
    ///
    /// Both stay the same from page to page, so the filter is resolved once, when the first page is asked for.
    /// Until then a limit that was left out doesn't limit.
    pub fn resolve(&mut self, now: Timestamp) {
        let since_midnight = now.as_micros().rem_euclid(SECONDS_A_DAY * 1_000_000);
        let earliest = now.as_micros() - since_midnight - DEFAULT_WINDOW_DAYS * SECONDS_A_DAY * 1_000_000;
        self.occurred.since = self.occurred.since.or_else(|| Timestamp::from_micros(earliest));
        self.occurred.until = self.occurred.until.or(Some(now));
    }

    /// Tells whether the filter selects `event`.
    pub fn matches(&self, event: &ReceivedEvent) -> bool {
        self.occurred_bounds().is_none_or(|bounds| bounds.contains(event.occurred))
            && self.ids().is_none_or(|ids| ids.contains(&event.id))
            && self.event.as_ref().is_none_or(|filter| filter.matches(&event.event))
            && self.resource.as_ref().is_none_or(|filter| filter.matches(&event.resource))
            && all_of(self.related.as_ref(), |filter| filter.matches(event))
            && all_of(self.any_resource.as_ref(), |filter| filter.matches(event))
            && self.text.as_ref().is_none_or(|filter| {
                let clauses = TextSearch::parse(&filter.query).clauses(&searchable_text(event));
                clauses.into_iter().flatten().all(|holds| holds)
            })
    }

    /// Says whether the filter asks for nothing but the name and when the event occurred, however often it occurred to a resource.
    pub fn is_tallied(&self) -> bool {
        let says_nothing = |resource: &EventResourceFilter| {
            let EventResourceFilter { id, id_prefix, labels, .. } = resource;
            given(id.as_deref()).is_none() && given(id_prefix.as_deref()).is_none() && has_no_labels(labels.as_ref())
        };
        let of_any = |filter: &EventAnyResourceFilter| {
            let EventAnyResourceFilter { id, id_prefix, labels } = filter;
            given(id.as_deref()).is_none() && given(id_prefix.as_deref()).is_none() && has_no_labels(labels.as_ref())
        };
        let of_related = |filter: &EventRelatedFilter| {
            let EventRelatedFilter { id, role, resources_in_roles, labels } = filter;
            let is_about_none = given(id.as_deref()).is_none() && given(role.as_deref()).is_none();
            is_about_none && given(resources_in_roles.as_deref()).is_none() && has_no_labels(labels.as_ref())
        };
        self.ids().is_none()
            && self.text.is_none()
            && self.resource.as_ref().is_none_or(says_nothing)
            && all_of(self.related.as_ref(), of_related)
            && all_of(self.any_resource.as_ref(), of_any)
    }

    /// Says whether the filter selects events of this name, whatever else it asks.
    pub fn matches_name(&self, name: &str) -> bool {
        self.event.as_ref().is_none_or(|filter| filter.matches(name))
    }

    /// Keeps the first event of each resource where the filter asks for distinct ones; `sorted` is in the filter's order.
    pub fn retain_distinct(&self, sorted: &mut Vec<ReceivedEvent>) {
        if self.resource.as_ref().is_some_and(|filter| filter.distinct) {
            let mut seen = HashSet::new();
            sorted.retain(|event| seen.insert(event.resource.id().to_owned()));
        }
    }

    /// Returns the limits that every match's occurrence keeps.
    pub fn occurred_bounds(&self) -> Option<TimeBounds> {
        TimeBounds::new(self.occurred.since, self.occurred.until)
    }

    /// Returns the ids of which every match has one.
    pub fn ids(&self) -> Option<&[EventId]> {
        given(self.id.id.as_deref())
    }

    /// Returns the names of which every match has one.
    pub fn names(&self) -> Option<&[String]> {
        given(self.event.as_ref()?.name.as_deref())
    }

    /// Returns the ids of which the resource of every match has one.
    pub fn resource_ids(&self) -> Option<&[String]> {
        given(self.resource.as_ref()?.id.as_deref())
    }

    /// Returns the ids of which one of the resources that a match involves has one, in whatever role.
    pub fn involved_resource_ids(&self) -> Option<&[String]> {
        let related = self.related.as_ref().map_or(&[][..], OneOrMany::as_slice);
        let any_resource = self.any_resource.as_ref().map_or(&[][..], OneOrMany::as_slice);
        self.resource_ids()
            .or_else(|| related.iter().find_map(|filter| given(filter.id.as_deref())))
            .or_else(|| any_resource.iter().find_map(|filter| given(filter.id.as_deref())))
    }
}

impl EventResourceFilter {
    fn matches(&self, resource: &Resource) -> bool {
        let primary = Involved { resource, role: "" };
        given(self.id.as_deref()).is_none_or(|ids| ids.iter().any(|id| id == resource.id()))
            && given(self.id_prefix.as_deref()).is_none_or(|prefixes| starts_with_one(prefixes, resource.id()))
            && self.labels.as_ref().is_none_or(|labels| primary.has_labels(labels))
    }
}

/// A resource in its role, which is empty for the one that the event is about.
#[derive(Clone, Copy)]
struct Involved<'a> {
    resource: &'a Resource,
    role: &'a str,
}

impl Involved<'_> {
    fn id(&self) -> &str {
        self.resource.id()
    }

    /// Tells whether the resource has the labels, its role not being one of them.
    fn has_labels(&self, labels: &ResourceSpecification) -> bool {
        labels.iter().all(|(label, expected)| match label.as_str() {
            RESOURCE_ID => expected.is_blank() || fits_one(expected, self.id()),
            RESOURCE_ROLE => false,
            other => self.resource.label(other).is_some_and(|value| fits_one(expected, value)),
        })
    }

    /// Tells whether the resource has the labels, its role being one of them, which compares exactly.
    fn has_labels_and_role(&self, labels: &ResourceSpecification) -> bool {
        labels.iter().all(|(label, expected)| match label.as_str() {
            RESOURCE_ID => expected.is_blank() || fits_one(expected, self.id()),
            RESOURCE_ROLE => expected.is_blank() || expected.as_slice().iter().any(|role| role == self.role),
            other => self.resource.label(other).is_some_and(|value| fits_one(expected, value)),
        })
    }
}

fn involved(event: &ReceivedEvent) -> impl Iterator<Item = Involved<'_>> {
    let related = event.related.iter().map(|related| Involved { resource: related.resource(), role: related.role() });
    std::iter::once(Involved { resource: &event.resource, role: "" }).chain(related)
}

/// Returns the list unless it is empty, which says nothing.
fn given<T>(list: Option<&[T]>) -> Option<&[T]> {
    list.filter(|list| !list.is_empty())
}

fn has_no_labels(labels: Option<&ResourceSpecification>) -> bool {
    labels.is_none_or(IndexMap::is_empty)
}

fn all_of<T>(filters: Option<&OneOrMany<T>>, matches: impl Fn(&T) -> bool) -> bool {
    filters.is_none_or(|filters| filters.as_slice().iter().all(matches))
}

fn starts_with_one(prefixes: &[String], text: &str) -> bool {
    prefixes.iter().any(|prefix| Pattern::starting_with(prefix).matches(text))
}

fn fits_one(expected: &OneOrMany<String>, value: &str) -> bool {
    expected.as_slice().iter().any(|pattern| match pattern.strip_prefix('!') {
        Some(negated) => !Pattern::glob(negated).matches(value),
        None => Pattern::glob(pattern).matches(value),
    })
}

fn searchable_text(event: &ReceivedEvent) -> String {
    let write_labels = |text: &mut String, resource: &Resource| {
        write_object(text, resource.labels(), |text, value| write_string(text, value));
    };
    let mut text = format!("{} ", event.event);
    write_labels(&mut text, &event.resource);
    text.push(' ');
    write_list(&mut text, &event.related, |text, related| write_labels(text, related.resource()));
    text.push(' ');
    write_object(&mut text, &event.payload, write_value);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(filter: Value) -> EventFilter {
        serde_json::from_value(filter).unwrap()
    }

    fn event() -> ReceivedEvent {
        let document = json!({
            "occurred": "2026-01-31T09:30:00Z",
            "event": "prefect.flow-run.Completed",
            "resource": {
                "prefect.resource.id": "prefect.flow-run.1",
                "prefect.resource.role": "sent-and-forgotten",
                "colour": "Blue_green",
            },
            "related": [
                {"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow", "size": "10%"},
                {"prefect.resource.id": "prefect.tag.x", "prefect.resource.role": "tag"},
            ],
            "payload": {"reason": "café", "count": 1.0},
            "id": "b9f77e07-3cf7-4653-b811-79fdb8d2f369",
            "received": "2026-01-31T09:30:01Z",
        });
        serde_json::from_value(document).unwrap()
    }

    fn check(table: &[(Value, bool)]) {
        for (filter, expected) in table {
            assert_eq!(parse(filter.clone()).matches(&event()), *expected, "{filter}");
        }
    }

    #[test]
    fn names_compare_exactly_and_prefixes_without_case() {
        check(&[
            (json!({"event": {}}), true),
            (json!({"event": {"prefix": []}}), true),
            (json!({"event": {"prefix": ["x", "PREFECT."]}}), true),
            (json!({"event": {"prefix": ["prefect_flow"]}}), true),
            (json!({"event": {"prefix": ["flow"]}}), false),
            (json!({"event": {"exclude_prefix": ["prefect.FLOW"]}}), false),
            (json!({"event": {"name": ["prefect.flow-run.Completed"]}}), true),
            (json!({"event": {"name": ["prefect.flow-run.completed"]}}), false),
            (json!({"event": {"exclude_name": ["prefect.flow-run.Completed"]}}), false),
        ]);
    }

    #[test]
    fn labels_match_by_pattern() {
        let labels = |labels| json!({"resource": {"labels": labels}});
        check(&[
            (labels(json!({})), true),
            (labels(json!({"colour": "blue*"})), true),
            (labels(json!({"colour": "Blue?green"})), true),
            (labels(json!({"colour": "blue-green"})), false),
            (labels(json!({"colour": ["red", "*GREEN"]})), true),
            (labels(json!({"colour": "!red"})), true),
            (labels(json!({"colour": "!blue*"})), false),
            (labels(json!({"shape": "!round"})), false),
            (labels(json!({"colour": []})), false),
            (labels(json!({"prefect.resource.id": []})), true),
            (labels(json!({"prefect.resource.id": "prefect.flow-run.*"})), true),
            (labels(json!({"prefect.resource.role": "sent-and-forgotten"})), false),
        ]);
    }

    #[test]
    fn one_related_resource_must_satisfy_a_whole_filter() {
        check(&[
            (json!({"related": {}}), true),
            (json!({"related": []}), true),
            (json!({"related": {"id": ["prefect.flow.1"], "role": ["flow"]}}), true),
            (json!({"related": {"id": ["prefect.flow.1"], "role": ["tag"]}}), false),
            (json!({"related": [{"id": ["prefect.flow.1"]}, {"role": ["tag"]}]}), true),
            (json!({"related": {"id": ["prefect.flow-run.1"]}}), false),
            (json!({"related": {"id": ["prefect.flow-run.1"], "role": [""]}}), true),
            (json!({"related": {"resources_in_roles": [["prefect.tag.x", "tag"]]}}), true),
            (json!({"related": {"resources_in_roles": [["prefect.tag.x", "flow"]]}}), false),
            (json!({"related": {"labels": {"prefect.resource.role": "flow", "size": "10%"}}}), true),
            (json!({"related": {"labels": {"prefect.resource.role": "fl*"}}}), false),
        ]);
    }

    #[test]
    fn any_resource_may_be_the_primary_or_a_related_one() {
        check(&[
            (json!({"any_resource": {"id": ["prefect.flow-run.1"]}}), true),
            (json!({"any_resource": {"id_prefix": ["prefect.tag"]}}), true),
            (json!({"any_resource": {"id": ["prefect.tag.x"], "id_prefix": ["prefect.flow"]}}), false),
            (json!({"any_resource": [{"id": ["prefect.tag.x"]}, {"id_prefix": ["prefect.flow."]}]}), true),
            (json!({"any_resource": {"labels": {"prefect.resource.role": ["", "x"], "colour": "*"}}}), true),
        ]);
    }

    #[test]
    fn searches_the_stored_text() {
        let text = |query| json!({"text": {"query": query}});
        check(&[
            (text(""), true),
            (text("completed"), true),
            (text("colour"), true),
            (text("\"count\\\": 1.0\""), true),
            (text("café"), false),
            (text("caf\\u00e9"), true),
            (text("completed -flow-run"), false),
        ]);
    }

    #[test]
    fn fills_in_the_window_once() {
        let now = "2026-07-15T12:00:00.5Z".parse().unwrap();
        let mut filter = parse(json!({}));
        filter.resolve(now);
        let bounds = filter.occurred_bounds().unwrap();
        assert_eq!(bounds.not_before, Some("2026-01-16T00:00:00Z".parse().unwrap()));
        assert_eq!(bounds.not_after, Some(now));
        let resolved = filter.clone();
        filter.resolve("2027-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(filter, resolved);
    }

    #[test]
    fn keeps_one_event_a_resource() {
        let mut events = vec![event(), event()];
        parse(json!({"resource": {}})).retain_distinct(&mut events);
        assert_eq!(events.len(), 2);
        parse(json!({"resource": {"distinct": true}})).retain_distinct(&mut events);
        assert_eq!(events.len(), 1);
    }

    #[test]
    fn an_empty_list_bounds_nothing() {
        assert_eq!(parse(json!({"id": {"id": []}})).ids(), None);
        let filter = parse(json!({"related": [{"role": ["flow"]}, {"id": ["prefect.flow.1"]}]}));
        assert_eq!(filter.involved_resource_ids(), Some(["prefect.flow.1".to_owned()].as_slice()));
    }
}
