use crate::{
    model::{RetryDelay, StateType, TaskRun},
    orchestration::{Attempt, Rule, Ruling, Scope, StateTypes, jitter::clamped_poisson_interval},
};

/// Schedules a failed task run again while it has retries left (Prefect's `RetryFailedTasks`).
///
/// The client may say that this failure is not to be retried. The delay may be spread at random, so that
/// runs that failed together don't come back together.
pub struct RetryFailedTasks;

impl Rule<TaskRun> for RetryFailedTasks {
    fn name(&self) -> &'static str {
        "RetryFailedTasks"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::of(&[StateType::Running]), to: StateTypes::of(&[StateType::Failed]) }
    }

    fn before(&self, attempt: &mut Attempt<'_, TaskRun>) -> Ruling {
        let policy = &attempt.run.empirical_policy;
        let run_count = attempt.run.run_count;
        let has_retries = policy.retries.is_some_and(|retries| run_count <= retries);
        if attempt.proposed.state_details.retriable == Some(false) || !has_retries {
            return Ruling::Pass;
        }
        let base_seconds = policy.retry_delay.as_ref().map_or(0.0, |delay: &RetryDelay| delay.seconds_after(run_count));
        let delay_seconds = match policy.retry_jitter_factor {
            Some(factor) if factor > 0.0 && base_seconds > 0.0 => {
                clamped_poisson_interval(base_seconds, factor, attempt.mint("delay"))
            }
            _ => base_seconds,
        };
        let mut retry = attempt.state(StateType::Scheduled).named("AwaitingRetry");
        retry.message.clone_from(&attempt.proposed.message);
        retry.data.clone_from(&attempt.proposed.data);
        retry.state_details.scheduled_time = Some(attempt.now().plus_seconds(delay_seconds));
        Ruling::replace(retry, "Retrying")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            StateType::{Failed, Running, Scheduled},
            TaskRunPolicy,
        },
        orchestration::{
            Transition,
            testing::{check_accepts, check_replaces, now, propose, task_run},
        },
    };

    const AWAITING_RETRY: (StateType, &str) = (Scheduled, "AwaitingRetry");

    fn fail(run_count: i64, retry_jitter_factor: Option<f64>) -> Transition<TaskRun> {
        let empirical_policy = TaskRunPolicy {
            retries: Some(2),
            retry_delay: Some(RetryDelay::WholeEach(vec![1, 100])),
            retry_jitter_factor,
            ..TaskRunPolicy::default()
        };
        propose(TaskRun { empirical_policy, run_count, ..task_run(Running) }, Failed)
    }

    #[test]
    fn retries_after_each_retry_s_delay() {
        for (run_count, seconds) in [(1, 1.0), (2, 100.0)] {
            let plan = check_replaces(&RetryFailedTasks, &fail(run_count, None), AWAITING_RETRY, "Retrying");
            assert_eq!(plan.run.next_scheduled_start_time, Some(now().plus_seconds(seconds)));
        }
    }

    #[test]
    fn fails_without_retries_left() {
        check_accepts(&RetryFailedTasks, &fail(3, None));
        check_accepts(&RetryFailedTasks, &propose(task_run(Running), Failed));
    }

    #[test]
    fn fails_when_the_client_says_so() {
        let mut transition = fail(1, None);
        transition.proposed.state_details.retriable = Some(false);
        check_accepts(&RetryFailedTasks, &transition);
    }

    #[test]
    fn spreads_the_delay_within_its_bound() {
        let plan = check_replaces(&RetryFailedTasks, &fail(2, Some(0.5)), AWAITING_RETRY, "Retrying");
        let delay = plan.run.next_scheduled_start_time.unwrap().seconds_since(now());
        assert!((0.0..=150.0).contains(&delay) && (delay - 100.0).abs() > f64::EPSILON, "{delay}");
    }
}
