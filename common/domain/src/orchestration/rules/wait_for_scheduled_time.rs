use crate::{
    model::{Seconds, StateType},
    orchestration::{Attempt, Rule, Ruling, Run, Scope, StateTypes},
};

/// Keeps a run from starting before its scheduled time (Prefect's `WaitForScheduledTime`).
///
/// The client is told how long to wait, in whole seconds: less than half a second to go is none.
pub struct WaitForScheduledTime;

impl<R: Run> Rule<R> for WaitForScheduledTime {
    fn name(&self) -> &'static str {
        "WaitForScheduledTime"
    }

    fn scope(&self) -> Scope {
        Scope::Between {
            from: StateTypes::of(&[StateType::Scheduled, StateType::Pending]),
            to: StateTypes::of(&[StateType::Running]),
        }
    }

    fn before(&self, attempt: &mut Attempt<'_, R>) -> Ruling {
        let Some(scheduled_time) = attempt.initial().and_then(|initial| initial.state_details.scheduled_time) else {
            return Ruling::Pass;
        };
        let delay_seconds = whole_seconds(Seconds::between(attempt.now(), scheduled_time));
        if delay_seconds > 0 {
            return Ruling::wait(delay_seconds, "Scheduled time is in the future");
        }
        Ruling::Pass
    }
}

/// Returns the length rounded to whole seconds, half a second downwards.
fn whole_seconds(length: Seconds) -> i64 {
    let micros = length.as_micros();
    micros.div_euclid(1_000_000) + i64::from(micros.rem_euclid(1_000_000) > 500_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::StateType::{Pending, Running, Scheduled},
        orchestration::{
            Transition,
            testing::{check_accepts, check_waits, flow_run, now, propose},
        },
    };

    fn start(initial: StateType, seconds_to_go: f64) -> Transition<crate::model::FlowRun> {
        let mut run = flow_run(initial);
        run.state.as_mut().unwrap().state_details.scheduled_time = Some(now().plus_seconds(seconds_to_go));
        propose(run, Running)
    }

    #[test]
    fn waits_for_the_scheduled_time() {
        for initial in [Scheduled, Pending] {
            check_waits(&WaitForScheduledTime, &start(initial, 60.0), 60, "Scheduled time is in the future");
        }
        check_waits(&WaitForScheduledTime, &start(Pending, 1.6), 2, "Scheduled time is in the future");
        check_waits(&WaitForScheduledTime, &start(Pending, 1.4), 1, "Scheduled time is in the future");
    }

    #[test]
    fn starts_once_the_time_has_come() {
        for seconds_to_go in [0.5, 0.0, -60.0] {
            check_accepts(&WaitForScheduledTime, &start(Pending, seconds_to_go));
        }
    }
}
