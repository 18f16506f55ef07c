//! Where the results of runs are stored by default.

use serde::{Deserialize, Serialize};

use super::BlockDocumentId;

/// The block that stores the results of runs that name no other (contract schema `ServerDefaultResultStorage`).
///
/// Clients ask for it and store the results themselves; the server only remembers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultStorage {
    /// The block document; none if results are stored on the machines that made them.
    pub default_result_storage_block_id: Option<BlockDocumentId>,
}
