use crate::{
    model::{StateType, TaskRun},
    orchestration::{Attempt, Rule, Ruling, Scope, StateTypes},
};

/// Carries the id of a background task run's parameters from state to state (Prefect's `CopyTaskParametersID`).
///
/// The task worker that runs it finds the parameters by it.
pub struct CopyTaskParametersId;

impl Rule<TaskRun> for CopyTaskParametersId {
    fn name(&self) -> &'static str {
        "CopyTaskParametersID"
    }

    fn scope(&self) -> Scope {
        Scope::Between {
            from: StateTypes::of(&[StateType::Scheduled, StateType::Pending]),
            to: StateTypes::of(&[StateType::Pending, StateType::Running]),
        }
    }

    fn before(&self, attempt: &mut Attempt<'_, TaskRun>) -> Ruling {
        if let Some(initial) = attempt.initial() {
            let parameters_id = &mut attempt.proposed.state_details.task_parameters_id;
            *parameters_id = parameters_id.or(initial.state_details.task_parameters_id);
        }
        Ruling::Pass
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        model::StateType::{Pending, Running, Scheduled},
        orchestration::testing::{check_accepts, propose, task_run},
    };

    #[test]
    fn copies_the_id_of_the_parameters() {
        for (initial, proposed) in [(Scheduled, Pending), (Pending, Running)] {
            let mut run = task_run(initial);
            run.state.as_mut().unwrap().state_details.task_parameters_id = Some(Uuid::from_u128(1));
            let mut transition = propose(run, proposed);
            let plan = check_accepts(&CopyTaskParametersId, &transition);
            assert_eq!(plan.entered().unwrap().state_details.task_parameters_id, Some(Uuid::from_u128(1)));

            transition.proposed.state_details.task_parameters_id = Some(Uuid::from_u128(2));
            let plan = check_accepts(&CopyTaskParametersId, &transition);
            assert_eq!(plan.entered().unwrap().state_details.task_parameters_id, Some(Uuid::from_u128(2)));
        }
    }
}
