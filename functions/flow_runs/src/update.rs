//! `PATCH /flow_runs/{id}`: changes what a client may change of a flow run.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Path, Route, Sent, extract::Id},
    job_variables,
    model::{FlowRun, FlowRunId, FlowRunPolicy, Object, StateType, name::random_name},
    store::commit::retry_on_conflict,
    work_queue_placement::assignment_of,
};
use serde::{Deserialize, Deserializer};

/// The contract's `update_flow_run`.
pub static ROUTE: Route = Route::patch("update_flow_run", "/flow_runs/{id}", || patch(update));

/// What the client sent; a field that it sent as null is set to nothing, where it may be.
#[derive(Debug, Deserialize)]
struct FlowRunUpdate {
    /// As null it asks for a new random name.
    #[serde(default, deserialize_with = "sent")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    flow_version: Option<Option<String>>,
    parameters: Option<Object>,
    empirical_policy: Option<FlowRunPolicy>,
    tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "sent")]
    infrastructure_pid: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    job_variables: Option<Option<Object>>,
}

/// Tells a field that was sent as null from one that was not sent.
fn sent<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<FlowRunId>>,
    Sent(body): Sent<FlowRunUpdate>,
) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let mut run = app.store.flow_run(path.id).await?.ok_or_else(|| Error::not_found("Flow run"))?;
        if let Some(Some(variables)) = &body.job_variables {
            check_job_variables(&app, &run.record, variables).await?;
        }
        body.apply(&mut run.record);
        run.record.updated = app.now();
        app.store.commit(vec![app.store.replace(&run.record, run.version)?]).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks the job variables of a run that is still scheduled, with those of its deployment below them.
///
/// # Errors
/// [`Error::BadRequest`] for a run in another state or without a deployment, and those of
/// [`job_variables::check_of_changed_flow_run`].
async fn check_job_variables(app: &App, run: &FlowRun, variables: &Object) -> Result<()> {
    match run.state_type {
        Some(StateType::Scheduled) => {}
        None => {
            let reason = "Flow run state is required to update job variables but none exists";
            return Err(Error::BadRequest(reason.into()));
        }
        Some(state) => {
            let reason = format!("Job variables for a flow run in state {} cannot be updated", state.as_str());
            return Err(Error::BadRequest(reason));
        }
    }
    let deployment = match run.deployment_id {
        Some(id) => app.store.deployment(id).await?,
        None => None,
    };
    let no_deployment = || Error::BadRequest("A deployment for the flow run could not be found".into());
    let deployment = deployment.ok_or_else(no_deployment)?.record;
    match assignment_of(app, &deployment).await? {
        (_, Some(pool)) => {
            job_variables::check_of_changed_flow_run(&pool.base_job_template, &deployment.job_variables, variables)
        }
        (_, None) => Ok(()),
    }
}

impl FlowRunUpdate {
    fn apply(&self, run: &mut FlowRun) {
        fn set<T: Clone>(field: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        if let Some(name) = &self.name {
            run.name = name.clone().unwrap_or_else(random_name);
        }
        set(&mut run.flow_version, self.flow_version.as_ref());
        set(&mut run.parameters, self.parameters.as_ref());
        set(&mut run.empirical_policy, self.empirical_policy.as_ref());
        set(&mut run.tags, self.tags.as_ref());
        set(&mut run.infrastructure_pid, self.infrastructure_pid.as_ref());
        set(&mut run.job_variables, self.job_variables.as_ref());
    }
}
