//! Actions: what an automation does.

use serde::{Deserialize, Serialize};

use super::{
    super::{BlockDocumentId, DeploymentId, Object, Seconds, StateType, WorkPoolId, WorkQueueId},
    AutomationId,
};

/// What an automation does (the contract's seventeen schemas of actions, by their `type`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Action {
    /// Nothing.
    DoNothing,
    /// A run of a deployment is created.
    RunDeployment(RunDeployment),
    /// A deployment is paused.
    PauseDeployment(OfDeployment),
    /// A deployment is resumed.
    ResumeDeployment(OfDeployment),
    /// The flow run that an event is about is cancelled.
    CancelFlowRun,
    /// That flow run is deleted.
    DeleteFlowRun,
    /// That flow run enters a state.
    ChangeFlowRunState(ChangeFlowRunState),
    /// A work queue is paused.
    PauseWorkQueue(OfWorkQueue),
    /// A work queue is resumed.
    ResumeWorkQueue(OfWorkQueue),
    /// Somebody is notified.
    SendNotification(SendNotification),
    /// A webhook is called.
    CallWebhook(CallWebhook),
    /// An automation is paused.
    PauseAutomation(OfAutomation),
    /// An automation is resumed.
    ResumeAutomation(OfAutomation),
    /// The flow run that an event is about is suspended.
    SuspendFlowRun,
    /// That flow run is resumed.
    ResumeFlowRun,
    /// A work pool is paused.
    PauseWorkPool(OfWorkPool),
    /// A work pool is resumed.
    ResumeWorkPool(OfWorkPool),
}

/// Where an action finds what it acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Its id is given.
    #[default]
    Selected,
    /// The event says what it is.
    Inferred,
}

/// Declares what actions on one kind of thing have in common: where the thing is found, and its id if that is given.
macro_rules! of {
    ($(#[$doc:meta])* $name:ident { $field:ident: $id:ty }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name {
            /// Where the action finds it.
            #[serde(default)]
            pub source: Source,
            /// Its id: there is one where it is selected, and none where it is inferred.
            pub $field: Option<$id>,
        }

        impl $name {
            /// Returns the id that is given.
            pub fn selected(&self) -> Option<$id> {
                self.$field.filter(|_| self.source == Source::Selected)
            }
        }
    };
}

of! {
    /// The deployment that an action is about.
    OfDeployment { deployment_id: DeploymentId }
}

of! {
    /// The work pool that an action is about.
    OfWorkPool { work_pool_id: WorkPoolId }
}

of! {
    /// The work queue that an action is about.
    OfWorkQueue { work_queue_id: WorkQueueId }
}

of! {
    /// The automation that an action is about.
    OfAutomation { automation_id: AutomationId }
}

/// Which deployment is run, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunDeployment {
    /// The deployment.
    #[serde(flatten)]
    pub of: OfDeployment,
    /// The run's parameters, in which texts may be templates; null for the deployment's.
    pub parameters: Option<Object>,
    /// The run's job variables; null for the deployment's.
    pub job_variables: Option<Object>,
    /// After how many seconds the run starts; not negative.
    #[serde(default)]
    pub schedule_after: Seconds,
}

/// Which state a flow run enters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeFlowRunState {
    /// The state's name, if it is not its type's.
    pub name: Option<String>,
    /// The state's type.
    pub state: StateType,
    /// The state's message; null for one that names the automation.
    pub message: Option<String>,
    /// Whether the run enters the state whatever the rules say.
    #[serde(default)]
    pub force: bool,
}

/// Who is notified, and of what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendNotification {
    /// The block that notifies.
    pub block_document_id: BlockDocumentId,
    /// The subject, a template.
    pub subject: String,
    /// The text, a template.
    pub body: String,
}

/// Which webhook is called, and with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallWebhook {
    /// The block that calls it.
    pub block_document_id: BlockDocumentId,
    /// What is sent, a template.
    pub payload: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_written_as_the_real_server_writes_it() {
        let id = "aaaaaaaa-0000-4000-8000-000000000001";
        let actions = [
            json!({"type": "do-nothing"}),
            json!({"type": "run-deployment", "source": "selected", "deployment_id": id, "parameters": {"a": [1, {"b": null}]},
                   "job_variables": null, "schedule_after": 5.0}),
            json!({"type": "change-flow-run-state", "name": null, "state": "PAUSED", "message": "m", "force": true}),
            json!({"type": "pause-work-pool", "source": "inferred", "work_pool_id": null}),
            json!({"type": "send-notification", "block_document_id": id, "subject": "s", "body": "b"}),
            json!({"type": "call-webhook", "block_document_id": id, "payload": ""}),
        ];
        for action in actions {
            let parsed: Action = serde_json::from_value(action.clone()).unwrap();
            assert_eq!(serde_json::to_string(&parsed).unwrap(), action.to_string());
        }
    }

    #[test]
    fn only_what_is_selected_has_an_id() {
        let id = DeploymentId::new();
        let of = |source, deployment_id| OfDeployment { source, deployment_id };
        assert_eq!(of(Source::Selected, Some(id)).selected(), Some(id));
        assert_eq!(of(Source::Inferred, None).selected(), None);
    }
}
