//! `GET /automations/related-to/{resource_id}`: reads the automations that have to do with a resource.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    http::{Json, Path, Route},
    model::Automation,
};
use serde::Deserialize;

/// The contract's `read_automations_related_to_resource`.
pub static ROUTE: Route =
    Route::get("read_automations_related_to_resource", "/automations/related-to/{resource_id}", || get(read));

#[derive(Debug, Deserialize)]
struct OfResource {
    resource_id: String,
}

async fn read(State(app): State<App>, Path(path): Path<OfResource>) -> Result<Json<Vec<Automation>>> {
    let found = app.store.automations_related_to(&path.resource_id).await?;
    Ok(Json(found.into_iter().map(|stored| stored.automation).collect()))
}
