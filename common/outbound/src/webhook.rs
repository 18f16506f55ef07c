//! A call of a webhook, as the block `Webhook` makes it.

use http::{HeaderValue, Method, header::CONTENT_TYPE};
use serde_json::Value;
use uuid::Uuid;

use crate::{Request, error::Result, fields::Fields};

/// The block type whose blocks can be called.
pub const WEBHOOK: &str = "webhook";

/// The methods that a block may ask for.
pub(crate) const METHODS: [&str; 5] = ["POST", "GET", "PUT", "PATCH", "DELETE"];

/// The header by which the other side can tell that a call comes again.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a webhook is called with.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// Nothing.
    Empty,
    /// A text, which is sent as it is, without a content type.
    Text(&'a str),
    /// A document, which is sent as JSON.
    Json(&'a Value),
}

/// Prepares the call of a webhook.
///
/// # Errors
/// [`crate::CallError::Misconfigured`] if the block's data does not make a request.
pub fn prepare_webhook(data: &Value, payload: Payload<'_>, invocation: Uuid) -> Result<Request> {
    let fields = Fields::new("The webhook", data);
    let method = method(fields)?;
    let mut request = Request::new(fields, method, fields.text("url")?)?;
    request.headers.insert(http::header::USER_AGENT, HeaderValue::from_static("Proctor"));
    match payload {
        Payload::Empty => {}
        Payload::Text(text) => request.body = text.as_bytes().to_vec(),
        Payload::Json(document) => {
            request.body = document.to_string().into_bytes();
            request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
    }
    // Credentials in the address come before a header that says otherwise.
    let authorization = request.headers.get(http::header::AUTHORIZATION).cloned();
    for (name, value) in fields.named_texts("headers")? {
        request.set_header(fields, name, value)?;
    }
    if let Some(value) = authorization {
        request.headers.insert(http::header::AUTHORIZATION, value);
    }
    identify(&mut request, invocation, 0);
    request.verifies = fields.flag("verify", true)?;
    request.is_public_only = !fields.flag("allow_private_urls", true)?;
    Ok(request)
}

/// Returns the method that a block asks for.
pub(crate) fn method(fields: Fields<'_>) -> Result<Method> {
    let name = fields.choice("method", &METHODS)?;
    Method::from_bytes(name.as_bytes()).map_err(|_| fields.wrong("its method is not one of HTTP."))
}

/// Says which invocation a request belongs to, unless the block has a key of its own. Each recipient's key is another
/// one.
pub(crate) fn identify(request: &mut Request, invocation: Uuid, recipient: usize) {
    let key = if recipient == 0 { invocation.to_string() } else { format!("{invocation}-{recipient}") };
    if let Ok(key) = HeaderValue::from_str(&key) {
        request.headers.entry(IDEMPOTENCY_KEY).or_insert(key);
    }
}
