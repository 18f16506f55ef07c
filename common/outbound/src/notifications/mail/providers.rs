//! Mail servers of well-known providers, so that `mailto://user:password@gmail.com` is enough.

use crate::submission::Security;

/// With which name an account's owner logs in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginName {
    /// With the mail address.
    Address,
    /// With what stands before the @.
    User,
    /// With what is written.
    AsWritten,
}

/// The mail server of a provider.
pub(super) struct Provider {
    pub(super) host: &'static str,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) login: LoginName,
}

impl Provider {
    /// Finds the provider of a domain.
    pub(super) fn of(domain: &str) -> Option<&'static Self> {
        let domain = domain.to_ascii_lowercase();
        PROVIDERS.iter().find(|(domains, _)| domains.contains(&domain.as_str())).map(|(_, provider)| provider)
    }
}

const fn starttls(host: &'static str, login: LoginName) -> Provider {
    Provider { host, port: 587, security: Security::StartTls, login }
}

const fn tls(host: &'static str, login: LoginName) -> Provider {
    Provider { host, port: 465, security: Security::Tls, login }
}

/// The providers' servers, by the domains of their customers.
const PROVIDERS: [(&[&str], Provider); 13] = [
    (&["gmail.com"], starttls("smtp.gmail.com", LoginName::Address)),
    (
        &["yandex.com", "yandex.ru", "yandex.ua", "yandex.by", "yandex.kz", "yandex.uz", "yandex.tr", "yandex.fr"],
        tls("smtp.yandex.ru", LoginName::User),
    ),
    (
        &["hotmail.com", "hotmail.com.au", "live.com", "live.com.au"],
        starttls("smtp-mail.outlook.com", LoginName::Address),
    ),
    (
        &["outlook.com", "outlook.com.au", "smtp.outlook.com", "smtp.outlook.com.au"],
        starttls("smtp.outlook.com", LoginName::Address),
    ),
    (&["office365.com", "smtp.office365.com"], starttls("smtp.office365.com", LoginName::AsWritten)),
    (&["yahoo.com", "yahoo.ca"], tls("smtp.mail.yahoo.com", LoginName::Address)),
    (&["gmx.com", "gmx.net", "gmx.de", "gmx.at", "gmx.ch", "gmx.fr"], starttls("mail.gmx.com", LoginName::Address)),
    (
        &["fastmail.com", "fastmail.fm", "fastmail.net", "fastmail.org", "fastmail.de", "fastmail.co.uk"],
        tls("smtp.fastmail.com", LoginName::Address),
    ),
    (&["zoho.com", "zohomail.com"], starttls("smtp.zoho.com", LoginName::Address)),
    (&["sendgrid.com", "sendgrid.net"], tls("smtp.sendgrid.net", LoginName::User)),
    (&["163.com"], tls("smtp.163.com", LoginName::Address)),
    (&["qq.com", "foxmail.com"], starttls("smtp.qq.com", LoginName::Address)),
    (&["comcast.net"], tls("smtp.comcast.net", LoginName::Address)),
];
