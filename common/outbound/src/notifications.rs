//! The notification blocks, each as the HTTP calls that it makes, or the mails that it sends.

mod custom_webhook;
mod discord;
mod mail;
mod mattermost;
mod opsgenie;
mod pager_duty;
mod sendgrid;
mod slack;
mod teams;
mod twilio;

use serde_json::Value;
use uuid::Uuid;

use crate::{Answer, CallError, Message, Request, error::Result, submission::Submission, webhook::identify};

/// How many recipients a notification may have.
const RECIPIENTS: usize = 100;

/// Prepares the requests of one block type.
type Prepare = fn(&Value, &Message<'_>) -> Result<Notification>;

/// The block types that can send a notification from here.
const SERVICES: [(&str, Prepare); 9] = [
    ("custom-webhook", custom_webhook::prepare),
    ("discord-webhook", discord::prepare),
    ("mattermost-webhook", mattermost::prepare),
    ("ms-teams-webhook", teams::prepare),
    ("opsgenie-webhook", opsgenie::prepare),
    ("pager-duty-webhook", pager_duty::prepare),
    ("sendgrid-email", sendgrid::prepare),
    ("slack-webhook", slack::prepare),
    ("twilio-sms", twilio::prepare),
];

/// A notification that is ready to be sent: a request for each recipient, or mails.
pub struct Notification {
    service: &'static str,
    requests: Vec<Request>,
    is_accepted: fn(&Answer) -> bool,
    submission: Option<Submission>,
}

impl Notification {
    /// Makes a notification of requests, and of what says whether the service accepts one.
    fn of_requests(service: &'static str, requests: Vec<Request>, is_accepted: fn(&Answer) -> bool) -> Self {
        Self { service, requests, is_accepted, submission: None }
    }

    /// Makes a notification of mails.
    fn of_mail(submission: Submission) -> Self {
        Self { service: "The mail", requests: Vec::new(), is_accepted: |_| false, submission: Some(submission) }
    }

    /// Returns how many recipients the notification has.
    pub fn recipients(&self) -> usize {
        self.submission.as_ref().map_or(self.requests.len(), Submission::recipients)
    }

    /// Returns the mails, if the notification is sent by mail. They have secrets.
    pub fn submission(&self) -> Option<&Submission> {
        self.submission.as_ref()
    }

    /// Returns the requests, in the order in which they are sent.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Says whether the service did what it was asked for.
    ///
    /// # Errors
    /// [`CallError::Rejected`] if it did not.
    pub fn judge(&self, answer: &Answer) -> Result<()> {
        let rejected = CallError::Rejected { service: self.service, status: answer.status };
        if (self.is_accepted)(answer) { Ok(()) } else { Err(rejected) }
    }
}

/// Says whether blocks of this type can send notifications from here.
pub fn supports(block_type: &str) -> bool {
    SERVICES.iter().any(|(slug, _)| *slug == block_type)
}

/// Prepares a notification by a block of this type.
///
/// # Errors
/// [`CallError::Unsupported`] if blocks of this type need Python, [`CallError::Misconfigured`] if the block's data
/// does not make a request.
pub fn prepare_notification(block_type: &str, data: &Value, message: &Message<'_>) -> Result<Notification> {
    let service = SERVICES.iter().find(|(slug, _)| *slug == block_type);
    let (_, prepare) = service.ok_or_else(|| CallError::Unsupported(block_type.to_owned()))?;
    let mut notification = prepare(data, message)?;
    if notification.recipients() > RECIPIENTS {
        let reason = format!("a notification may have {RECIPIENTS} recipients.");
        return Err(CallError::Misconfigured { block: notification.service, reason });
    }
    for (recipient, request) in notification.requests.iter_mut().enumerate() {
        identify(request, message.invocation, recipient);
    }
    Ok(notification)
}

/// Checks that a block of this type, with this data, can send notifications: for who saves what will send them later.
///
/// # Errors
/// The [`CallError`] that each notification would fail with.
pub fn check_notification(block_type: &str, data: &Value) -> Result<()> {
    let message = Message { subject: None, body: "-", sent_at: 0.0, invocation: Uuid::nil() };
    prepare_notification(block_type, data, &message).map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MESSAGE: Message<'_> = Message { subject: Some("S"), body: "B", sent_at: 0.0, invocation: Uuid::nil() };

    #[test]
    fn a_block_that_needs_python_is_refused_in_plain_words() {
        assert!(supports("slack-webhook") && !supports("my-own-notifier") && !supports("webhook"));
        let failure = prepare_notification("my-own-notifier", &json!({}), &MESSAGE).err().unwrap();
        assert_eq!(failure, CallError::Unsupported("my-own-notifier".to_owned()));
        assert!(failure.to_string().contains("`my-own-notifier`"), "{failure}");
        assert_eq!(check_notification("my-own-notifier", &json!({})), Err(failure));
        assert!(check_notification("slack-webhook", &json!({"url": "https://example.com"})).is_err());
        let slack = json!({"url": "https://hooks.slack.com/services/A/B/C"});
        assert_eq!(check_notification("slack-webhook", &slack), Ok(()));
    }

    #[test]
    fn each_recipient_has_a_key_of_its_own_that_stays_the_same() {
        let data =
            json!({"api_key": "k", "sender_email": "a@example.com", "to_emails": ["b@example.com", "c@example.com"]});
        let keys = || {
            let notification = prepare_notification("sendgrid-email", &data, &MESSAGE).unwrap();
            let key = |request: &Request| request.headers()["idempotency-key"].to_str().unwrap().to_owned();
            notification.requests().iter().map(key).collect::<Vec<_>>()
        };
        assert_eq!(keys(), [Uuid::nil().to_string(), format!("{}-1", Uuid::nil())]);
        assert_eq!(keys(), keys());
    }

    #[test]
    fn a_body_of_brackets_takes_no_longer_than_another_one() {
        let body = "<{{<at>".repeat(40_000);
        let message = Message { body: &body, ..MESSAGE };
        let slack = json!({"url": "https://hooks.slack.com/services/A/B/C"});
        let sig = "workflows/f/triggers/manual/paths/invoke?sig=s";
        let teams = json!({"url": format!("https://example.com/{sig}")});
        let custom = json!({"name": "n", "url": "https://example.com", "form_data": body});
        let begin = std::time::Instant::now();
        for (block_type, data) in [("slack-webhook", slack), ("ms-teams-webhook", teams), ("custom-webhook", custom)] {
            assert!(prepare_notification(block_type, &data, &message).is_ok(), "{block_type}");
        }
        // What looks at the rest of the text at each bracket takes minutes.
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    #[test]
    fn recipients_are_bounded() {
        let many: Vec<String> = (0..=RECIPIENTS).map(|number| format!("a{number}@example.com")).collect();
        let data = json!({"api_key": "k", "sender_email": "a@example.com", "to_emails": many});
        assert!(prepare_notification("sendgrid-email", &data, &MESSAGE).is_err());
    }
}
