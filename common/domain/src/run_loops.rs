//! Automations that would run deployments without end.
//!
//! As Prefect's `prevent_run_deployment_loops`: a reactive trigger on states that each run of a deployment enters must
//! not run the deployment of that very run, and must narrow down by labels whose runs it means.

use crate::model::automation::{Action, Posture, Source, Trigger};

/// The events of states that every run of a deployment enters.
const OF_EVERY_RUN: [&str; 4] =
    ["prefect.flow-run.Scheduled", "prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.*"];

/// Why an automation might run deployments without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunLoop {
    /// It runs the deployment of the run that triggers it.
    #[error(
        "Running an inferred deployment from a flow run state change event will lead to an infinite loop of flow runs.  \
         Please choose a specific deployment and add additional filtering labels to the match or match_related for this \
         automation's trigger."
    )]
    Inferred,
    /// It runs a deployment, and every run triggers it.
    #[error(
        "Running a selected deployment from a flow run state change event may lead to an infinite loop of flow runs.  \
         Please include additional filtering labels on either match or match_related to narrow down which flow runs will \
         trigger this automation to exclude flow runs from the deployment you've selected."
    )]
    Selected,
}

/// Checks that an automation that is evaluated doesn't run deployments without end.
///
/// # Errors
/// [`RunLoop`], in Prefect's words.
pub fn check(trigger: &Trigger, actions: &[Action]) -> Result<(), RunLoop> {
    let Trigger::Event(trigger) = trigger else { return Ok(()) };
    if trigger.posture != Posture::Reactive || !OF_EVERY_RUN.iter().any(|event| trigger.expect.contains(*event)) {
        return Ok(());
    }
    let is_every_run = || {
        let mut specifications = trigger.match_related.as_slice().iter();
        let matches = |kind: &crate::model::automation::ResourceSpecification| {
            kind.matches_every_resource_of_kind("prefect.flow-run")
        };
        matches(&trigger.r#match) && specifications.any(matches)
    };
    for action in actions {
        let Action::RunDeployment(run) = action else { continue };
        match run.of.source {
            Source::Inferred => return Err(RunLoop::Inferred),
            Source::Selected if is_every_run() => return Err(RunLoop::Selected),
            Source::Selected => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checked(more: &Value, source: &str) -> Result<(), RunLoop> {
        let mut trigger = json!({
            "type": "event", "id": "aaaaaaaa-0000-4000-8000-000000000001", "posture": "Reactive",
            "expect": ["prefect.flow-run.Running"],
        });
        trigger.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let deployment = (source == "selected").then_some("aaaaaaaa-0000-4000-8000-000000000002");
        let action = json!({"type": "run-deployment", "source": source, "deployment_id": deployment});
        let parsed = (serde_json::from_value(trigger).unwrap(), serde_json::from_value(action).unwrap());
        check(&parsed.0, &[Action::DoNothing, parsed.1])
    }

    #[test]
    fn follows_the_real_server() {
        let every = json!({"prefect.resource.id": "prefect.flow-run.*"});
        let table = [
            (json!({}), Err(RunLoop::Inferred), Err(RunLoop::Selected)),
            (json!({"match": every}), Err(RunLoop::Inferred), Err(RunLoop::Selected)),
            (json!({"match": every, "match_related": {"a": "b"}}), Err(RunLoop::Inferred), Ok(())),
            (json!({"match_related": [{"a": "b"}, every]}), Err(RunLoop::Inferred), Err(RunLoop::Selected)),
            (json!({"match_related": []}), Err(RunLoop::Inferred), Ok(())),
            (json!({"match": {"a": "b"}}), Err(RunLoop::Inferred), Ok(())),
            (json!({"expect": ["x", "prefect.flow-run.*"]}), Err(RunLoop::Inferred), Err(RunLoop::Selected)),
            (json!({"expect": ["prefect.flow-run.Failed"]}), Ok(()), Ok(())),
            (json!({"posture": "Proactive"}), Ok(()), Ok(())),
        ];
        for (more, inferred, selected) in table {
            assert_eq!((checked(&more, "inferred"), checked(&more, "selected")), (inferred, selected), "{more}");
        }
    }
}
