//! Any webhook, with placeholders for what the notification says and for the block's own secrets.

use std::time::Duration;

use http::{HeaderValue, header::COOKIE};
use serde_json::{Map, Value};

use super::Notification;
use crate::{Message, Request, error::Result, fields::Fields, message::APP, request::form, webhook::method};

/// How long a block may make this server wait.
const LONGEST: f64 = 30.0;

/// The fields that placeholders may be in.
const WITH_PLACEHOLDERS: [&str; 6] = ["url", "params", "form_data", "json_data", "headers", "cookies"];

/// Prepares the call.
pub(super) fn prepare(data: &Value, message: &Message<'_>) -> Result<Notification> {
    let fields = Fields::new("The custom webhook", data);
    if fields.value("form_data").is_some() && fields.value("json_data").is_some() {
        return Err(fields.wrong("it may have `form_data` or `json_data`, not both."));
    }
    let mut values = fields.object("secrets")?.cloned().unwrap_or_default();
    values.insert("subject".to_owned(), message.subject.unwrap_or("null").into());
    values.insert("body".to_owned(), message.body.into());
    values.insert("name".to_owned(), fields.text("name")?.into());
    for name in WITH_PLACEHOLDERS {
        if let Some(unknown) = fields.value(name).and_then(|template| unknown_placeholder(template, &values)) {
            let reason = format!("its field `{name}` has the placeholder `{unknown}`, which is none of its secrets.");
            return Err(fields.wrong(reason));
        }
    }
    let filled = |name: &str| fields.value(name).map(|template| fill(template, &values));
    let named = |name: &str| -> Result<Option<Vec<(String, String)>>> {
        let Some(value) = filled(name) else { return Ok(None) };
        let wrong = || fields.wrong(format!("its field `{name}` must be an object of texts."));
        let pairs = value.as_object().ok_or_else(wrong)?.iter();
        pairs.map(|(key, value)| Ok((key.clone(), scalar(value).ok_or_else(wrong)?))).collect::<Result<_>>().map(Some)
    };

    let address =
        filled("url").and_then(|url| scalar(&url)).ok_or_else(|| fields.wrong("its field `url` is missing."))?;
    if address.contains(|character: char| character.is_ascii_control()) {
        return Err(fields.wrong("its address has characters that none can have."));
    }
    let mut request = Request::new(fields, method(fields)?, &address)?.with(http::header::USER_AGENT, APP);
    if let Some(params) = named("params")? {
        request.url.set_query(None);
        if !params.is_empty() {
            request.url.query_pairs_mut().extend_pairs(params);
        }
    }
    match (filled("json_data"), filled("form_data")) {
        (Some(document), _) => {
            request.body = document.to_string().into_bytes();
            request = request.with(http::header::CONTENT_TYPE, "application/json");
        }
        (None, Some(Value::String(text))) => request.body = text.into_bytes(),
        (None, Some(_)) => {
            let pairs = named("form_data")?.unwrap_or_default();
            request.body = form(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))).into_bytes();
            if !pairs.is_empty() {
                request = request.with(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            }
        }
        (None, None) => {}
    }
    if let Some(cookies) = named("cookies")?.filter(|cookies| !cookies.is_empty()) {
        let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        request = request.with_secret(fields, COOKIE, &cookies.join("; "))?;
    }
    let authorization: Option<HeaderValue> = request.headers.get(http::header::AUTHORIZATION).cloned();
    for (name, value) in named("headers")?.unwrap_or_default() {
        request.set_header(fields, &name, &value)?;
    }
    if let Some(value) = authorization {
        request.headers.insert(http::header::AUTHORIZATION, value);
    }
    request.is_public_only = !fields.flag("allow_private_urls", true)?;
    request.time_limit = Duration::from_secs_f64(fields.number("timeout", 10.0)?.clamp(0.001, LONGEST));
    let is_accepted = |answer: &crate::Answer| (200..300).contains(&answer.status);
    Ok(Notification::of_requests("The webhook", vec![request], is_accepted))
}

/// Returns the first placeholder whose value is not known. Names of fields have no placeholders.
fn unknown_placeholder(template: &Value, values: &Map<String, Value>) -> Option<String> {
    match template {
        Value::String(text) => {
            placeholders(text).find(|found| !values.contains_key(found.name)).map(|found| found.name.to_owned())
        }
        Value::Array(items) => items.iter().find_map(|item| unknown_placeholder(item, values)),
        Value::Object(object) => object.values().find_map(|value| unknown_placeholder(value, values)),
        _ => None,
    }
}

/// Fills in the placeholders. A text that is nothing but one becomes the value as it is.
fn fill(template: &Value, values: &Map<String, Value>) -> Value {
    match template {
        Value::String(text) => fill_text(text, values),
        Value::Array(items) => items.iter().map(|item| fill(item, values)).collect(),
        Value::Object(object) => {
            object.iter().map(|(key, value)| (key.clone(), fill(value, values))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn fill_text(text: &str, values: &Map<String, Value>) -> Value {
    let mut filled = String::with_capacity(text.len());
    let mut end = 0;
    for found in placeholders(text) {
        let value = values.get(found.name).unwrap_or(&Value::Null);
        if found.start == 0 && found.end == text.len() {
            return value.clone();
        }
        filled.push_str(&text[end..found.start]);
        filled.push_str(&python_text(value));
        end = found.end;
    }
    filled.push_str(&text[end..]);
    filled.into()
}

/// A placeholder in a text: `{{ name }}`.
struct Placeholder<'a> {
    name: &'a str,
    start: usize,
    end: usize,
}

fn placeholders(text: &str) -> impl Iterator<Item = Placeholder<'_>> {
    let is_of_name = |character: char| character.is_alphanumeric() || "_.-[]$".contains(character);
    let is_inside = move |character: char| character.is_whitespace() || is_of_name(character);
    let mut begin = 0;
    std::iter::from_fn(move || {
        loop {
            let start = begin + text.get(begin..)?.find("{{")?;
            // In `{{{name}}}` the inner two braces are the placeholder's.
            begin = start + 1;
            let inside = &text[start + 2..];
            let length = inside.find(|character| !is_inside(character))?;
            let name = inside[..length].trim();
            if inside[length..].starts_with("}}") && !name.is_empty() && name.chars().all(is_of_name) {
                let end = start + 2 + length + 2;
                begin = end;
                return Some(Placeholder { name, start, end });
            }
        }
    })
}

/// Returns a value as Python writes it into a text; lists and objects as JSON.
fn python_text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns a value that can be a parameter, a header or a cookie.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: &str) -> Value {
        let values = json!({"a": "A", "b": "{{a}}", "n": 5, "x.y": "dots", "none": null});
        fill(&json!(template), values.as_object().unwrap())
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        let cases = [
            ("{{a}}", json!("A")),
            ("{{ a }} and {{b}}", json!("A and {{a}}")),
            ("{{n}}", json!(5)),
            ("n={{n}}, {{none}}", json!("n=5, None")),
            ("{{{a}}}", json!("{A}")),
            ("{{ {{a}} }}", json!("{{ A }}")),
            ("{{a b}} {{a", json!("{{a b}} {{a")),
            ("{{}} }} {{", json!("{{}} }} {{")),
            ("ä{{x.y}}ü", json!("ädotsü")),
        ];
        for (template, expected) in cases {
            assert_eq!(filled(template), expected, "{template}");
        }
    }
}
