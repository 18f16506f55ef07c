//! Flow run inputs: values that a running flow run is sent, and waits for when it is paused.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{FlowRunId, Timestamp, id::typed_id};

typed_id! {
    /// The id of a key-value input of a flow run.
    FlowRunInputId
}

/// The key of an input: lower-case ASCII letters, digits and dashes.
///
/// The key may be empty or end in one line feed, since Prefect checks it with Python's `re.match` and `$`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InputKey(String);

impl InputKey {
    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a key may have `symbol` in it.
    pub fn allows(symbol: char) -> bool {
        symbol.is_ascii_lowercase() || symbol.is_ascii_digit() || symbol == '-'
    }
}

/// Says that a text can't be the key of an input, in the words that pydantic answers after `Value error, `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidInputKey;

impl fmt::Display for InvalidInputKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("value must only contain lowercase letters, numbers, and dashes.")
    }
}

impl std::error::Error for InvalidInputKey {}

impl TryFrom<String> for InputKey {
    type Error = InvalidInputKey;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        let checked = key.strip_suffix('\n').unwrap_or(&key);
        if checked.chars().all(Self::allows) { Ok(Self(key)) } else { Err(InvalidInputKey) }
    }
}

impl FromStr for InputKey {
    type Err = InvalidInputKey;

    fn from_str(key: &str) -> Result<Self, Self::Err> {
        Self::try_from(key.to_owned())
    }
}

impl From<InputKey> for String {
    fn from(key: InputKey) -> Self {
        key.0
    }
}

/// A key and its value, for one flow run (contract schema `FlowRunInput`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowRunInput {
    /// The input's id.
    pub id: FlowRunInputId,
    /// When the input was created.
    pub created: Timestamp,
    /// When the input was last changed.
    pub updated: Timestamp,
    /// The flow run that the input is for.
    pub flow_run_id: FlowRunId,
    /// The key, unique within the flow run.
    pub key: InputKey,
    /// The value, usually JSON text.
    pub value: String,
    /// Who sent the input, as a resource id.
    #[serde(default)]
    pub sender: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_lower_case_letters_digits_and_dashes() {
        for key in ["", "a", "0-z", "--", "a\n"] {
            assert!(key.parse::<InputKey>().is_ok(), "{key:?}");
        }
        for key in ["A", "a_b", "a b", "é", "a\n\n", "\na", "a/b"] {
            assert_eq!(key.parse::<InputKey>(), Err(InvalidInputKey), "{key:?}");
        }
    }
}
