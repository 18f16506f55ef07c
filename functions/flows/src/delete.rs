//! `DELETE /flows/{id}`: deletes a flow with its deployments and its runs.

use axum::{extract::State, http::StatusCode, routing::delete as on_delete};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    jobs::removals,
    model::FlowId,
    store::{
        TableAccess,
        table::{self, Index},
    },
};

/// The contract's `delete_flow`.
pub static ROUTE: Route = Route::delete("delete_flow", "/flows/{id}", || on_delete(delete))
    .accessing(TableAccess::WRITES_MANY.via(&[Index::ByParent, Index::Related]));

async fn delete(State(app): State<App>, Path(path): Path<Id<FlowId>>) -> Result<StatusCode> {
    if !app.store.delete_flow(path.id).await? {
        return Err(Error::not_found("Flow"));
    }
    removals::within_request(&app, [table::flow(path.id)]).await;
    Ok(StatusCode::NO_CONTENT)
}
