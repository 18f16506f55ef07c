//! `POST /deployments/paginate`: reads a numbered page of the deployments that match.

use axum::{Json, extract::State, routing::post};
use common::{
    Api, Result,
    filter::DeploymentSort,
    http::{
        Body, Route,
        page::{Page, PageNumber},
    },
    model::deployment::DeploymentAnswer,
    store::{Needs, flow_run_query::RunFilters},
};
use serde::Deserialize;

use crate::answers;

/// The contract's `paginate_deployments`.
pub static ROUTE: Route =
    Route::post("paginate_deployments", "/deployments/paginate", || post(paginate)).needing(Needs::FILTERS);

#[derive(Debug, Deserialize)]
struct DeploymentQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: DeploymentSort,
    #[serde(flatten)]
    page: PageNumber,
}

async fn paginate(State(api): State<Api>, Body(query): Body<DeploymentQuery>) -> Result<Json<Page<DeploymentAnswer>>> {
    let (found, count) = tokio::try_join!(
        api.store.deployments(&query.filters, query.sort, query.page.window()),
        api.store.count_deployments(&query.filters),
    )?;
    Ok(Json(query.page.of(answers::all(&api, &found).await?, count)))
}
