//! Changing flow runs, whose job variables have to fit where they run.

use domain::model::{FlowRun, FlowRunId, Object, StateType};
use error::{Error, Result};
use schema_tools::{Allowance, job_variables};
use store::{Versioned, commit::retry_on_conflict};

use crate::{App, blocks::answers::with_defaults_of, work_queue_placement::assignment_of};

/// Changes the flow run `id`, which is given these `job_variables`, if any.
///
/// `change` is called again if another request changed the run meanwhile.
///
/// # Errors
/// [`Error::NotFound`] without the run, [`Error::BadRequest`] for job variables of a run that is not scheduled or has no
/// deployment, and those of [`job_variables::check_of_changed_flow_run`].
pub async fn update(
    app: &App,
    id: FlowRunId,
    job_variables: Option<&Object>,
    change: impl Fn(&mut FlowRun) + Sync,
) -> Result<()> {
    retry_on_conflict(|| async {
        let found = app.store.flow_run(id).await?;
        let Versioned { record: mut run, version } = found.ok_or_else(|| Error::missing("flow-run"))?;
        if let Some(variables) = job_variables {
            check_job_variables(app, &run, variables).await?;
        }
        change(&mut run);
        app.store.commit(vec![app.store.replace(&run, version)?]).await
    })
    .await
}

/// Checks the job variables of a run that is still scheduled, with those of its deployment below them.
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
            let (template, below) = (&pool.base_job_template, &deployment.job_variables);
            let blocks = with_defaults_of(app, template).await?;
            job_variables::check_of_changed_flow_run(template, &blocks, below, variables, &Allowance::default())
        }
        (_, None) => Ok(()),
    }
}
