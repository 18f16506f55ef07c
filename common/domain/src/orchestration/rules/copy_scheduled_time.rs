use crate::{
    model::StateType,
    orchestration::{Attempt, Rule, Ruling, Run, Scope, StateTypes},
};

/// Carries the scheduled time over to the pending state, unless that has one (Prefect's `CopyScheduledTime`).
///
/// The pending run must still not start too early; see [`super::WaitForScheduledTime`].
pub struct CopyScheduledTime;

impl<R: Run> Rule<R> for CopyScheduledTime {
    fn name(&self) -> &'static str {
        "CopyScheduledTime"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::of(&[StateType::Scheduled]), to: StateTypes::of(&[StateType::Pending]) }
    }

    fn before(&self, attempt: &mut Attempt<'_, R>) -> Ruling {
        if let Some(initial) = attempt.initial() {
            let scheduled_time = &mut attempt.proposed.state_details.scheduled_time;
            *scheduled_time = scheduled_time.or(initial.state_details.scheduled_time);
        }
        Ruling::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::StateType::{Pending, Scheduled},
        orchestration::testing::{check_accepts, now, propose, task_run},
    };

    #[test]
    fn copies_the_scheduled_time() {
        let mut run = task_run(Scheduled);
        run.state.as_mut().unwrap().state_details.scheduled_time = Some(now());
        let mut transition = propose(run, Pending);
        let plan = check_accepts(&CopyScheduledTime, &transition);
        assert_eq!(plan.entered().unwrap().state_details.scheduled_time, Some(now()));

        let later = now().plus_seconds(60.0);
        transition.proposed.state_details.scheduled_time = Some(later);
        let plan = check_accepts(&CopyScheduledTime, &transition);
        assert_eq!(plan.entered().unwrap().state_details.scheduled_time, Some(later));
    }
}
