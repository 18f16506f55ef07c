//! Mail by SMTP, from an address such as `mailtos://user:password@smtp.example.com?to=ann@example.com`.
//!
//! No block type of Prefect's is for it: teams write such an address into a block for Slack, as Prefect's library takes
//! an address of any service there. Each target gets a mail of its own; whoever gets copies gets one of each.

mod mailbox;
mod plain;
mod providers;
mod url;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::url::Host;
use lettre::{
    Address,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

pub(super) use self::mailbox::mail_address;
use self::{
    mailbox::{mailbox, mailboxes, name_in, one_line},
    plain::text_of_html,
    providers::{LoginName, Provider},
    url::MailUrl,
};
use super::{Notification, RECIPIENTS};
use crate::{
    Message,
    error::Result,
    fields::{Fields, flag_of_text},
    message::{APP, Text},
    submission::{Login, Mail, MailServer, Security, Submission},
};

/// The header that says which program a mail is from.
const APPLICATION: &str = "X-Application";

/// Headers that a mail has anyway, or whose meaning the way of a mail depends on.
const OF_THE_MAIL: [&str; 15] = [
    "bcc",
    "cc",
    "content-transfer-encoding",
    "content-type",
    "date",
    "dkim-signature",
    "from",
    "message-id",
    "mime-version",
    "received",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
];

/// Prepares mails; nothing if the address is not one of mail.
pub(super) fn prepare(
    fields: Fields<'_>,
    address: &str,
    is_public_only: bool,
    message: &Message<'_>,
) -> Option<Result<Notification>> {
    let url = MailUrl::of(address)?;
    Some(submission(fields, &url, is_public_only, message).map(Notification::of_mail))
}

fn submission(fields: Fields<'_>, url: &MailUrl, is_public_only: bool, message: &Message<'_>) -> Result<Submission> {
    if url.option("pgp").is_some_and(|mode| !matches!(mode, "no" | "none")) || url.option("wkd").is_some_and(is_yes) {
        return Err(fields.wrong("its address asks for PGP, which this server can't do."));
    }
    let account = Account::of(fields, url)?;
    let letter = Letter::of(fields, url, account.from, message)?;
    let mails = letter.mails(fields, message)?;
    Ok(Submission { server: account.server, sender: letter.from.email, mails, is_public_only })
}

/// The account that sends, at its mail server.
struct Account {
    server: MailServer,
    from: Mailbox,
}

impl Account {
    fn of(fields: Fields<'_>, url: &MailUrl) -> Result<Self> {
        let mut host = if is_host(&url.host) { url.host.clone() } else { String::new() };
        let mut user = url.user.clone();
        let smtp_host = url.option("smtp");
        let id = user.as_deref().map(|user| user.split('@').next().unwrap_or_default().trim());
        let asked = url.option("mode").map(|mode| security(fields, mode)).transpose()?;
        let provider = if smtp_host.is_none() && id.is_some() { Provider::of(&host) } else { None };
        if let (Some(provider), Some(id)) = (provider, id) {
            let domain = user.as_deref().and_then(mail_address).and_then(|user| user.rsplit_once('@'));
            match (provider.login, domain) {
                (LoginName::Address, Some((_, domain))) => domain.clone_into(&mut host),
                (LoginName::Address, None) => user = Some(format!("{id}@{host}")),
                (LoginName::User, Some((id, _))) => {
                    user = Some(id.split_once('+').map_or(id, |(_, id)| id).to_owned());
                }
                (LoginName::User, None) | (LoginName::AsWritten, _) => {}
            }
        }
        let from = Self::from(fields, url, &mut host, user.as_deref())?;
        let default = if url.is_secure { Security::StartTls } else { Security::Insecure };
        let security = asked.or_else(|| provider.map(|provider| provider.security)).unwrap_or(default);
        let port = match url.port.as_deref().map(str::parse) {
            None | Some(Ok(0)) => provider.map_or(port(security), |provider| provider.port),
            Some(Ok(port)) => port,
            Some(Err(_)) => return Err(fields.wrong("its address has a port that none can be.")),
        };
        let name = smtp_host.or_else(|| provider.map(|provider| provider.host)).unwrap_or(&host);
        let host = Host::parse(name).map_err(|_| fields.wrong("its address has no valid mail server."))?;
        let password = url.password.clone();
        let login = user.zip(password).map(|(user, password)| Login { user, password });
        let verifies = url.option("verify").and_then(flag_of_text).unwrap_or(true);
        Ok(Self { server: MailServer { host, port, security, login, verifies }, from })
    }

    /// Returns who sends: who is named, or else the user at the host.
    fn from(fields: Fields<'_>, url: &MailUrl, host: &mut String, user: Option<&str>) -> Result<Mailbox> {
        let default = match user {
            Some(user) if host.is_empty() => {
                let address = mail_address(user);
                if let Some((_, domain)) = address.and_then(|address| address.rsplit_once('@')) {
                    domain.clone_into(host);
                }
                address.map(str::to_owned)
            }
            Some(user) => Some(format!("{}@{host}", user.split('@').next().unwrap_or_default().trim())),
            None if matches!(host.to_ascii_lowercase().as_str(), "localhost" | "localhost.localdomain") => {
                Some(format!("root@{host}"))
            }
            None => None,
        };
        let default = default.as_deref().and_then(mailbox).map(|default| {
            // Whoever is on this machine sends without a name.
            let name = user.map(|_| APP.to_owned());
            Mailbox::new(name, default.email)
        });
        let name = url.option("name").and_then(name_in);
        let from = match url.option("from") {
            Some(from) => match mailbox(from) {
                Some(from) => Some(Mailbox::new(name.or(from.name), from.email)),
                None => default.map(|default| Mailbox::new(name_in(from), default.email)),
            },
            None => default.map(|default| Mailbox::new(name.or(default.name), default.email)),
        };
        from.ok_or_else(|| fields.wrong("its address names no valid sender: add `from=` to it."))
    }
}

/// What all mails of a notification have in common.
struct Letter<'a> {
    from: Mailbox,
    targets: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    bcc: Vec<Mailbox>,
    reply_to: Vec<Mailbox>,
    headers: Vec<(HeaderName, String)>,
    subject: String,
    body: &'a str,
    is_text: bool,
}

