use crate::{
    model::StateType,
    orchestration::{Attempt, Rule, Ruling, Run, Scope, StateTypes},
};

/// Names the running state of a run that ran before (Prefect's `RenameReruns`).
pub struct RenameReruns;

impl<R: Run> Rule<R> for RenameReruns {
    fn name(&self) -> &'static str {
        "RenameReruns"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::of(&[StateType::Running]) }
    }

    fn before(&self, attempt: &mut Attempt<'_, R>) -> Ruling {
        if let Some(initial) = attempt.initial()
            && attempt.run.run_count() > 0
        {
            let name = if initial.name == "AwaitingRetry" { "Retrying" } else { "Rerunning" };
            name.clone_into(&mut attempt.proposed.name);
        }
        Ruling::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            StateType::{Running, Scheduled},
            TaskRun,
        },
        orchestration::testing::{check_accepts, propose, task_run},
    };

    fn name(initial: &str, run_count: i64) -> Option<String> {
        let mut run = TaskRun { run_count, ..task_run(Scheduled) };
        run.state = run.state.map(|state| state.named(initial));
        check_accepts(&RenameReruns, &propose(run, Running)).run.state_name
    }

    #[test]
    fn tells_first_runs_from_retries_and_reruns() {
        assert_eq!(name("AwaitingRetry", 0).as_deref(), Some("Running"));
        assert_eq!(name("AwaitingRetry", 1).as_deref(), Some("Retrying"));
        assert_eq!(name("Scheduled", 1).as_deref(), Some("Rerunning"));
    }
}
