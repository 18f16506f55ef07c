//! Events: what happened to a resource.

use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

use super::{Object, Timestamp, id::typed_id};

typed_id! {
    /// The id of an event.
    EventId
}

/// How many bits of an id of version 7 come after the millisecond in which it was made.
const BITS_AFTER_TIME: u32 = 80;

impl EventId {
    /// Returns when the id was made, to the millisecond; nothing if it is not of UUID version 7.
    ///
    /// An id may tell a time beyond the calendar, which is none.
    pub fn told_time(self) -> Option<Timestamp> {
        if self.0.get_version_num() != 7 || self.0.get_variant() != Variant::RFC4122 {
            return None;
        }
        let millis = i64::try_from(self.0.as_u128() >> BITS_AFTER_TIME).ok()?;
        Timestamp::from_micros(millis.checked_mul(1_000)?)
    }

    /// Returns an id that no id of version 7 comes before which was made at `time` or later.
    pub fn first_of(time: Timestamp) -> Self {
        let millis = u128::try_from(time.as_micros().div_euclid(1_000)).unwrap_or_default();
        Self(Uuid::from_u128(millis << BITS_AFTER_TIME))
    }
}

/// The label under which every resource carries its id.
pub const RESOURCE_ID: &str = "prefect.resource.id";
/// The label under which a related resource carries its role.
pub const RESOURCE_ROLE: &str = "prefect.resource.role";
/// The label under which a resource may carry its name.
pub const RESOURCE_NAME: &str = "prefect.resource.name";

/// The most characters that an event's name may have (Prefect's `PREFECT_SERVER_EVENTS_MAXIMUM_EVENT_NAME_LENGTH`).
pub const MAXIMUM_EVENT_NAME_LENGTH: usize = 1024;
/// The most labels that a resource may have (Prefect's `PREFECT_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE`).
pub const MAXIMUM_LABELS_PER_RESOURCE: usize = 500;
/// The most related resources that an event may have (Prefect's `PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES`).
pub const MAXIMUM_RELATED_RESOURCES: usize = 100;
/// The most bytes that an event may have as JSON (Prefect's `PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES`).
pub const MAXIMUM_EVENT_SIZE: usize = 1_500_000;

/// The labels of a resource, in the order in which the client sent them.
pub type Labels = IndexMap<String, String>;

/// Why a set of labels isn't a resource; the text is what pydantic answers after `Value error, `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidResource {
    /// There are more than [`MAXIMUM_LABELS_PER_RESOURCE`] labels.
    TooManyLabels,
    /// The label [`RESOURCE_ID`] is missing.
    MissingId,
    /// The label [`RESOURCE_ID`] is empty.
    EmptyId,
    /// A related resource lacks the label [`RESOURCE_ROLE`].
    MissingRole,
    /// The label [`RESOURCE_ROLE`] is empty.
    EmptyRole,
}

impl fmt::Display for InvalidResource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyLabels => {
                write!(formatter, "The maximum number of labels per resource is {MAXIMUM_LABELS_PER_RESOURCE}")
            }
            Self::MissingId => write!(formatter, "Resources must include the {RESOURCE_ID} label"),
            Self::EmptyId => write!(formatter, "The {RESOURCE_ID} label must be non-empty"),
            Self::MissingRole => write!(formatter, "Related Resources must include the {RESOURCE_ROLE} label"),
            Self::EmptyRole => write!(formatter, "The {RESOURCE_ROLE} label must be non-empty"),
        }
    }
}

impl std::error::Error for InvalidResource {}

/// What an event is about, known by its labels, of which [`RESOURCE_ID`] is there and not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Labels", into = "Labels")]
pub struct Resource(Labels);

impl Resource {
    /// Returns the resource's id.
    pub fn id(&self) -> &str {
        self.label(RESOURCE_ID).unwrap_or_default()
    }

    /// Returns the value of the label `label`.
    pub fn label(&self, label: &str) -> Option<&str> {
        self.0.get(label).map(String::as_str)
    }

    /// Returns all labels.
    pub fn labels(&self) -> &Labels {
        &self.0
    }
}

impl TryFrom<Labels> for Resource {
    type Error = InvalidResource;

    fn try_from(labels: Labels) -> Result<Self, Self::Error> {
        if labels.len() > MAXIMUM_LABELS_PER_RESOURCE {
            return Err(InvalidResource::TooManyLabels);
        }
        match labels.get(RESOURCE_ID) {
            None => Err(InvalidResource::MissingId),
            Some(id) if id.is_empty() => Err(InvalidResource::EmptyId),
            Some(_) => Ok(Self(labels)),
        }
    }
}

impl From<Resource> for Labels {
    fn from(resource: Resource) -> Self {
        resource.0
    }
}

/// A further resource that an event involves, in the role that its label [`RESOURCE_ROLE`] names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Labels", into = "Labels")]
pub struct RelatedResource(Resource);

impl RelatedResource {
    /// Returns the role.
    pub fn role(&self) -> &str {
        self.0.label(RESOURCE_ROLE).unwrap_or_default()
    }

    /// Returns the resource without regard to its role.
    pub fn resource(&self) -> &Resource {
        &self.0
    }
}

impl TryFrom<Labels> for RelatedResource {
    type Error = InvalidResource;

