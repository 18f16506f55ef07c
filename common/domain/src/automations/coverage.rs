//! Which events a trigger covers.

use regex::Regex;

use super::glob::{Glob, Negatable};
use crate::model::{
    ReceivedEvent, Resource,
    automation::{EventTrigger, ResourceSpecification},
};

/// The events that no trigger covers, as in Prefect.
const NOT_EVALUATED: &str = "prefect.log.write";

/// What an event has to be for a trigger to take it in, made ready to be asked often.
#[derive(Clone, Debug)]
pub struct Coverage {
    expect: Patterns,
    after: Patterns,
    /// Whether any event will do.
    expects_all: bool,
    r#match: Specification,
    match_related: Vec<Specification>,
    /// The labels whose values keep evaluations apart, sorted.
    for_each: Vec<String>,
}

/// The names of events.
#[derive(Clone, Debug)]
struct Patterns {
    /// As `expects` and `starts_after` look at them.
    names: Vec<Negatable>,
    /// As it is looked up whom an event concerns: `!` negates nothing there.
    plain: Vec<Glob>,
    /// As `covers` looks at them: at the beginning of the name, and `*` stands for one character at least.
    beginnings: Vec<Option<Regex>>,
}

/// The labels of a resource, each with what its value may be.
#[derive(Clone, Debug)]
struct Specification(Vec<(String, Vec<Negatable>)>);

impl Coverage {
    /// Reads what `trigger` covers.
    pub fn new(trigger: &EventTrigger) -> Self {
        let mut for_each: Vec<String> = trigger.for_each.iter().cloned().collect();
        for_each.sort();
        Self {
            expects_all: trigger.expect.is_empty(),
            expect: Patterns::new(&trigger.expect),
            after: Patterns::new(&trigger.after),
            r#match: Specification::new(&trigger.r#match),
            match_related: trigger.match_related.as_slice().iter().map(Specification::new).collect(),
            for_each,
        }
    }

    /// Tells whether the trigger takes the event in, be it as one that it expects or as one that it starts after.
    pub fn covers(&self, event: &ReceivedEvent) -> bool {
        self.covers_name(&event.event)
            && self.r#match.matches(&event.resource)
            && self.match_related.iter().all(|specification| {
                specification.0.is_empty()
                    || event.related.iter().any(|related| specification.matches(related.resource()))
            })
    }

    /// Tells whether the trigger may take in events of this name.
    pub fn covers_name(&self, name: &str) -> bool {
        if name == NOT_EVALUATED {
            return false;
        }
        if self.expects_all {
            return !name.is_empty();
        }
        let both = || [&self.expect, &self.after].into_iter();
        both().any(|patterns| patterns.plain.iter().any(|glob| glob.matches(name)))
            && both().any(|patterns| patterns.beginnings.iter().flatten().any(|beginning| beginning.is_match(name)))
    }

    /// Returns the names of events that the trigger may take in, if it is only these.
    pub fn literal_names(&self) -> Option<Vec<&str>> {
        if self.expects_all {
            return None;
        }
        let globs = self.expect.plain.iter().chain(&self.after.plain);
        globs.map(|glob| if let Glob::Literal(name) = glob { Some(name.as_str()) } else { None }).collect()
    }

    /// Tells whether events of this name are those that the trigger waits for.
    pub fn expects(&self, name: &str) -> bool {
        self.expects_all || self.expect.names.iter().any(|pattern| pattern.matches(name))
    }

    /// Tells whether events of this name are those that must have been seen first.
    pub fn starts_after(&self, name: &str) -> bool {
        self.after.names.iter().any(|pattern| pattern.matches(name))
    }

    /// Returns the values that keep the evaluation of this event apart from others', by the labels' names.
    pub fn values(&self, event: &ReceivedEvent) -> Vec<String> {
        self.for_each.iter().map(|label| label_of(event, label).unwrap_or_default().to_owned()).collect()
    }

    /// Returns the labels whose values keep evaluations apart, in the order of [`Self::values`].
    pub fn labels(&self) -> &[String] {
        &self.for_each
    }
}

impl Patterns {
    fn new<'p>(patterns: impl IntoIterator<Item = &'p String>) -> Self {
        let patterns: Vec<&String> = patterns.into_iter().collect();
        let beginning = |pattern: &&String| {
            let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
            Regex::new(&format!(r"\A{}", parts.join(".+"))).ok()
        };
        Self {
            names: patterns.iter().map(|pattern| Negatable::new(pattern)).collect(),
            plain: patterns.iter().map(|pattern| Glob::new(pattern)).collect(),
            beginnings: patterns.iter().map(beginning).collect(),
        }
    }
}

