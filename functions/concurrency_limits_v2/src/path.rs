//! The path of an operation on one limit, which names it by id or by name.

use common::{
    App, Error, Result,
    model::{ConcurrencyLimit, ConcurrencyLimitId},
    store::Versioned,
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct IdOrName {
    id_or_name: String,
}

impl IdOrName {
    /// Reads the limit; what looks like an id is taken for one.
    pub(crate) async fn limit(&self, app: &App) -> Result<Versioned<ConcurrencyLimit>> {
        let found = match self.id_or_name.parse::<ConcurrencyLimitId>() {
            Ok(id) => app.store.concurrency_limit(id).await?,
            Err(_) => app.store.concurrency_limit_by_name(&self.id_or_name).await?,
        };
        found.ok_or_else(|| Error::not_found("Concurrency Limit"))
    }
}
