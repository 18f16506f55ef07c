//! `GET /flow_run_states/{id}`: reads a state of a flow run.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route, extract::Id},
    model::{self, StateId},
    store::states,
};

/// The contract's `read_flow_run_state`.
pub static ROUTE: Route =
    Route::get("read_flow_run_state", "/flow_run_states/{id}", || get(read)).accessing(states::READ);

async fn read(State(app): State<App>, Path(path): Path<Id<StateId>>) -> Result<Json<model::State>> {
    let state = app.store.flow_run_state(path.id).await?;
    Ok(Json(state.ok_or_else(|| Error::missing("flow-run-state"))?))
}
