//! Makes a run of a deployment.

use domain::{
    model::{DeploymentId, StateCreate, StateDetails, StateType, automation::RunDeployment},
    orchestration::Client,
};
use error::Error;
use serde_json::json;

use super::{Acting, Carried, Failed, Report};
use crate::{
    deployment_runs::{FlowRunOfDeployment, Source},
    flow_run_creation::{self, NewFlowRun, created_by_automation},
    workspace_variables::WorkspaceVariables,
};

pub(super) async fn act(acting: &Acting<'_>, run: &RunDeployment, report: &mut Report) -> Result<Carried, Failed> {
    let app = acting.app;
    let id = acting.id(run.of.selected(), "deployment")?;
    report.target("deployment", id);
    let state = StateCreate {
        r#type: StateType::Scheduled,
        name: None,
        message: None,
        data: None,
        state_details: StateDetails {
            scheduled_time: Some(app.now().plus_seconds(run.schedule_after.as_f64())),
            ..StateDetails::default()
        },
    };
    let asked = FlowRunOfDeployment {
        state: Some(state),
        parameters: super::parameters::rendered(acting, run.parameters.as_ref()).await?,
        idempotency_key: Some(acting.triggered.idempotency_key()),
        job_variables: run.job_variables.clone(),
        ..FlowRunOfDeployment::default()
    };
    let new = new_run(acting, id, &asked).await.map_err(|error| refused(acting, error, report))?;
    let mut done = report.clone();
    done.status(201);
    done.relate(&json!({
        "prefect.resource.id": format!("prefect.flow-run.{}", new.run.id),
        "prefect.resource.role": "flow-run",
        "prefect.resource.name": new.run.name,
    }));
    let (note, beside) = acting.note_beside(&done)?;
    let made = flow_run_creation::create_with(app, &new, &Client::default(), &beside).await;
    match made {
        Ok(made) if made.is_new => Ok(Carried::Noted(note)),
        // Another worker was given the same message: the run is there, and so is its note.
        Ok(_) => {
            *report = done;
            Ok(Carried::Done)
        }
        Err(error) => Err(refused(acting, error, report)),
    }
}

async fn new_run(acting: &Acting<'_>, id: DeploymentId, asked: &FlowRunOfDeployment) -> Result<NewFlowRun, Error> {
    let source = Source::read(acting.app, id).await?;
    let variables = WorkspaceVariables::new(&acting.app.store);
    let created_by = created_by_automation(acting.automation());
    source.new_run(acting.app, asked, created_by, &variables).await.map_err(|refusal| refusal.into_error(id))
}

fn refused(acting: &Acting<'_>, error: Error, report: &mut Report) -> Failed {
    let conflict = match &error {
        Error::Conflict(detail) => Some(detail.clone()),
        _ => None,
    };
    let failed = acting.refused(error, report);
    if let Some(detail) = conflict {
        report.detail("validation_error", detail);
    }
    failed
}
