//! Why a call was not made, or did not succeed.
//!
//! The address of a webhook is a secret, as whoever knows it may call it. So no error has an address, a header or a
//! value of a block in it: a field is told by its name, a service by what it is called.

use std::time::Duration;

/// The result of a call, or of what prepares one.
pub type Result<T> = std::result::Result<T, CallError>;

/// Why a call was not made, or did not succeed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// Blocks of this type need Python, or a service that nothing is known of.
    #[error(
        "Blocks of the type `{0}` can't send notifications from this server, as they need code that runs in Python. \
         Use one of the built-in notification blocks, or call a webhook."
    )]
    Unsupported(String),

    /// The block's data is not enough, or not right, for a call.
    #[error("{block}: {reason}")]
    Misconfigured {
        /// What the block is called.
        block: &'static str,
        /// What is wrong with it, without any of its values.
        reason: String,
    },

    /// The address is one that calls may not reach.
    #[error("The address of the call is not one that this server may reach: {0}.")]
    Forbidden(&'static str),

    /// There was no connection.
    #[error("There is no connection: {0}.")]
    Unreachable(String),

    /// The other side has no certificate that can be trusted.
    #[error("The other side can't be trusted: {0}.")]
    Untrusted(String),

    /// The call took too long.
    #[error("There was no answer within {} seconds.", .0.as_secs_f32())]
    TimedOut(Duration),

    /// The request is larger than what leaves this server.
    #[error("The request has {size} bytes; at most {limit} may be sent.")]
    TooLarge {
        /// How many bytes the request has.
        size: usize,
        /// How many it may have.
        limit: usize,
    },

    /// The service took the request, and did not do as asked.
    #[error("{service} did not accept the notification: it answered with status {status}.")]
    Rejected {
        /// Which service it is.
        service: &'static str,
        /// What it answered with.
        status: u16,
    },

    /// The mail server did not do as asked.
    #[error("The mail server refused {what}: it answered with code {code}.")]
    Refused {
        /// What it refused: the login, the sender, a recipient, the mail.
        what: &'static str,
        /// What it answered with.
        code: u16,
    },

    /// What listens at the mail server's port does not talk as mail servers do.
    #[error("The other side does not answer as a mail server does.")]
    NotSmtp,

    /// Some of several recipients could not be reached.
    #[error("{} of {recipients} recipients did not get the notification. {}", .failures.len(), in_a_row(.failures))]
    Partly {
        /// How many recipients there are.
        recipients: usize,
        /// What went wrong, for each that did not get it.
        failures: Vec<CallError>,
    },
}

impl CallError {
    /// Says whether the same call may succeed a little later.
    ///
    /// After a part of the recipients got a notification, it is not sent again: they would get it twice.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut(_) => true,
            Self::Rejected { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Refused { code, .. } => (400..500).contains(code),
            Self::Partly { recipients, failures } => {
                failures.len() == *recipients && failures.iter().all(Self::is_passing)
            }
            Self::Unsupported(_)
            | Self::Misconfigured { .. }
            | Self::Forbidden(_)
            | Self::Untrusted(_)
            | Self::NotSmtp
            | Self::TooLarge { .. } => false,
        }
    }

    /// Returns what went wrong, a line for each recipient, for the details of the action's event.
    pub fn log(&self) -> String {
        match self {
            Self::Partly { failures, .. } => {
                let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
                lines.join("\n")
            }
            other => other.to_string(),
        }
    }
}

fn in_a_row(failures: &[CallError]) -> String {
    let mut said: Vec<String> = failures.iter().map(ToString::to_string).collect();
    said.dedup();
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_server_refuses_for_now_with_4_and_for_good_with_5() {
        let refused = |code| CallError::Refused { what: "the mail", code };
        assert!([421, 450, 451, 454].map(refused).iter().all(CallError::is_passing));
        assert!(![500, 535, 550, 554, 354].map(refused).iter().any(CallError::is_passing));
        assert!(!CallError::NotSmtp.is_passing());
    }

    const fn rejected(status: u16) -> CallError {
        CallError::Rejected { service: "Slack", status }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let passing = [408, 429, 500, 502, 503, 504].map(rejected);
        assert!(passing.iter().all(CallError::is_passing));
        assert!(CallError::Unreachable("refused".into()).is_passing());
        assert!(CallError::TimedOut(Duration::from_secs(1)).is_passing());
        let lasting = [200, 204, 301, 400, 401, 403, 404, 410, 413].map(rejected);
        assert!(!lasting.iter().any(CallError::is_passing));
        assert!(!CallError::Forbidden("it is private").is_passing());
        assert!(!CallError::Untrusted("expired".into()).is_passing());
    }

    #[test]
    fn nobody_gets_a_notification_twice_because_another_one_did_not() {
        let partly = |recipients| CallError::Partly { recipients, failures: vec![rejected(503), rejected(429)] };
        assert!(partly(2).is_passing());
        assert!(!partly(3).is_passing());
        let mixed = CallError::Partly { recipients: 2, failures: vec![rejected(503), rejected(400)] };
        assert!(!mixed.is_passing());
    }

    #[test]
    fn the_log_has_a_line_for_each_recipient() {
        let partly = CallError::Partly { recipients: 3, failures: vec![rejected(400), rejected(404)] };
        assert_eq!(partly.log().lines().count(), 2);
        assert!(partly.to_string().starts_with("2 of 3 recipients"), "{partly}");
    }
}
