//! Microsoft Teams, by a workflow of Power Automate.

use std::collections::HashSet;

use serde_json::{Value, json};
use url::Url;

use super::Notification;
use crate::{
    Message, Request,
    error::Result,
    fields::Fields,
    message::{APP, Kind, Text, put},
};

/// Prepares a card for the channel that the workflow posts to.
pub(super) fn prepare(data: &Value, message: &Message<'_>) -> Result<Notification> {
    let fields = Fields::new("The Microsoft Teams block", data);
    let url = Url::parse(fields.text("url")?.trim()).ok();
    let flow = url.as_ref().and_then(Flow::of_address);
    let mut flow = flow.ok_or_else(|| fields.wrong("its address is not that of a workflow of Power Automate."))?;
    flow.has_image = fields.flag("include_image", true)?;
    flow.wraps = fields.flag("wrap", true)?;
    let mut notification = flow.prepare(fields, Kind::of(fields)?, message)?;
    let is_public_only = !fields.flag("allow_private_urls", true)?;
    for request in &mut notification.requests {
        request.is_public_only = is_public_only;
    }
    Ok(notification)
}

/// A workflow that begins with a request.
pub(super) struct Flow {
    address: Url,
    has_image: bool,
    wraps: bool,
}

impl Flow {
    /// Reads the address that Power Automate shows; nothing if it is none.
    pub(super) fn of_address(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let segments: Vec<&str> = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let (is_direct, rest) = match segments.as_slice() {
            ["powerautomate", "automations", "direct", "cu", route, rest @ ..] if is_number(route) => (true, rest),
            ["powerautomate", "automations", "direct", rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let ["workflows", workflow, "triggers", "manual", "paths", "invoke"] = rest else { return None };
        let query = |name: &str| {
            let values = url.query_pairs().filter(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty());
            values.last().map(|(_, value)| value.into_owned())
        };
        let signature = query("signature").or_else(|| query("sig"))?;
        if !is_name(workflow) || !is_name(&signature) {
            return None;
        }
        let default = if is_direct { "2022-03-01-preview" } else { "2016-06-01" };
        let version = query("api-version").or_else(|| query("ver")).unwrap_or_else(|| default.to_owned());
        let mut address = url.clone();
        // The signature is as good as a password.
        if url.scheme() == "http" {
            let port = url.port();
            address.set_scheme("https").ok()?;
            address.set_port(port).ok()?;
        }
        address.set_path(&format!("/{}", segments.join("/")));
        address.set_query(None);
        address.query_pairs_mut().extend_pairs([
            ("api-version", version.as_str()),
            ("sp", "/triggers/manual/run"),
            ("sv", "1.0"),
            ("sig", signature.as_str()),
        ]);
        Some(Self { address, has_image: true, wraps: true })
    }

    /// Prepares the card.
    pub(super) fn prepare(self, fields: Fields<'_>, kind: Kind, message: &Message<'_>) -> Result<Notification> {
        let text = Text::of(fields, message)?;
        let mut parts = Vec::new();
        if self.has_image {
            parts.push(json!({"type": "Image", "url": kind.icon(32), "height": "32px", "altText": kind.name()}));
        }
        if !text.subject.is_empty() {
            parts.push(json!({
                "type": "TextBlock",
                "text": text.subject,
                "style": "heading",
                "weight": "Bolder",
                "size": "Large",
                "id": "title",
            }));
        }
        let wraps = self.wraps;
        parts.push(json!({"type": "TextBlock", "text": text.body, "style": "default", "wrap": wraps, "id": "body"}));
        let mut teams = json!({"width": "full"});
        let mentions = mentions(text.body);
        put(&mut teams, "entities", (!mentions.is_empty()).then_some(mentions));
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": parts,
            "msteams": teams,
        });
        let attachment =
            json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
        let document = json!({"type": "message", "attachments": [attachment]});
        let request = Request::of_json(fields, self.address.as_str(), APP, &document)?;
        let is_accepted = |answer: &crate::Answer| matches!(answer.status, 200 | 202);
        Ok(Notification::of_requests("Microsoft Teams", vec![request], is_accepted))
    }
}

/// Returns who is mentioned as `<at>somebody</at>`, each once.
fn mentions(body: &str) -> Vec<Value> {
    let lower = body.to_ascii_lowercase();
    let mut known = HashSet::new();
    let mut mentions = Vec::new();
    let mut begin = 0;
    while let Some(found) = lower[begin..].find("<at>") {
        let start = begin + found;
        let inside = start + "<at>".len();
        begin = inside;
        let Some(length) = lower[inside..].find('<') else { break };
        let end = inside + length;
        let name = body[inside..end].trim();
        if !lower[end..].starts_with("</at>") || name.is_empty() || !known.insert(name) {
            continue;
        }
        let tag = &body[start..end + "</at>".len()];
        mentions.push(json!({"type": "mention", "text": tag, "mentioned": {"id": name, "name": name}}));
    }
    mentions
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
