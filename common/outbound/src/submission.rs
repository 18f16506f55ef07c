//! Mails as they leave the server: to which mail server, and what they say.

use std::fmt;

use lettre::Address;
use url::Host;

/// How the way to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// It is not.
    Insecure,
    /// From the first byte.
    Tls,
    /// After the client has asked for it; without that, nothing is sent.
    StartTls,
}

/// Who logs in to a mail server.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name of the account.
    pub user: String,
    /// The password of the account.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Login")
    }
}

/// A server that takes mails by SMTP.
#[derive(Clone)]
pub struct MailServer {
    /// Where it is.
    pub host: Host<String>,
    /// At which port it listens.
    pub port: u16,
    /// How the way to it is encrypted.
    pub security: Security,
    /// Who logs in, if anybody does.
    pub login: Option<Login>,
    /// Whether the server must have a certificate that can be trusted.
    pub verifies: bool,
}

/// One mail: who gets it, and its text with all headers.
#[derive(Clone)]
pub struct Mail {
    /// The mailboxes that it is delivered to, also those that no header names.
    pub recipients: Vec<Address>,
    /// The message as RFC 5322 has it.
    pub content: Vec<u8>,
}

/// Mails that are submitted to one mail server, one after the other.
#[derive(Clone)]
pub struct Submission {
    /// The server that takes them.
    pub server: MailServer,
    /// The mailbox that the mails are from, which bounces go to.
    pub sender: Address,
    /// The mails.
    pub mails: Vec<Mail>,
    /// Whether only public addresses may be reached, whatever this server allows.
    pub is_public_only: bool,
}

impl Submission {
    /// Returns how many recipients all mails have together.
    pub fn recipients(&self) -> usize {
        self.mails.iter().map(|mail| mail.recipients.len()).sum()
    }
}