    fn try_from(labels: Labels) -> Result<Self, Self::Error> {
        let resource = Resource::try_from(labels)?;
        match resource.label(RESOURCE_ROLE) {
            None => Err(InvalidResource::MissingRole),
            Some("") => Err(InvalidResource::EmptyRole),
            Some(_) => Ok(Self(resource)),
        }
    }
}

impl From<RelatedResource> for Labels {
    fn from(related: RelatedResource) -> Self {
        related.0.0
    }
}

/// An event as a client sends it (contract schema `Event`).
///
/// Its limits ([`MAXIMUM_EVENT_NAME_LENGTH`], [`MAXIMUM_RELATED_RESOURCES`], [`MAXIMUM_EVENT_SIZE`]) are for the
/// receiving operations to check; only those of its resources are part of the types.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When the event happened, by the sender's clock.
    pub occurred: Timestamp,
    /// The event's name, such as `prefect.flow-run.Completed`.
    pub event: String,
    /// The resource that the event is about.
    pub resource: Resource,
    /// The further resources that the event involves.
    #[serde(default)]
    pub related: Vec<RelatedResource>,
    /// What else the sender says about the event.
    #[serde(default)]
    pub payload: Object,
    /// The id that the sender gave the event, by which a repeated one is told.
    pub id: EventId,
    /// An event that is known to have happened before this one.
    #[serde(default)]
    pub follows: Option<EventId>,
}

impl Event {
    /// Returns the event as the server keeps it, received at `received`.
    pub fn receive(self, received: Timestamp) -> ReceivedEvent {
        let Self { occurred, event, resource, related, payload, id, follows } = self;
        ReceivedEvent { occurred, event, resource, related, payload, id, follows, received }
    }
}

/// An event as the server keeps it (contract schema `ReceivedEvent`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReceivedEvent {
    /// When the event happened, by the sender's clock.
    pub occurred: Timestamp,
    /// The event's name, such as `prefect.flow-run.Completed`.
    pub event: String,
    /// The resource that the event is about.
    pub resource: Resource,
    /// The further resources that the event involves.
    #[serde(default)]
    pub related: Vec<RelatedResource>,
    /// What else the sender says about the event.
    #[serde(default)]
    pub payload: Object,
    /// The id that the sender gave the event, by which a repeated one is told.
    pub id: EventId,
    /// An event that is known to have happened before this one.
    #[serde(default)]
    pub follows: Option<EventId>,
    /// When the server received the event.
    pub received: Timestamp,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_resource_has_an_id_and_a_related_one_a_role() {
        assert_eq!(Resource::try_from(labels(&[("a", "b")])), Err(InvalidResource::MissingId));
        assert_eq!(Resource::try_from(labels(&[(RESOURCE_ID, "")])), Err(InvalidResource::EmptyId));
        let without_role = labels(&[(RESOURCE_ID, "x")]);
        assert_eq!(RelatedResource::try_from(without_role.clone()), Err(InvalidResource::MissingRole));
        assert_eq!(Resource::try_from(without_role).unwrap().id(), "x");
        let empty_role = labels(&[(RESOURCE_ID, "x"), (RESOURCE_ROLE, "")]);
        assert_eq!(RelatedResource::try_from(empty_role), Err(InvalidResource::EmptyRole));
    }

    #[test]
    fn an_id_of_version_7_tells_its_time() {
        let before = Timestamp::now();
        let (told, after) = (EventId::new().told_time().unwrap(), Timestamp::now());
        assert!(told.as_micros() >= before.as_micros() - 1_000 && told <= after);
        let of = |id: &str| id.parse::<EventId>().unwrap().told_time();
        assert_eq!(of("019b5a3c-0000-7000-8000-000000000000"), "2025-12-26T10:37:20.256Z".parse().ok());
        for other in [
            "b9f77e07-3cf7-4653-b811-79fdb8d2f369",
            "019b5a3c-0000-7000-c000-000000000000",
            "ffffffff-ffff-7000-8000-000000000000",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert!(EventId::first_of(before) <= EventId::new());
        assert_eq!(EventId::first_of(Timestamp::MIN), EventId(Uuid::nil()));
    }

    #[test]
    fn counts_labels_before_it_looks_at_them() {
        let many: Labels = (0..=MAXIMUM_LABELS_PER_RESOURCE).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(Resource::try_from(many), Err(InvalidResource::TooManyLabels));
    }

    #[test]
    fn keeps_the_order_of_labels_and_fields() {
        let sent = json!({
            "occurred": "2026-01-31T09:30:00Z",
            "event": "kettle.boiled",
            "resource": {"z": "1", "prefect.resource.id": "kettle", "a": "2"},
            "related": [{"prefect.resource.role": "owner", "prefect.resource.id": "me"}],
            "payload": {"z": 1, "a": null},
            "id": "b9f77e07-3cf7-4653-b811-79fdb8d2f369",
            "follows": null,
        });
        let event: Event = serde_json::from_value(sent.clone()).unwrap();
        assert_eq!(serde_json::to_string(&event).unwrap(), sent.to_string());
        let received = event.receive("2026-01-31T09:30:01Z".parse().unwrap());
        assert!(
            serde_json::to_string(&received).unwrap().ends_with(r#""follows":null,"received":"2026-01-31T09:30:01Z"}"#)
        );
    }
}
