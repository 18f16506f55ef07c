//! Opsgenie, by its Alert API.

use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Notification;
use crate::{
    Answer, Message, Request,
    error::Result,
    fields::Fields,
    message::{APP, Kind, Text, put, sorted},
};

/// How many characters a message may have; the whole text is in the description.
const MESSAGE_LENGTH: usize = 130;

/// How many responders an alert gets where they are taken together.
const BATCH: usize = 50;

/// Prepares an alert for each of the responders, or for fifty at a time.
pub(super) fn prepare(data: &Value, message: &Message<'_>) -> Result<Notification> {
    let fields = Fields::new("The Opsgenie block", data);
    let kind = Kind::of(fields)?;
    let text = Text::of(fields, message)?;
    let mut details = serde_json::Map::new();
    for (name, value) in fields.named_texts("details")? {
        details.insert(name.to_owned(), value.into());
    }
    details.entry("type").or_insert_with(|| kind.name().into());
    let title = if text.subject.is_empty() { text.body } else { text.subject };
    let mut document = json!({
        "source": APP,
        "message": shortened(title),
        "description": text.body,
        "details": details,
        "priority": priority(fields)?,
    });
    let tags = sorted(fields.texts("tags")?.into_iter().filter(|tag| !tag.is_empty()));
    put(&mut document, "tags", (!tags.is_empty()).then_some(tags));
    for name in ["entity", "alias"] {
        put(&mut document, name, fields.text_or_none(name)?.filter(|text| !text.is_empty()));
    }

    let address = match fields.choice("region_name", &["us", "eu"])? {
        "eu" => "https://api.eu.opsgenie.com/v2/alerts",
        _ => "https://api.opsgenie.com/v2/alerts",
    };
    let key = format!("GenieKey {}", fields.filled_text("apikey")?);
    let request =
        |document: &Value| Request::of_json(fields, address, APP, document)?.with_secret(fields, AUTHORIZATION, &key);
    let responders = responders(fields)?;
    let together = if fields.flag("batch", false)? { BATCH } else { 1 };
    let mut requests = Vec::new();
    for some in responders.chunks(together) {
        let mut document = document.clone();
        put(&mut document, "responders", Some(some.to_vec()));
        requests.push(request(&document)?);
    }
    if requests.is_empty() {
        requests.push(request(&document)?);
    }
    Ok(Notification::of_requests("Opsgenie", requests, is_accepted))
}

/// An alert is made later, and known by its request until then: without that it is not taken.
fn is_accepted(answer: &Answer) -> bool {
    let document: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let has_id = document["requestId"].as_str().is_some_and(|id| !id.is_empty());
    matches!(answer.status, 200 | 202) && has_id
}

fn shortened(title: &str) -> String {
    if title.chars().count() <= MESSAGE_LENGTH {
        return title.to_owned();
    }
    title.chars().take(MESSAGE_LENGTH - 3).chain("...".chars()).collect()
}

fn priority(fields: Fields<'_>) -> Result<String> {
    let asked = fields.number("priority", 3.0)?;
    let known = [1.0, 2.0, 3.0, 4.0, 5.0].into_iter().find(|known: &f64| known.total_cmp(&asked).is_eq());
    Ok(format!("P{}", known.unwrap_or(3.0)))
}

/// Returns whom the alert is for: teams, schedules, users and escalations, each sorted by name.
fn responders(fields: Fields<'_>) -> Result<Vec<Value>> {
    let kinds = [
        ("target_team", "team", "name"),
        ("target_schedule", "schedule", "name"),
        ("target_user", "user", "username"),
        ("target_escalation", "escalation", "name"),
    ];
    let mut responders = Vec::new();
    for (field, kind, called) in kinds {
        let names = fields.texts(field)?.into_iter().map(str::trim).filter(|name| !name.is_empty());
        for name in sorted(names) {
            let key = if name.len() == 36 && Uuid::try_parse(name).is_ok() { "id" } else { called };
            responders.push(json!({"type": kind, key: name}));
        }
    }
    Ok(responders)
}
