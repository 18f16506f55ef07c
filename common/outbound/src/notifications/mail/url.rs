//! An address of mail, taken apart: `mailtos://user:password@host:port/target?name=value`.
//!
//! It is read by hand, as much that teams write is no URL: a target with a space, a user that is a mail address, or
//! no host at all.

use percent_encoding::percent_decode_str;

/// An address of mail, taken apart and decoded.
pub(super) struct MailUrl {
    pub(super) is_secure: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// The host's name or address; empty if there is none.
    pub(super) host: String,
    pub(super) port: Option<String>,
    pub(super) path: Vec<String>,
    query: Vec<(String, String)>,
}

impl MailUrl {
    /// Reads an address; nothing if it is none of mail.
    pub(super) fn of(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let is_secure = scheme.eq_ignore_ascii_case("mailtos");
        if !is_secure && !scheme.eq_ignore_ascii_case("mailto") {
            return None;
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // Whatever a password has in it, the host has no @.
        let (account, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let (user, password) = match account.map(|account| account.split_once(':').unwrap_or((account, ""))) {
            None => (None, None),
            Some((user, password)) => (filled(user), filled(password)),
        };
        let (host, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, filled(port)),
            _ => (host, None),
        };
        let query: Vec<(String, String)> = query.split(['&', ';']).filter_map(pair).collect();
        let path = path.split('/').filter_map(filled).collect();
        let mut url = Self { is_secure, user, password, host: decoded(host), port, path, query };
        url.take_account_of_query();
        Some(url)
    }

    /// Takes over what the query says about the account. A user there makes a password of the one before the host.
    fn take_account_of_query(&mut self) {
        let password = self.option("pass").or_else(|| self.option("password")).map(str::to_owned);
        let user = self.option("user").map(str::to_owned);
        if let Some(user) = user {
            let before = self.user.replace(user);
            self.password = self.password.take().or(before);
        }
        if password.is_some() {
            self.password = password;
        }
        if let Some(port) = self.option("port") {
            self.port = Some(port.to_owned());
        }
    }

    /// Returns an option of the query that has a value; the last, if it has several.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        let mut values = self.query.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next_back().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Returns the headers that the query has for each mail, without the plus before each name.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().filter_map(|(key, value)| Some((key.strip_prefix('+')?, value.as_str())))
    }
}

/// Decodes a pair of the query. A plus is a plus, as in mail addresses.
fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let name = decoded(name).trim().to_owned();
    (!name.is_empty()).then(|| (name, decoded(value).trim().to_owned()))
}

fn filled(text: &str) -> Option<String> {
    Some(decoded(text)).filter(|text| !text.is_empty())
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_at_sign_stands_before_the_host() {
        let url = MailUrl::of("mailtos://me@example.com:p@s:s@smtp.example.com:2525/a@b.example").unwrap();
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("me@example.com"), Some("p@s:s")));
        assert_eq!((url.host.as_str(), url.port.as_deref()), ("smtp.example.com", Some("2525")));
        assert_eq!(url.path, ["a@b.example"]);
    }

    #[test]
    fn a_host_may_be_an_address_with_colons() {
        let url = MailUrl::of("mailto://[::1]:1025").unwrap();
        assert_eq!((url.host.as_str(), url.port.as_deref()), ("[::1]", Some("1025")));
        let url = MailUrl::of("mailto://[::1]").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("[::1]", None));
    }

    #[test]
    fn nothing_else_is_an_address_of_mail() {
        for text in ["", "mailto:", "mailto:a@example.com", "mail://a", "https://mailto://a", "mailtoss://a"] {
            assert!(MailUrl::of(text).is_none(), "{text}");
        }
    }
}
