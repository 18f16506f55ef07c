//! The job variables of automations' actions, held against the pools of the deployments that they run.

use domain::model::{Deployment, automation::Action};
use error::{Error, InWords, Result};
use schema_tools::{Allowance, job_variables};

use crate::{App, blocks::answers, work_queue_placement::assignment_of};

/// What holds for job variables that are given and empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyVariables {
    /// They are as good as none: when an automation is created.
    AreNone,
    /// They are checked as others are: when it is changed.
    Count,
}

/// Checks the job variables of those actions that run a selected deployment and give some.
///
/// # Errors
/// [`Error::NotFound`] if such a deployment isn't there, [`Error::Unprocessable`] if variables don't fit, in Prefect's
/// words.
pub async fn check(app: &App, actions: &[Action], empty: EmptyVariables) -> Result<()> {
    let allowance = Allowance::default();
    let mut faults = Vec::new();
    for action in actions {
        let Action::RunDeployment(run) = action else { continue };
        let given = run.job_variables.as_ref().filter(|given| empty == EmptyVariables::Count || !given.is_empty());
        let (Some(id), Some(own)) = (run.of.deployment_id, given) else { continue };
        let found = app.store.read_one::<Deployment>(id).await.in_words("Deployment not found.")?;
        let (_, pool) = assignment_of(app, &found.record).await?;
        if let Some(pool) = pool.filter(|_| !own.is_empty() || !found.record.job_variables.is_empty()) {
            let template = &pool.base_job_template;
            let blocks = answers::with_defaults_of(app, template).await?;
            faults.extend(job_variables::fault_of_action(template, &blocks, own, &allowance)?);
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::Unprocessable(format!("Error creating automation: {}", faults.join(" "))))
    }
}
