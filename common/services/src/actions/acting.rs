//! What an action knows: the firing, the event that it is about, and what that event is about.

use domain::{
    automations::TriggeredAction,
    model::{
        Automation, FlowRunId, ReceivedEvent, RelatedResource, automation::Action, event::RESOURCE_ID, event::Resource,
    },
};
use error::{Error, Result};
use uuid::Uuid;

use super::outcome::Failed;
use crate::App;

/// An action that is carried out.
pub(super) struct Acting<'a> {
    pub(super) app: &'a App,
    pub(super) triggered: TriggeredAction<'a>,
    /// The event that the action is about, if it is still there.
    pub(super) event: Option<ReceivedEvent>,
}

impl<'a> Acting<'a> {
    /// Reads what the action is about.
    pub(super) async fn new(app: &'a App, triggered: TriggeredAction<'a>) -> Result<Self> {
        let event = match triggered.triggering_event() {
            Some(id) => app.store.event(id).await?,
            None => None,
        };
        Ok(Self { app, triggered, event })
    }

    /// Returns the automation as it was when it was triggered.
    pub(super) fn automation(&self) -> &'a Automation {
        &self.triggered.firing.automation
    }

    /// Returns the action's type, as it is written.
    pub(super) fn kind(&self) -> &'static str {
        match self.triggered.action {
            Action::DoNothing => "do-nothing",
            Action::RunDeployment(_) => "run-deployment",
            Action::PauseDeployment(_) => "pause-deployment",
            Action::ResumeDeployment(_) => "resume-deployment",
            Action::CancelFlowRun => "cancel-flow-run",
            Action::DeleteFlowRun => "delete-flow-run",
            Action::ChangeFlowRunState(_) => "change-flow-run-state",
            Action::PauseWorkQueue(_) => "pause-work-queue",
            Action::ResumeWorkQueue(_) => "resume-work-queue",
            Action::SendNotification(_) => "send-notification",
            Action::CallWebhook(_) => "call-webhook",
            Action::PauseAutomation(_) => "pause-automation",
            Action::ResumeAutomation(_) => "resume-automation",
            Action::SuspendFlowRun => "suspend-flow-run",
            Action::ResumeFlowRun => "resume-flow-run",
            Action::PauseWorkPool(_) => "pause-work-pool",
            Action::ResumeWorkPool(_) => "resume-work-pool",
        }
    }

    /// Returns the first resource of a kind, such as `prefect.flow-run`, that the event involves.
    pub(super) fn first_of_kind(&self, kind: &str) -> Option<&Resource> {
        let event = self.event.as_ref()?;
        let mut resources = std::iter::once(&event.resource).chain(event.related.iter().map(RelatedResource::resource));
        resources.find(|resource| kind_and_id(resource.id()).0 == kind)
    }

    /// Returns the id that is selected, or that of the first resource of a kind in the event, such as `work pool`.
    ///
    /// # Errors
    /// [`Failed::For`] if the event does not tell.
    pub(super) fn id<T: From<Uuid>>(&self, selected: Option<T>, what: &str) -> Result<T, Failed> {
        if let Some(selected) = selected {
            return Ok(selected);
        }
        if self.event.is_none() {
            return Err(Failed::For(format!("No event to infer the {what}")));
        }
        self.inferred(what).ok_or_else(|| Failed::For(format!("No {what} could be inferred")))
    }

    /// Returns the flow run that the firing or its event is about.
    ///
    /// # Errors
    /// [`Failed::For`] if neither tells.
    pub(super) fn flow_run(&self) -> Result<FlowRunId, Failed> {
        // A firing without an event may be about a resource all the same.
        let labels = &self.triggered.firing.firing.triggering_labels;
        let by_label = labels.get(RESOURCE_ID).and_then(|id| id_of_kind(id, "prefect.flow-run"));
        let id = by_label.map(FlowRunId).or_else(|| self.inferred("flow run"));
        id.ok_or_else(|| Failed::For("No flow run could be inferred".into()))
    }

    fn inferred<T: From<Uuid>>(&self, what: &str) -> Option<T> {
        let kind = format!("prefect.{}", what.replace(' ', "-"));
        let resource = self.first_of_kind(&kind)?;
        id_of_kind(resource.id(), &kind).map(T::from)
    }

    /// Says that what was asked for was refused: an error of the operation that a client would use for it.
    pub(super) fn refused(&self, error: Error, report: &mut super::Report) -> Failed {
        let status = error.status();
        if status.is_server_error() {
            return Failed::Later(error);
        }
        report.status(status.as_u16());
        let kind = self.kind();
        let detail = match &error {
            Error::Conflict(detail) | Error::Unprocessable(detail) => Some(detail),
            _ => None,
        };
        Failed::For(match (status.as_u16(), detail) {
            (409 | 422, Some(detail)) => format!("Validation error occurred for '{kind}' - {detail}"),
            (422, None) => format!("Validation error occurred for '{kind}'"),
            (code, _) => format!("Unexpected status from '{kind}' action: {code}"),
        })
    }
}

/// Returns the kind and the id of a resource, of which Prefect's are called `<kind>.<id>`.
pub(super) fn kind_and_id(resource: &str) -> (&str, &str) {
    resource.rsplit_once('.').unwrap_or(("", resource))
}

fn id_of_kind(resource: &str, expected: &str) -> Option<Uuid> {
    let (kind, id) = kind_and_id(resource);
    if kind == expected { id.parse().ok() } else { None }
}
