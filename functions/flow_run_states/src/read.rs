//! `GET /flow_run_states/{id}`: reads a state of a flow run.

use axum::{Json, extract::State, routing::get};
use common::{
    Api, Error, Result,
    http::{Path, Route, extract::Id},
    model::{self, StateId},
    store::{Needs, table::Index},
};

/// The contract's `read_flow_run_state`.
pub static ROUTE: Route = Route::get("read_flow_run_state", "/flow_run_states/{id}", || get(read))
    .needing(Needs::READS.through(&[Index::Lookup]));

async fn read(State(api): State<Api>, Path(path): Path<Id<StateId>>) -> Result<Json<model::State>> {
    let state = api.store.flow_run_state(path.id).await?;
    Ok(Json(state.ok_or_else(|| Error::not_found("Flow run state"))?))
}
