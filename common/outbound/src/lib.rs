//! Calls that leave the server: webhooks and notifications.
//!
//! A call is prepared from a block's data, which is pure, and then sent within a [`Reach`]. What can't be prepared
//! can be refused before anything happens, when an automation is saved. Prefect's blocks send notifications by a
//! library of Python; here each service is one file that builds the same request. Blocks that users write themselves
//! run in Python and are [`CallError::Unsupported`]. Mail goes out by SMTP, where a block has an address of mail.
//!
//! Nothing here is logged, and no error has an address, a header or a value of a block in it.

mod client;
mod error;
mod fields;
mod message;
mod notifications;
mod reach;
mod request;
mod smtp;
mod submission;
mod tls;
mod webhook;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use uuid::Uuid;

use client::HttpClient;
pub use client::{ANSWER_LIMIT, Answer, REQUEST_LIMIT};
pub use error::{CallError, Result};
pub use message::Message;
pub use notifications::{Notification, check_notification, prepare_notification, supports};
pub use reach::Reach;
pub use request::Request;
use smtp::SmtpClient;
pub use submission::{Login, Mail, MailServer, Security, Submission};
use tls::Tls;
pub use webhook::{Payload, WEBHOOK, prepare_webhook};

/// How long a notification may take, with all of its recipients.
const NOTIFICATION_LIMIT: Duration = Duration::from_mins(1);

/// Makes calls that leave the server.
pub struct Outbound {
    client: HttpClient,
    smtp: SmtpClient,
}

impl Outbound {
    /// Makes calls that reach as far as this.
    pub fn new(reach: Reach) -> Self {
        let tls = Arc::new(Tls::default());
        Self { client: HttpClient::new(reach, tls.clone()), smtp: SmtpClient::new(reach, tls) }
    }

    /// Calls the webhook of a block and returns what it answers, whichever status that has.
    ///
    /// `invocation` is the same whenever a call is tried again; the other side gets it as the header `Idempotency-Key`.
    ///
    /// # Errors
    /// A [`CallError`] if the block's data makes no request, or if there was no answer to it.
    pub async fn call_webhook(&self, data: &Value, payload: Payload<'_>, invocation: Uuid) -> Result<Answer> {
        self.client.send(prepare_webhook(data, payload, invocation)?).await
    }

    /// Sends a notification by a block of this type.
    ///
    /// # Errors
    /// A [`CallError`] if the block's type or data makes no request, or if a recipient did not get the notification.
    /// Its [`CallError::log`] is what Prefect has as the log of a `NotificationError`.
    pub async fn notify(
        &self,
        block_type: &str,
        data: &Value,
        subject: Option<&str>,
        body: &str,
        invocation: Uuid,
    ) -> Result<()> {
        let sent_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
        let message = Message { subject, body, sent_at, invocation };
        self.send(prepare_notification(block_type, data, &message)?).await
    }

    /// Sends a notification that is prepared, to one recipient after the other, also if one of them fails.
    ///
    /// # Errors
    /// A [`CallError`] if a recipient did not get it.
    pub async fn send(&self, notification: Notification) -> Result<()> {
        let recipients = notification.recipients();
        let mut failures = Vec::new();
        if let Some(submission) = notification.submission() {
            failures = self.smtp.send(submission).await;
        }
        let begin = Instant::now();
        for request in notification.requests() {
            let mut request = request.clone();
            request.time_limit = request.time_limit.min(NOTIFICATION_LIMIT.saturating_sub(begin.elapsed()));
            let sent = self.client.send(request).await;
            if let Err(failure) = sent.and_then(|answer| notification.judge(&answer)) {
                failures.push(failure);
            }
        }
        match failures.pop() {
            None => Ok(()),
            Some(failure) if recipients == 1 => Err(failure),
            Some(failure) => {
                failures.push(failure);
                Err(CallError::Partly { recipients, failures })
            }
        }
    }
}
