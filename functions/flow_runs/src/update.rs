//! `PATCH /flow_runs/{id}`: changes what a client may change of a flow run.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    blocks::answers,
    flow_run_update,
    http::{Path, Route, Sent, extract::Id},
    model::{FlowRun, FlowRunId, FlowRunPolicy, Object, Timestamp, name::random_name},
    patch::Patch,
    store::TableAccess,
};
use serde::Deserialize;

/// The contract's `update_flow_run`.
pub static ROUTE: Route = Route::patch("update_flow_run", "/flow_runs/{id}", || patch(update))
    .accessing(TableAccess::WRITES.and(answers::DEFAULTS));

/// What the client sent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FlowRunUpdate {
    /// As null it asks for a new random name.
    name: Patch<String>,
    flow_version: Patch<String>,
    parameters: Patch<Object>,
    empirical_policy: Patch<FlowRunPolicy>,
    tags: Patch<Vec<String>>,
    infrastructure_pid: Patch<String>,
    job_variables: Patch<Object>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<FlowRunId>>,
    Sent(body): Sent<FlowRunUpdate>,
) -> Result<StatusCode> {
    let change = |run: &mut FlowRun| body.apply(run, app.now());
    flow_run_update::update(&app, path.id, body.job_variables.value(), change).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl FlowRunUpdate {
    /// Changes `run` at `now`.
    fn apply(&self, run: &mut FlowRun, now: Timestamp) {
        match &self.name {
            Patch::Absent => {}
            Patch::Null => run.name = random_name(),
            Patch::Value(name) => run.name.clone_from(name),
        }
        self.flow_version.set_or_clear(&mut run.flow_version);
        self.parameters.set_unless_null(&mut run.parameters);
        self.empirical_policy.set_unless_null(&mut run.empirical_policy);
        self.tags.set_unless_null(&mut run.tags);
        self.infrastructure_pid.set_or_clear(&mut run.infrastructure_pid);
        self.job_variables.set_or_clear(&mut run.job_variables);
        run.updated = now;
    }
}
