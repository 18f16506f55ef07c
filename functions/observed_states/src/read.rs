//! `GET /observed-states`: says which types and names of states there are, and when they were seen.

use axum::{extract::State, routing::get};
use common::{
    App, Result,
    filter::observed_state::{ObservedStateSort, StatePrefix},
    http::{Json, Query, Route},
    model::ObservedState,
    store::observed_states,
};
use serde::Deserialize;

/// The contract's `read_observed_states`.
pub static ROUTE: Route =
    Route::get("read_observed_states", "/observed-states", || get(read)).accessing(observed_states::READ);

#[derive(Debug, Deserialize)]
struct Search {
    query: Option<String>,
    order_by: ObservedStateSort,
    limit: usize,
}

async fn read(State(app): State<App>, Query(search): Query<Search>) -> Result<Json<Vec<ObservedState>>> {
    let prefix = search.query.as_deref().and_then(StatePrefix::new);
    Ok(Json(app.store.observed_states(prefix.as_ref(), search.order_by, search.limit).await?))
}
