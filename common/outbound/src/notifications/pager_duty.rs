//! `PagerDuty`, by its Events API.

use http::header::AUTHORIZATION;
use serde_json::{Map, Value, json};
use url::Url;

use super::Notification;
use crate::{
    Message, Request,
    error::Result,
    fields::Fields,
    message::{APP, Kind, LIBRARY, Text, put},
};

/// The detail that holds the body where the subject is the summary.
const BODY: &str = "Prefect Notification Body";

/// Prepares an alert.
pub(super) fn prepare(data: &Value, message: &Message<'_>) -> Result<Notification> {
    let fields = Fields::new("The PagerDuty block", data);
    let kind = Kind::of(fields)?;
    let subject = message.subject.filter(|subject| !subject.is_empty());
    let mut details = Map::new();
    for (name, value) in fields.named_texts("custom_details")? {
        details.insert(name.to_owned(), value.into());
    }
    let text = if subject.is_some() {
        details.insert(BODY.to_owned(), message.body.into());
        Text::of(fields, &Message { body: " ", ..*message })?
    } else {
        Text::of(fields, message)?
    };

    let severity = match kind {
        Kind::Info | Kind::Success => "info",
        Kind::Warning => "warning",
        Kind::Failure => "critical",
    };
    let filled =
        |name: &str| -> Result<Option<&str>> { Ok(fields.text_or_none(name)?.filter(|text| !text.is_empty())) };
    let source = if fields.value("source").is_none() && data.get("source").is_none() { "Prefect" } else { LIBRARY };
    let mut payload = json!({
        "summary": text.joined(),
        "severity": severity,
        "source": filled("source")?.unwrap_or(source),
        "component": filled("component")?.unwrap_or("Notification"),
    });
    put(&mut payload, "group", filled("group")?);
    put(&mut payload, "class", filled("class_id")?);
    put(&mut payload, "custom_details", (!details.is_empty()).then_some(details));

    let mut document = json!({
        "routing_key": fields.filled_text("integration_key")?,
        // The same alert however often its notification is tried.
        "dedup_key": message.invocation.to_string(),
        "payload": payload,
        "client": APP,
        "event_action": "trigger",
    });
    if let Some(address) = filled("clickable_url")? {
        let url = Url::parse(address).map_err(|_| fields.wrong("its field `clickable_url` is not a valid URL."))?;
        put(&mut document, "links", Some(json!([{"href": url.as_str()}])));
    }
    if fields.flag("include_image", true)? {
        put(&mut document, "images", Some(json!([{"src": kind.icon(128), "alt": kind.name()}])));
    }
    let address = match fields.choice("region_name", &["us", "eu"])? {
        "eu" => "https://events.eu.pagerduty.com/v2/enqueue",
        _ => "https://events.pagerduty.com/v2/enqueue",
    };
    let key = format!("Token token={}", fields.filled_text("api_key")?);
    let request = Request::of_json(fields, address, APP, &document)?.with_secret(fields, AUTHORIZATION, &key)?;
    let is_accepted = |answer: &crate::Answer| matches!(answer.status, 200..=202);
    Ok(Notification::of_requests("PagerDuty", vec![request], is_accepted))
}
