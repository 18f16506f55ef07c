//! Concurrency limits that deployments share.

use common::{App, Error, Result, model::ConcurrencyLimitId, patch::Patch};

/// Refuses a limit that is named and isn't there.
///
/// # Errors
/// [`Error::NotFound`] without such a limit.
pub(crate) async fn require(app: &App, named: &Patch<ConcurrencyLimitId>) -> Result<()> {
    match named.value() {
        Some(limit) if app.store.concurrency_limit(*limit).await?.is_none() => {
            Err(Error::not_found("Concurrency limit"))
        }
        _ => Ok(()),
    }
}
