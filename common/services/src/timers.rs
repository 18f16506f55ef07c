//! When the server acts on a flow run by itself, if nobody else does before.
//!
//! A timer belongs to a state: the run is late, a pause has expired, a cancellation has taken too long. It is written
//! with the state, into a sparse index by time, so that finding what is due costs what is due. When it is fired, the
//! run must still be in that state; in any case the timer is over then.
//!
//! A run that waits for its scheduled time is found by that time ([`crate::jobs::late_runs`]), and has no timer. Only a
//! run that is written long after its time has one, because the look for late runs may be beyond it.

use domain::model::{State, StateType, Timestamp};
use settings::Settings;

/// The name of the state of a run that waits for its scheduled time, which is the only one that becomes late.
const WAITING: &str = "Scheduled";

/// How far before its cursor the look for late runs begins, in seconds.
///
/// An index lags, a request takes its time between its clock and its write, and the clocks of two machines differ: a
/// run may appear behind the cursor that was not there when the cursor moved.
pub const SECONDS_LOOKED_AT_AGAIN: f64 = 120.0;

/// How long ago the scheduled time of a run may be that is written without a timer, in seconds.
///
/// The cursor is never after the time of the look, however soon runs are late. So the rest of
/// [`SECONDS_LOOKED_AT_AGAIN`] is left for lags and clocks, also while the process that writes and the one that looks
/// go by different settings.
const LONGEST_PASSED: f64 = SECONDS_LOOKED_AT_AGAIN / 2.0;

/// Returns when the timer is due of a flow run that enters `state` at `now`: when the server acts on the run if it is
/// still in that state, and nothing else finds it.
pub fn due(state: &State, settings: &Settings, now: Timestamp) -> Option<Timestamp> {
    let details = &state.state_details;
    match state.r#type {
        StateType::Scheduled if settings.late_runs_enabled => {
            let passed = now.plus_seconds(-settings.late_runs_after.min(LONGEST_PASSED));
            late_from(state, settings).filter(|_| details.scheduled_time.is_some_and(|time| time <= passed))
        }
        StateType::Paused if settings.pause_expirations_enabled => details.pause_timeout,
        StateType::Cancelling if settings.cancellation_cleanup_enabled => {
            Some(state.timestamp.plus_seconds(settings.cancelling_timeout))
        }
        _ => None,
    }
}

/// Returns from when on a flow run is late that is in `state`, if it is in a state that becomes late.
pub fn late_from(state: &State, settings: &Settings) -> Option<Timestamp> {
    let waits = state.r#type == StateType::Scheduled && state.name == WAITING;
    let scheduled_time = state.state_details.scheduled_time.filter(|_| waits)?;
    Some(scheduled_time.plus_seconds(settings.late_runs_after))
}

/// Says whether a flow run that is in `state` is to be marked as late at `now`.
pub fn is_late(state: &State, settings: &Settings, now: Timestamp) -> bool {
    late_from(state, settings).is_some_and(|late| late <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::model::StateId;

    fn state(r#type: StateType) -> State {
        State::new(StateId::new(), r#type, Timestamp::now())
    }

    #[test]
    fn a_scheduled_run_becomes_late_once() {
        let settings = Settings::default();
        let mut state = state(StateType::Scheduled);
        state.state_details.scheduled_time = Some(state.timestamp);
        let late = state.timestamp.plus_seconds(15.0);
        assert_eq!(late_from(&state, &settings), Some(late));
        assert!(is_late(&state, &settings, late) && !is_late(&state, &settings, late.plus_seconds(-1.0)));
        for name in ["Late", "AwaitingRetry", "Resuming"] {
            state.name = name.into();
            assert_eq!(late_from(&state, &settings), None, "{name}");
            assert_eq!(due(&state, &settings, late), None, "{name}");
        }
    }

    #[test]
    fn only_a_run_that_is_written_too_late_to_be_found_by_its_start_has_a_timer() {
        let mut state = state(StateType::Scheduled);
        let (start, now) = (state.timestamp, |seconds| state.timestamp.plus_seconds(seconds));
        state.state_details.scheduled_time = Some(start);
        for (late_runs_after, passed) in [(0.0, 0.0), (15.0, 15.0), (60.0, 60.0), (3_600.0, 60.0)] {
            let settings = Settings { late_runs_after, ..Settings::default() };
            assert_eq!(due(&state, &settings, now(passed - 0.1)), None, "{late_runs_after}");
            assert_eq!(due(&state, &settings, now(passed)), Some(now(late_runs_after)), "{late_runs_after}");
            let settings = Settings { late_runs_enabled: false, ..settings };
            assert_eq!(due(&state, &settings, now(passed)), None, "{late_runs_after}");
        }
    }

    #[test]
    fn a_pause_expires_if_it_has_an_end() {
        let mut state = state(StateType::Paused);
        let due = |state: &State, settings: &Settings| due(state, settings, state.timestamp);
        assert_eq!(due(&state, &Settings::default()), None);
        state.state_details.pause_timeout = Some(state.timestamp);
        assert_eq!(due(&state, &Settings::default()), Some(state.timestamp));
        assert_eq!(due(&state, &Settings { pause_expirations_enabled: false, ..Settings::default() }), None);
    }

    #[test]
    fn a_cancellation_has_five_minutes() {
        let state = state(StateType::Cancelling);
        let due = due(&state, &Settings::default(), state.timestamp);
        assert_eq!(due, Some(state.timestamp.plus_seconds(300.0)));
    }
}
