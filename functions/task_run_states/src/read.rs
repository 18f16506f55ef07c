//! `GET /task_run_states/{id}`: reads a state of a task run.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Path, Route, extract::Id},
    model::{self, StateId},
    store::states,
};

/// The contract's `read_task_run_state`.
pub static ROUTE: Route =
    Route::get("read_task_run_state", "/task_run_states/{id}", || get(read)).accessing(states::READ);

async fn read(State(app): State<App>, Path(path): Path<Id<StateId>>) -> Result<Json<model::State>> {
    let state = app.store.task_run_state(path.id).await?;
    // Prefect words it so, for states of task runs too.
    Ok(Json(state.ok_or_else(|| Error::not_found_in_words("Flow run state not found"))?))
}
