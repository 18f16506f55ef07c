//! `PATCH /work_pools/{name}`: changes a work pool.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Path, Route, Sent},
    work_pool_update::WorkPoolUpdate,
};

use crate::path::PoolPath;

/// The contract's `update_work_pool`.
pub static ROUTE: Route = Route::patch("update_work_pool", "/work_pools/{name}", || patch(update));

async fn update(
    State(app): State<App>,
    Path(path): Path<PoolPath>,
    Sent(sent): Sent<WorkPoolUpdate>,
) -> Result<StatusCode> {
    if path.is_reserved() && !sent.only_pauses_or_limits() {
        return Err(Error::Forbidden(
            "Work pools starting with 'Prefect' are reserved for internal use and can only be updated to set \
             concurrency limits or pause."
                .into(),
        ));
    }
    let change = |pool: &mut _, is_served| sent.apply(pool, is_served, app.now());
    path.worded(app.store.update_work_pool(path.name(), |pool| sent.resumes(pool), change, &[]).await)?;
    Ok(StatusCode::NO_CONTENT)
}