impl Specification {
    fn new(specification: &ResourceSpecification) -> Self {
        let values = |values: &[String]| values.iter().map(|value| Negatable::new(value)).collect();
        Self(specification.0.iter().map(|(label, each)| (label.clone(), values(each.as_slice()))).collect())
    }

    fn matches(&self, resource: &Resource) -> bool {
        self.0.iter().all(|(label, values)| {
            resource.label(label).is_some_and(|value| values.iter().any(|pattern| pattern.matches(value)))
        })
    }
}

/// Finds the value of a label of the event's resource, or of the first that is related in a role: `related:<role>:<label>`.
fn label_of<'e>(event: &'e ReceivedEvent, label: &str) -> Option<&'e str> {
    let (directive, name) = label.rsplit_once(':').unwrap_or(("", label));
    let (directive, role) = directive.split_once(':').unwrap_or((directive, ""));
    if directive == "related"
        && let Some(related) = event.related.iter().find(|related| related.role() == role)
    {
        return related.resource().label(name);
    }
    event.resource.label(label)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn coverage(fields: &Value) -> Coverage {
        let mut trigger = json!({"posture": "Reactive"});
        trigger.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Coverage::new(&serde_json::from_value(trigger).unwrap())
    }

    fn event(name: &str) -> ReceivedEvent {
        serde_json::from_value(json!({
            "occurred": "2026-01-31T09:30:00Z", "event": name, "id": "b9f77e07-3cf7-4653-b811-79fdb8d2f369",
            "received": "2026-01-31T09:30:01Z",
            "resource": {"prefect.resource.id": "prefect.flow-run.1", "colour": "blue"},
            "related": [
                {"prefect.resource.id": "prefect.flow.1", "prefect.resource.role": "flow", "size": "10"},
                {"prefect.resource.id": "prefect.tag.x", "prefect.resource.role": "tag"},
                {"prefect.resource.id": "prefect.flow.2", "prefect.resource.role": "flow"},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn covers_names_as_the_real_server_does() {
        let table = [
            (json!({}), "anything", true),
            (json!({}), "prefect.log.write", false),
            (json!({"after": ["b"]}), "a", true),
            (json!({"expect": ["a"]}), "a", true),
            (json!({"expect": ["a"]}), "ab", false),
            (json!({"expect": ["a"], "after": ["b"]}), "b", true),
            (json!({"expect": ["a.*"]}), "a.b", true),
            (json!({"expect": ["a.*"]}), "a.", false),
            (json!({"expect": ["a?"]}), "ab", false),
            (json!({"expect": ["!a"]}), "b", false),
            (json!({"expect": ["!a", "*"]}), "b", true),
        ];
        for (fields, name, expected) in table {
            assert_eq!(coverage(&fields).covers(&event(name)), expected, "{fields} {name}");
        }
    }

    #[test]
    fn covers_resources_by_their_labels() {
        let table = [
            (json!({"match": {"colour": "blue"}}), true),
            (json!({"match": {"colour": "!blue"}}), false),
            (json!({"match": {"colour": ["red", "b*"]}}), true),
            (json!({"match": {"shape": "!round"}}), false),
            (json!({"match": {"colour": []}}), false),
            (json!({"match_related": {"prefect.resource.role": "flow", "size": "10"}}), true),
            (json!({"match_related": {"prefect.resource.role": "tag", "size": "10"}}), false),
            (json!({"match_related": [{"prefect.resource.role": "tag"}, {"size": "1?"}]}), true),
            (json!({"match_related": [{"prefect.resource.role": "tag"}, {"size": "2?"}]}), false),
            (json!({"match_related": [{}]}), true),
        ];
        for (fields, expected) in table {
            assert_eq!(coverage(&fields).covers(&event("a")), expected, "{fields}");
        }
    }

    #[test]
    fn values_are_those_of_the_first_that_is_related() {
        let labels = json!({"for_each": [
            "related:flow:prefect.resource.id", "colour", "shape", "related:nobody:colour", "related:tag:size"]});
        let coverage = coverage(&labels);
        let values: Vec<_> = coverage.labels().iter().cloned().zip(coverage.values(&event("a"))).collect();
        let of = |label: &str| values.iter().find(|(name, _)| name == label).unwrap().1.clone();
        assert_eq!(of("related:flow:prefect.resource.id"), "prefect.flow.1");
        assert_eq!([of("colour"), of("shape"), of("related:tag:size")], ["blue", "", ""]);
        assert!(coverage.labels().is_sorted());
    }

    #[test]
    fn names_without_signs_are_known() {
        assert_eq!(coverage(&json!({"expect": ["a"], "after": ["b"]})).literal_names(), Some(vec!["a", "b"]));
        assert_eq!(coverage(&json!({"expect": ["a"], "after": ["b*"]})).literal_names(), None);
        assert_eq!(coverage(&json!({"after": ["b"]})).literal_names(), None);
    }
}
