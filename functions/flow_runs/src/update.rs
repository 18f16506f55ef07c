//! `PATCH /flow_runs/{id}`: changes what a client may change of a flow run.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    Api, Error, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{FlowRun, FlowRunId, FlowRunPolicy, Object, StateType, name::random_name},
    store::commit::until_uncontended,
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
    State(api): State<Api>,
    Path(path): Path<Id<FlowRunId>>,
    Sent(body): Sent<FlowRunUpdate>,
) -> Result<StatusCode> {
    until_uncontended(|| async {
        let mut run = api.store.flow_run(path.id).await?.ok_or_else(|| Error::not_found("Flow run"))?;
        if matches!(body.job_variables, Some(Some(_))) {
            refuse_job_variables(&run.record)?;
        }
        body.apply(&mut run.record);
        run.record.updated = api.now();
        api.store.commit(vec![api.store.replace(&run.record, run.version)?]).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses job variables for a run that has none to override; no deployment is stored yet that could have some.
fn refuse_job_variables(run: &FlowRun) -> Result<()> {
    let reason = match run.state_type {
        None => "Flow run state is required to update job variables but none exists".to_owned(),
        Some(StateType::Scheduled) => "A deployment for the flow run could not be found".to_owned(),
        Some(state) => format!("Job variables for a flow run in state {} cannot be updated", state.as_str()),
    };
    Err(Error::BadRequest(reason))
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
