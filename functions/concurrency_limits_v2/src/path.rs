//! The path of an operation on one limit, which names it by id or by name.

use common::{
    model::ConcurrencyLimitId,
    store::{By, concurrency_limits::called},
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct IdOrName {
    id_or_name: String,
}

impl IdOrName {
    /// Returns how the limit is named; what looks like an id is taken for one.
    pub(crate) fn limit(&self) -> By<ConcurrencyLimitId> {
        self.id_or_name.parse().map_or_else(|_| called(&self.id_or_name), By::Id)
    }
}
