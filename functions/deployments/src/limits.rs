//! Concurrency limits that deployments share.

use common::{App, Error, Result, model::ConcurrencyLimitId};

/// Refuses a limit that is named and isn't there.
///
/// # Errors
/// [`Error::NotFound`] without such a limit.
pub(crate) async fn require(app: &App, named: Option<Option<ConcurrencyLimitId>>) -> Result<()> {
    match named.flatten() {
        Some(limit) if app.store.concurrency_limit(limit).await?.is_none() => {
            Err(Error::not_found("Concurrency limit"))
        }
        _ => Ok(()),
    }
}
