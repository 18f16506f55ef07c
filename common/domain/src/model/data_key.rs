//! Data keys: what the data of block documents is sealed with.

use serde::{Deserialize, Serialize};

use super::{Timestamp, id::typed_id};

typed_id! {
    /// The id of a data key.
    DataKeyId
}

/// A data key as it is kept: wrapped, so that only the holder of the master key can use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataKey {
    /// The key's id.
    pub id: DataKeyId,
    /// When the key was made.
    pub created: Timestamp,
    /// The master key that wrapped it: the ARN of a KMS key, or the id of a key in a key file.
    pub master: String,
    /// The wrapped key, in base64.
    pub wrapped: String,
}

impl DataKey {
    /// Returns what the wrapped key is bound to, so that it can't be passed off as another one.
    pub fn wrap_context(id: DataKeyId) -> String {
        format!("data_key#{id}")
    }
}
