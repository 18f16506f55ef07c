//! Mail, by `SendGrid`.

use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::{Notification, mail::mail_address};
use crate::{
    Message, Request,
    error::Result,
    fields::Fields,
    message::{APP, Text, sorted_parts},
};

/// The subject of a mail that has none, as the service takes no mail without one.
const NO_SUBJECT: &str = "<no subject>";

/// Prepares a mail to each of the recipients, or to the sender if there are none.
pub(super) fn prepare(data: &Value, message: &Message<'_>) -> Result<Notification> {
    let fields = Fields::new("The SendGrid block", data);
    let text = Text::of(fields, message)?;
    let key = fields.filled_text("api_key")?;
    if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')) {
        return Err(fields.wrong("its field `api_key` is not a key of SendGrid."));
    }
    let sender = mail_address(fields.text("sender_email")?)
        .ok_or_else(|| fields.wrong("its field `sender_email` is not a mail address."))?;
    // A name may stand before the address, so each text is split only where it has commas.
    let recipients = fields.texts("to_emails")?;
    let mut recipients: Vec<&str> = sorted_parts(recipients).into_iter().filter_map(mail_address).collect();
    if recipients.is_empty() {
        recipients.push(sender);
    }
    let subject = if text.subject.is_empty() { NO_SUBJECT } else { text.subject };
    let requests = recipients.iter().map(|recipient| {
        let document = json!({
            "personalizations": [{"to": [{"email": recipient}]}],
            "from": {"email": sender},
            "subject": subject,
            "content": [{"type": "text/html", "value": text.body}],
        });
        let request = Request::of_json(fields, "https://api.sendgrid.com/v3/mail/send", APP, &document)?;
        request.with_secret(fields, AUTHORIZATION, &format!("Bearer {key}"))
    });
    let requests = requests.collect::<Result<Vec<Request>>>()?;
    Ok(Notification::of_requests("SendGrid", requests, |answer| matches!(answer.status, 200 | 202)))
}
