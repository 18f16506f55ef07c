use crate::{
    model::StateType,
    orchestration::{Attempt, Rule, Ruling, Run, Scope, StateTypes},
};

/// Keeps a run from being submitted twice (Prefect's `PreventPendingTransitions`).
///
/// A worker that submits a run proposes PENDING; the second one to do so finds the run pending, or already
/// running, and is told to give up. A run that was or is being cancelled does not come back that way
/// either. What a submitted run goes through before it runs has names of its own (`Submitting`,
/// `InfrastructurePending`), which may follow each other.
pub struct PreventPendingTransitions;

impl<R: Run> Rule<R> for PreventPendingTransitions {
    fn name(&self) -> &'static str {
        "PreventPendingTransitions"
    }

    fn scope(&self) -> Scope {
        Scope::Between {
            from: StateTypes::of(&[
                StateType::Pending,
                StateType::Cancelling,
                StateType::Running,
                StateType::Cancelled,
            ]),
            to: StateTypes::of(&[StateType::Pending]),
        }
    }

    fn before(&self, attempt: &mut Attempt<'_, R>) -> Ruling {
        let Some(initial) = attempt.initial() else {
            return Ruling::Pass;
        };
        let proposed = &mut *attempt.proposed;
        let is_next_stage =
            initial.r#type == StateType::Pending && initial.name != proposed.name && proposed.name != "Pending";
        if is_next_stage {
            let details = &initial.state_details;
            proposed.state_details.scheduled_time = details.scheduled_time;
            proposed.state_details.deployment_concurrency_lease_id = details.deployment_concurrency_lease_id;
            return Ruling::Pass;
        }
        Ruling::abort(format!("This run is in a {} state and cannot transition to a PENDING state.", initial.r#type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::StateType::{Cancelled, Cancelling, Pending, Running},
        orchestration::testing::{check_aborts, check_accepts, flow_run, now, propose},
    };

    #[test]
    fn aborts_a_second_submission() {
        for initial in [Pending, Cancelling, Running, Cancelled] {
            let reason = format!("This run is in a {initial} state and cannot transition to a PENDING state.");
            check_aborts(&PreventPendingTransitions, &propose(flow_run(initial), Pending), &reason);
        }
    }

    #[test]
    fn lets_the_stages_of_a_submission_follow_each_other() {
        let mut run = flow_run(Pending);
        run.state.as_mut().unwrap().state_details.scheduled_time = Some(now());
        let mut transition = propose(run, Pending);
        transition.proposed.name = "Submitting".to_owned();
        let plan = check_accepts(&PreventPendingTransitions, &transition);
        assert_eq!(plan.entered().unwrap().state_details.scheduled_time, Some(now()));
    }

    #[test]
    fn does_not_go_back_to_the_first_stage() {
        let mut run = flow_run(Pending);
        run.state = run.state.map(|state| state.named("Submitting"));
        let reason = "This run is in a PENDING state and cannot transition to a PENDING state.";
        check_aborts(&PreventPendingTransitions, &propose(run, Pending), reason);
    }
}
