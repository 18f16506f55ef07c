//! `DELETE /dead_letters/{id}`: forgets work that failed for good.

use axum::{extract::State, http::StatusCode, routing::delete};
use common::{
    App, Result,
    http::{Path, Route, extract::Id},
    model::DeadLetterId,
    store::TableAccess,
};

/// Our own `delete_dead_letter`.
pub static ROUTE: Route =
    Route::delete("delete_dead_letter", "/dead_letters/{id}", || delete(forget)).accessing(TableAccess::WRITES);

async fn forget(State(app): State<App>, Path(path): Path<Id<DeadLetterId>>) -> Result<StatusCode> {
    app.store.delete_dead_letter(path.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
