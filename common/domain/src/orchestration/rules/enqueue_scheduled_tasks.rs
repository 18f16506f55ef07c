use crate::{
    model::{StateType, TaskRun},
    orchestration::{Effect, Outcome, Rule, Scope, StateTypes},
};

/// Hands a scheduled background task run to the task workers (Prefect's `EnqueueScheduledTasks`).
pub struct EnqueueScheduledTasks;

impl Rule<TaskRun> for EnqueueScheduledTasks {
    fn name(&self) -> &'static str {
        "EnqueueScheduledTasks"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::of(&[StateType::Scheduled]) }
    }

    fn after(&self, outcome: &mut Outcome<'_, TaskRun>) {
        let Some(state) = outcome.state.as_deref() else {
            return;
        };
        if state.state_details.deferred == Some(true) {
            let is_retry = state.name == "AwaitingRetry";
            let (task_run_id, task_key) = (outcome.run.id, outcome.run.task_key.clone());
            outcome.emit(Effect::EnqueueTaskRun { task_run_id, task_key, is_retry });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::StateType::{Running, Scheduled},
        orchestration::testing::{check_accepts, propose, task_run},
    };

    #[test]
    fn enqueues_deferred_runs() {
        for (name, is_retry) in [("Scheduled", false), ("AwaitingRetry", true)] {
            let mut transition = propose(task_run(Running), Scheduled);
            name.clone_into(&mut transition.proposed.name);
            assert_eq!(check_accepts(&EnqueueScheduledTasks, &transition).effects, []);

            transition.proposed.state_details.deferred = Some(true);
            let task_run_id = transition.run.id;
            let expected = Effect::EnqueueTaskRun { task_run_id, task_key: "add".to_owned(), is_retry };
            assert_eq!(check_accepts(&EnqueueScheduledTasks, &transition).effects, [expected]);
        }
    }
}
