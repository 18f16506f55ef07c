//! A request as it leaves the server.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

use crate::{CallError, error::Result, fields::Fields};

/// How long a call may take from its begin to the end of its answer.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(15);

/// Headers that say how a message is transferred; they belong to the connection, not to whoever writes a block.
const OF_THE_CONNECTION: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A request as it leaves the server.
#[derive(Clone)]
pub struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the other side must have a certificate that can be trusted.
    pub(crate) verifies: bool,
    /// Whether only public addresses may be reached, whatever the server allows.
    pub(crate) is_public_only: bool,
    pub(crate) time_limit: Duration,
}

impl Request {
    /// Makes a request without a body to the address that a block names.
    ///
    /// Credentials in the address become a header, as clients of HTTP do it.
    pub(crate) fn new(fields: Fields<'_>, method: Method, address: &str) -> Result<Self> {
        let mut url = Url::parse(address.trim()).map_err(|_| fields.wrong("its address is not a valid URL."))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(fields.wrong("its address must begin with `http://` or `https://`."));
        }
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("*/*"))]);
        if !url.username().is_empty() || url.password().is_some() {
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
            headers.insert(AUTHORIZATION, basic(fields, &user, &password)?);
            let without = url.set_username("").and_then(|()| url.set_password(None));
            without.map_err(|()| fields.wrong("its address has credentials where none can be."))?;
        }
        url.set_fragment(None);
        Ok(Self {
            method,
            url,
            headers,
            body: Vec::new(),
            verifies: true,
            is_public_only: false,
            time_limit: TIME_LIMIT,
        })
    }

    /// Makes a request that posts this document to a notification service.
    pub(crate) fn of_json(fields: Fields<'_>, address: &str, app: &'static str, document: &Value) -> Result<Self> {
        let mut request = Self::new(fields, Method::POST, address)?;
        request.body = document.to_string().into_bytes();
        request.headers.insert(http::header::USER_AGENT, HeaderValue::from_static(app));
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(request)
    }

    /// Sets a header whose value is known beforehand.
    pub(crate) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Sets a header to a secret, which is shown nowhere.
    pub(crate) fn with_secret(mut self, fields: Fields<'_>, name: HeaderName, value: &str) -> Result<Self> {
        let mut value =
            HeaderValue::from_str(value).map_err(|_| fields.wrong("a key of it has characters that none can have."))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sets a header that a block names, unless it is one of the connection.
    pub(crate) fn set_header(&mut self, fields: Fields<'_>, name: &str, value: &str) -> Result<()> {
        if OF_THE_CONNECTION.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        let header = HeaderName::try_from(name);
        let header = header.map_err(|_| fields.wrong("the name of one of its headers is not a valid one."))?;
        // Beyond ASCII, nobody agrees on what a header's bytes mean.
        let value = Some(value).filter(|value| value.is_ascii()).and_then(|value| HeaderValue::from_str(value).ok());
        let wrong = || fields.wrong(format!("its header `{header}` has characters that none can have."));
        let mut value = value.ok_or_else(wrong)?;
        value.set_sensitive(true);
        self.headers.insert(header, value);
        Ok(())
    }

    /// Returns what the request asks for.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns where the request goes. It may be a secret.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the headers, but for those that depend on the connection. They may be secrets.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Says whether only public addresses may be reached, whatever the server allows.
    pub fn is_public_only(&self) -> bool {
        self.is_public_only
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Returns the header of basic authentication.
pub(crate) fn basic(fields: Fields<'_>, user: &str, password: &str) -> Result<HeaderValue> {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let value = HeaderValue::from_str(&format!("Basic {encoded}"));
    let mut value = value.map_err(|_| -> CallError { fields.wrong("its credentials can't be sent.") })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns these pairs as a form.
pub(crate) fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Returns an address with these segments appended to its path, whatever characters they have.
pub(crate) fn address(base: &str, segments: &[&str]) -> String {
    let mut address = base.to_owned();
    for segment in segments {
        address.push('/');
        address.extend(percent_encoding::utf8_percent_encode(segment, SEGMENT));
    }
    address
}

/// What is encoded in a segment of a path: everything but what RFC 3986 leaves unreserved.
const SEGMENT: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