impl<'a> Letter<'a> {
    fn of(fields: Fields<'_>, url: &MailUrl, from: Mailbox, message: &Message<'a>) -> Result<Self> {
        let text = Text::of(fields, message)?;
        // More is refused before a mail is made for each.
        let bounded = |mailboxes: Vec<Mailbox>| {
            let wrong = || fields.wrong(format!("a notification may have {RECIPIENTS} recipients."));
            if mailboxes.len() > RECIPIENTS { Err(wrong()) } else { Ok(mailboxes) }
        };
        let list = |name: &str| bounded(mailboxes(url.option(name), RECIPIENTS + 1));
        let host = Some(url.host.as_str()).filter(|host| !is_host(host));
        let written: Vec<&str> = host
            .filter(|host| mail_address(host).is_some())
            .into_iter()
            .chain(url.path.iter().map(String::as_str))
            .chain(url.option("to"))
            .collect();
        let targets = if written.is_empty() {
            vec![Mailbox::new(None, from.email.clone())]
        } else {
            bounded(mailboxes(written, RECIPIENTS + 1))?
        };
        if targets.is_empty() {
            return Err(fields.wrong("its address has no valid recipient."));
        }
        let mut headers = vec![(HeaderName::new_from_ascii_str(APPLICATION), APP.to_owned())];
        for (name, value) in url.headers() {
            if OF_THE_MAIL.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                continue;
            }
            let name = Some(name).filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
            let name = name.and_then(|name| HeaderName::new_from_ascii(name.to_owned()).ok());
            let name = name.ok_or_else(|| fields.wrong("its address has a header whose name none can be."))?;
            headers.retain(|(other, _)| *other != name);
            headers.push((name, one_line(value)));
        }
        Ok(Self {
            from,
            targets,
            cc: list("cc")?,
            bcc: list("bcc")?,
            reply_to: list("reply")?,
            headers,
            subject: one_line(text.subject),
            body: text.body,
            is_text: url.option("format").is_some_and(|format| format.eq_ignore_ascii_case("text")),
        })
    }

    fn mails(&self, fields: Fields<'_>, message: &Message<'_>) -> Result<Vec<Mail>> {
        let plain = if self.is_text { String::new() } else { text_of_html(self.body) };
        self.targets
            .iter()
            .enumerate()
            .map(|(number, target)| self.mail(fields, message, number, target, &plain))
            .collect()
    }

    fn mail(
        &self,
        fields: Fields<'_>,
        message: &Message<'_>,
        number: usize,
        target: &Mailbox,
        plain: &str,
    ) -> Result<Mail> {
        let is_in = |list: &[Mailbox], mailbox: &Mailbox| list.iter().any(|other| other.email == mailbox.email);
        let others = |list: &'_ [Mailbox]| -> Vec<Mailbox> {
            list.iter().filter(|mailbox| mailbox.email != target.email).cloned().collect()
        };
        let bcc = others(&self.bcc);
        let cc: Vec<Mailbox> = others(&self.cc).into_iter().filter(|mailbox| !is_in(&bcc, mailbox)).collect();
        let sent_at = Duration::try_from_secs_f64(message.sent_at).unwrap_or_default();
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            .to(target.clone())
            .subject(self.subject.clone())
            .message_id(Some(message_id(message, number, &self.from.email)))
            .date(UNIX_EPOCH.checked_add(sent_at).unwrap_or(SystemTime::UNIX_EPOCH));
        for mailbox in &cc {
            builder = builder.cc(mailbox.clone());
        }
        for mailbox in others(&self.reply_to) {
            builder = builder.reply_to(mailbox);
        }
        for (name, value) in &self.headers {
            builder = builder.raw_header(HeaderValue::new(name.clone(), value.clone()));
        }
        let built = if self.is_text {
            builder.singlepart(SinglePart::plain(self.body.to_owned()))
        } else {
            builder.multipart(MultiPart::alternative_plain_html(plain.to_owned(), self.body.to_owned()))
        };
        let mut content = built.map_err(|_| fields.wrong("its address does not make a mail."))?.formatted();
        // Whoever submits the mail ends its last line.
        if content.ends_with(b"\r\n") {
            content.truncate(content.len() - 2);
        }
        let recipients = [target].into_iter().chain(&cc).chain(&bcc).map(|mailbox| mailbox.email.clone()).collect();
        Ok(Mail { recipients, content })
    }
}

