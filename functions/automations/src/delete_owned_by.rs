//! `DELETE /automations/owned-by/{resource_id}`: deletes the automations that belong to a resource.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Result,
    http::{Json, Path, Route},
};
use serde::Deserialize;

/// The contract's `delete_automations_owned_by_resource`.
pub static ROUTE: Route =
    Route::delete("delete_automations_owned_by_resource", "/automations/owned-by/{resource_id}", || on_delete(delete));

#[derive(Debug, Deserialize)]
struct OfResource {
    resource_id: String,
}

async fn delete(State(app): State<App>, Path(path): Path<OfResource>) -> Result<(StatusCode, Json<()>)> {
    app.store.delete_automations_owned_by(&path.resource_id, app.now()).await?;
    Ok((StatusCode::ACCEPTED, Json(())))
}
