//! `GET /operations/{id}`: tells how far an operation on many flow runs has got.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route, extract::Id},
    jobs::progress::Progress,
    model::BulkOperationId,
};

/// Our own `read_bulk_operation`.
pub static ROUTE: Route = Route::get("read_bulk_operation", "/operations/{id}", || get(read));

async fn read(State(app): State<App>, Path(path): Path<Id<BulkOperationId>>) -> Result<Json<Progress>> {
    let found = app.store.bulk_operation(path.id).await?;
    let operation = found.ok_or_else(|| Error::missing("operation"))?.record;
    let parts = app.store.bulk_parts(std::slice::from_ref(&operation)).await?;
    Ok(Json(Progress::of(&operation, parts)))
}
