//! What automations do when they were triggered: one file an action.
//!
//! A message says which action of which firing is due, and may come twice, late, or after its worker died in the middle
//! of it. So there is one note for each action of a firing ([`CarriedOut`]). It has the events that tell of the action,
//! and is written in the transaction that makes the change, wherever the action changes the table: either both are
//! there, or none. Whoever finds the note does nothing but keep its events, whose ids derive from the invocation. What
//! leaves the server, a notification or the call of a webhook, may happen again if the worker dies before the note is
//! written; its receiver gets the invocation's id.

mod acting;
mod automation;
mod block;
mod call_webhook;
mod change_flow_run_state;
mod context;
mod delete_flow_run;
mod deployment;
mod outcome;
pub mod outward;
mod parameters;
mod resume_flow_run;
mod run_deployment;
pub mod saving;
mod send_notification;
mod work_pool;
mod work_queue;

use domain::model::{FiringId, automation::Action};
use error::Result;
use store::triggers::CarriedOut;

use crate::{App, event_ingestion};

use acting::Acting;
use outcome::{Carried, Failed, Report};

/// What happens to a thing that can be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    Pause,
    Resume,
}

/// Carries out an action of a firing, unless it was.
///
/// # Errors
/// Those of the store. That the action can't be carried out is no error: an event tells of it.
pub(crate) async fn carry_out(app: &App, firing: FiringId, index: usize) -> Result<()> {
    if let Some(note) = app.store.carried_out(firing, index).await? {
        return tell(app, note).await;
    }
    let Some(firing) = app.store.firing(firing).await? else { return Ok(()) };
    let actions = firing.actions();
    let Some(triggered) = actions.get(index) else { return Ok(()) };
    let acting = Acting::new(app, *triggered).await?;
    let mut report = Report::default();
    let note = match Box::pin(act(&acting, &mut report)).await {
        Ok(Carried::Noted(note)) => note,
        Ok(Carried::Done) => app.store.note_carried_out(acting.note(&report, None)?).await?,
        Err(Failed::For(reason)) => {
            tracing::warn!(automation = %acting.automation().id, action = acting.kind(), reason, "an action failed");
            app.store.note_carried_out(acting.note(&report, Some(&reason))?).await?
        }
        Err(Failed::Later(error)) => return Err(error),
    };
    tell(app, note).await
}

/// Keeps the events of an action that was carried out.
async fn tell(app: &App, note: CarriedOut) -> Result<()> {
    let events: Vec<_> = note.events.into_iter().map(|event| event.receive(app.now())).collect();
    event_ingestion::keep(app, &events).await
}

async fn act(acting: &Acting<'_>, report: &mut Report) -> Result<Carried, Failed> {
    match acting.triggered.action {
        Action::DoNothing => Ok(Carried::Done),
        Action::RunDeployment(run) => run_deployment::act(acting, run, report).await,
        Action::PauseDeployment(of) => deployment::act(acting, of, Switch::Pause, report).await,
        Action::ResumeDeployment(of) => deployment::act(acting, of, Switch::Resume, report).await,
        Action::CancelFlowRun => change_flow_run_state::cancel(acting, report).await,
        Action::SuspendFlowRun => change_flow_run_state::suspend(acting, report).await,
        Action::ChangeFlowRunState(change) => change_flow_run_state::change(acting, change, report).await,
        Action::DeleteFlowRun => delete_flow_run::act(acting, report).await,
        Action::ResumeFlowRun => resume_flow_run::act(acting, report).await,
        Action::PauseWorkPool(of) => work_pool::act(acting, of, Switch::Pause, report).await,
        Action::ResumeWorkPool(of) => work_pool::act(acting, of, Switch::Resume, report).await,
        Action::PauseWorkQueue(of) => work_queue::act(acting, of, Switch::Pause, report).await,
        Action::ResumeWorkQueue(of) => work_queue::act(acting, of, Switch::Resume, report).await,
        Action::PauseAutomation(of) => automation::act(acting, of, Switch::Pause, report).await,
        Action::ResumeAutomation(of) => automation::act(acting, of, Switch::Resume, report).await,
        Action::SendNotification(notification) => send_notification::act(acting, notification, report).await,
        Action::CallWebhook(call) => call_webhook::act(acting, call, report).await,
    }
}
