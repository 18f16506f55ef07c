//! Saved searches: named sets of conditions that a user interface keeps.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Timestamp, id::typed_id, named};
use crate::events::Lifecycle;

typed_id! {
    /// The id of a saved search.
    SavedSearchId
}

/// A saved search, known by its unique name (contract schema `SavedSearch`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedSearch {
    /// The search's id.
    pub id: SavedSearchId,
    /// When the search was first saved.
    pub created: Timestamp,
    /// When the search was first saved, too: Prefect leaves the time as it is where a search is saved anew.
    pub updated: Timestamp,
    /// The unique name.
    pub name: String,
    /// The conditions, in the order in which they were sent.
    #[serde(default)]
    pub filters: Vec<SavedSearchFilter>,
}

/// A condition of a saved search, which only the client that saved it understands (contract schema `SavedSearchFilter`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedSearchFilter {
    /// What is searched for, such as `flow_run`.
    pub object: String,
    /// The property that the condition is on.
    pub property: String,
    /// The property's type.
    pub r#type: String,
    /// The operation, such as `equals`.
    pub operation: String,
    /// What the property is compared with: any JSON value, null included.
    pub value: Value,
}

named!(SavedSearch);

impl Lifecycle for SavedSearch {
    const RESOURCE: &'static str = "saved-search";
}
