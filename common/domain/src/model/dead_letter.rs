//! Dead letters: work that failed for good, kept with its content until somebody decides on it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Timestamp, id::typed_id};

typed_id! {
    /// The id of a dead letter.
    DeadLetterId
}

/// The most characters of a reason that are kept.
const LONGEST_REASON: usize = 2_000;

/// What kind of work failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterKind {
    /// A message to the job runner.
    Message,
    /// A change of an item, of which the table's stream told.
    Change,
}

/// Work that failed for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The letter's id, which derives from its content: work that fails again is the same letter.
    pub id: DeadLetterId,
    /// When it was put aside.
    pub created: Timestamp,
    /// When it failed last.
    pub updated: Timestamp,
    /// What kind of work it is.
    pub kind: DeadLetterKind,
    /// The work itself.
    pub content: Value,
    /// Why it failed last.
    pub reason: String,
    /// When somebody asked that it be tried again, if that is still to be done.
    #[serde(default)]
    pub redrive: Option<Timestamp>,
}

impl DeadLetter {
    /// Puts `content` aside, which failed at `now` for this `reason`.
    pub fn new(kind: DeadLetterKind, content: Value, reason: &str, now: Timestamp) -> Self {
        let id = DeadLetterId(Uuid::new_v5(&Uuid::NAMESPACE_OID, content.to_string().as_bytes()));
        let reason = reason.chars().take(LONGEST_REASON).collect();
        Self { id, created: now, updated: now, kind, content, reason, redrive: None }
    }
}