/// Returns the id by which a mail that comes again can be told.
fn message_id(message: &Message<'_>, number: usize, sender: &Address) -> String {
    let (invocation, domain) = (message.invocation, sender.domain());
    if number == 0 { format!("<{invocation}@{domain}>") } else { format!("<{invocation}-{number}@{domain}>") }
}

fn security(fields: Fields<'_>, mode: &str) -> Result<Security> {
    match mode.to_ascii_lowercase().as_str() {
        "insecure" => Ok(Security::Insecure),
        "ssl" => Ok(Security::Tls),
        "starttls" => Ok(Security::StartTls),
        _ => Err(fields.wrong("the `mode` of its address must be one of starttls, ssl, insecure.")),
    }
}

/// Returns the port that a mail server has for this.
const fn port(security: Security) -> u16 {
    match security {
        Security::Insecure => 25,
        Security::Tls => 465,
        Security::StartTls => 587,
    }
}

fn is_yes(value: &str) -> bool {
    flag_of_text(value) == Some(true)
}

/// Says whether a text is the name of a host, or an address in figures.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..64).contains(&label.len())
            && label.bytes().all(is_of_label)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_bracketed = text.starts_with('[') && Host::parse(text).is_ok();
    is_bracketed || text.len() < 254 && text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::{super::prepare_notification, *};

    fn prepared(url: &str) -> Result<Submission> {
        let message = Message { subject: Some("S"), body: "B", sent_at: 0.0, invocation: Uuid::nil() };
        let notification = prepare_notification("slack-webhook", &json!({"url": url}), &message)?;
        Ok(notification.submission().unwrap().clone())
    }

    #[test]
    fn nothing_in_an_address_becomes_a_header_or_a_recipient_of_its_own() {
        let evil = "x%0d%0aX-Evil: 1%0aX-Evil: 2%0dX-Evil: 3%c2%85X-Evil: 4%e2%80%a8X-Evil: 5%0d%0a%0d%0aX-Evil";
        let options = ["to", "from", "name", "cc", "bcc", "reply", "%2BX-A", "format", "user", "pass"];
        for option in options {
            for value in [evil.to_owned(), format!("{evil} <a@example.com>"), format!("a@example.com{evil}")] {
                let url = format!("mailtos://u:p@example.com/b@example.com?{option}={value}");
                let Ok(submission) = prepared(&url) else { continue };
                for mail in submission.mails {
                    let text = String::from_utf8(mail.content).unwrap();
                    let (head, _) = text.split_once("\r\n\r\n").unwrap();
                    let mut lines = head.split("\r\n");
                    assert!(
                        !lines.any(|line| line.starts_with("X-Evil") || line.contains(['\r', '\n'])),
                        "{url}: {head}"
                    );
                    assert!(!mail.recipients.iter().any(|to| to.to_string().contains(char::is_whitespace)), "{url}");
                }
            }
        }
        assert!(prepared("mailtos://u:p@example.com?+X-A%0d%0aX-Evil=1").is_err());
        assert!(prepared("mailtos://u:p@example.com?+X-A:%20b%20X=1").is_err());
    }

    #[test]
    fn a_header_of_an_address_takes_no_place_of_the_mails_own() {
        let submission = prepared("mailtos://u:p@example.com?+To=evil&+message-id=evil&+X-Application=Ours").unwrap();
        let text = String::from_utf8(submission.mails[0].content.clone()).unwrap();
        assert!(!text.contains("evil") && text.contains("X-Application: Ours\r\n"), "{text}");
        assert_eq!(text.matches("X-Application").count(), 1);
    }

    #[test]
    fn copies_count_as_recipients() {
        let targets: Vec<String> = (0..33).map(|number| format!("a{number}@example.com")).collect();
        let url = format!("mailtos://u:p@example.com?cc=c@example.com&bcc=d@example.com&to={}", targets.join(","));
        assert_eq!(prepared(&url).unwrap().recipients(), 99);
        assert!(prepared(&format!("{url},a@example.com")).is_err());

        let begin = std::time::Instant::now();
        let crowd: Vec<String> = (0..100_000).map(|number| format!("a{number}@example.com")).collect();
        let crowd = crowd.join(",");
        for option in ["to", "cc", "bcc", "reply"] {
            assert!(prepared(&format!("mailtos://u:p@example.com?{option}={crowd}")).is_err(), "{option}");
        }
        // What makes a mail for each, or compares each with each, takes minutes.
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    #[test]
    fn what_is_wrong_is_told_without_a_secret() {
        let addresses = [
            "mailtos://s3cr3t:s3cr3t@s3cr3t.example:s3cr3t",
            "mailtos://s3cr3t:s3cr3t@s3cr3t.example?mode=s3cr3t",
            "mailtos://s3cr3t:s3cr3t@s3cr3t.example?to=s3cr3t",
            "mailtos://s3cr3t:s3cr3t@s3cr3t.example?pgp=s3cr3t",
            "mailtos://s3cr3t:s3cr3t@s3cr3t.example?smtp=s3cr3t%20s3cr3t",
            "mailtos://s3cr3t:s3cr3t@s3cr3t.example?+s3cr3t%20s3cr3t=1",
            "mailtos://s3cr3t?to=s3cr3t@example.com",
        ];
        for address in addresses {
            let failure = prepared(address).err().unwrap();
            assert!(!format!("{failure} {failure:?}").contains("s3cr3t"), "{address}: {failure:?}");
        }
    }
}
