//! `POST /deployments/paginate`: reads a numbered page of the deployments that match.

use axum::{extract::State, routing::post};
use common::{
    App, Result, deployment_responses,
    filter::{DeploymentSort, RunFilters},
    http::{
        Body, Json, Route,
        page::{Page, PageNumber},
    },
    model::deployment::DeploymentResponse,
    store::deployments,
};
use serde::Deserialize;

/// The contract's `paginate_deployments`.
pub static ROUTE: Route = Route::post("paginate_deployments", "/deployments/paginate", || post(paginate))
    .accessing(deployments::FILTER.and(deployments::COUNT));

#[derive(Debug, Deserialize)]
struct DeploymentQuery {
    #[serde(flatten)]
    filters: RunFilters,
    sort: DeploymentSort,
    #[serde(flatten)]
    page: PageNumber,
}

async fn paginate(
    State(app): State<App>,
    Body(query): Body<DeploymentQuery>,
) -> Result<Json<Page<DeploymentResponse>>> {
    let (found, count) = tokio::try_join!(
        app.store.deployments(&query.filters, query.sort, query.page.window()),
        app.store.count_deployments(&query.filters),
    )?;
    Ok(Json(query.page.of(deployment_responses::all(&app, &found).await?, count)))
}
