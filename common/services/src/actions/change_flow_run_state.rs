//! Has the flow run that the event is about enter a state: cancels it, suspends it, or whatever state is asked for.

use domain::{
    model::{StateCreate, StateDetails, StateType, automation::ChangeFlowRunState},
    orchestration::{Client, Verdict},
};

use super::{Acting, Carried, Failed, Report};
use crate::transitions::{Proposal, propose_flow_run_state_with};

/// For how long a flow run is suspended, in seconds, unless somebody resumes it.
const SUSPENDED_FOR: f64 = 3600.0;

pub(super) async fn cancel(acting: &Acting<'_>, report: &mut Report) -> Result<Carried, Failed> {
    let message = format!("Cancelled by Automation {}", acting.automation().id);
    enter(acting, state(StateType::Cancelling, message), false, report).await
}

pub(super) async fn suspend(acting: &Acting<'_>, report: &mut Report) -> Result<Carried, Failed> {
    let mut suspended = state(StateType::Paused, format!("Suspended by Automation {}", acting.automation().id));
    suspended.name = Some("Suspended".into());
    suspended.state_details = StateDetails {
        pause_timeout: Some(acting.app.now().plus_seconds(SUSPENDED_FOR)),
        pause_reschedule: true,
        ..StateDetails::default()
    };
    enter(acting, suspended, false, report).await
}

pub(super) async fn change(
    acting: &Acting<'_>,
    change: &ChangeFlowRunState,
    report: &mut Report,
) -> Result<Carried, Failed> {
    let message = change.message.clone().filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| format!("State changed by Automation {}", acting.automation().id));
    let state = StateCreate { name: change.name.clone(), ..state(change.state, message) };
    enter(acting, state, change.force, report).await
}

fn state(r#type: StateType, message: String) -> StateCreate {
    StateCreate { r#type, name: None, message: Some(message), data: None, state_details: StateDetails::default() }
}

async fn enter(acting: &Acting<'_>, state: StateCreate, force: bool, report: &mut Report) -> Result<Carried, Failed> {
    let id = acting.flow_run()?;
    report.target("flow-run", id);
    report.status(201);
    let (note, beside) = acting.note_beside(report)?;
    let proposal = Proposal::new(state, force, Client::default());
    let outcome = propose_flow_run_state_with(acting.app, id, &proposal, &beside).await;
    let outcome = outcome.map_err(|error| acting.refused(error, report))?;
    match &outcome.verdict {
        Verdict::Accept => Ok(Carried::Noted(note)),
        Verdict::Reject { reason } | Verdict::Abort { reason } | Verdict::Wait { reason, .. } => {
            report.status(if outcome.entered { 201 } else { 200 });
            Err(Failed::For(format!("Failed to set state: {reason}")))
        }
    }
}
