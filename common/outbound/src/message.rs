//! What a notification says, and how Prefect's own notifications look.

use serde_json::Value;
use uuid::Uuid;

use crate::{error::Result, fields::Fields};

/// The name that notifications are sent under.
pub(crate) const APP: &str = "Prefect Notifications";

/// The name that Prefect's blocks send under where they leave it to the library that sends.
pub(crate) const LIBRARY: &str = "Apprise";

/// What a notification says.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The subject, if it has one.
    pub subject: Option<&'a str>,
    /// The body.
    pub body: &'a str,
    /// When it is sent, in seconds of Unix time.
    pub sent_at: f64,
    /// Which invocation of an action sends it: the same whenever it is tried again.
    pub invocation: Uuid,
}

/// Subject and body without the spaces around them, as services get them.
pub(crate) struct Text<'a> {
    pub(crate) subject: &'a str,
    pub(crate) body: &'a str,
}

impl<'a> Text<'a> {
    /// Prepares a message for a service, which takes none without a body.
    pub(crate) fn of(fields: Fields<'_>, message: &Message<'a>) -> Result<Self> {
        if message.body.is_empty() {
            return Err(fields.wrong("a notification without a body can't be sent."));
        }
        Ok(Self { subject: message.subject.unwrap_or_default().trim(), body: message.body.trim_end() })
    }

    /// Returns both in one text, for a service that has no subjects.
    pub(crate) fn joined(&self) -> String {
        if self.subject.is_empty() { self.body.to_owned() } else { format!("{}\r\n{}", self.subject, self.body) }
    }
}

/// What kind of news a notification is, as a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Info,
    Success,
    Warning,
    Failure,
}

impl Kind {
    /// Reads what a block says.
    pub(crate) fn of(fields: Fields<'_>) -> Result<Self> {
        Ok(match fields.choice("notify_type", &["info", "success", "warning", "failure"])? {
            "success" => Self::Success,
            "warning" => Self::Warning,
            "failure" => Self::Failure,
            _ => Self::Info,
        })
    }

    /// Returns the kind's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }

    /// Returns the kind's colour.
    pub(crate) const fn color(self) -> &'static str {
        match self {
            Self::Info => "#3AA3E3",
            Self::Success => "#3AA337",
            Self::Warning => "#CACF29",
            Self::Failure => "#A32037",
        }
    }

    /// Returns the address of the kind's icon, with so many pixels on each side.
    pub(crate) fn icon(self, pixels: u16) -> String {
        let theme = "https://github.com/caronc/apprise/raw/master/apprise/assets/themes/default";
        format!("{theme}/apprise-{}-{pixels}x{pixels}.png", self.name())
    }
}

/// Puts a value into a document if there is one.
pub(crate) fn put(document: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(object), Some(value)) = (document.as_object_mut(), value) {
        object.insert(name.to_owned(), value.into());
    }
}

/// Splits texts at commas, semicolons, brackets and spaces, and returns each part once, sorted.
pub(crate) fn sorted_parts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let is_delimiter = |character: char| character.is_whitespace() || matches!(character, '[' | ']' | ';' | ',');
    let parts = texts.into_iter().flat_map(|text| text.split(is_delimiter));
    sorted(parts.filter(|part| !part.is_empty()))
}

/// Returns each text once, sorted.
pub(crate) fn sorted<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<&str> = texts.into_iter().collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}
