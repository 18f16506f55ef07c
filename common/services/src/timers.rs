//! When the server acts on a flow run by itself, if nobody else does before.
//!
//! A timer belongs to a state: the run is late, a pause has expired, a cancellation has taken too long. It is written
//! with the state, into a sparse index by time, so that finding what is due costs what is due. When it is fired, the
//! run must still be in that state; in any case the timer is over then.

use domain::model::{State, StateType, Timestamp};
use settings::Settings;

/// The name of the state of a run that waits for its scheduled time, which is the only one that becomes late.
const WAITING: &str = "Scheduled";

/// Returns when the server acts on a flow run that is still in `state` then.
pub fn due(state: &State, settings: &Settings) -> Option<Timestamp> {
    let details = &state.state_details;
    match state.r#type {
        StateType::Scheduled if settings.late_runs_enabled && state.name == WAITING => {
            Some(details.scheduled_time?.plus_seconds(settings.late_runs_after))
        }
        StateType::Paused if settings.pause_expirations_enabled => details.pause_timeout,
        StateType::Cancelling if settings.cancellation_cleanup_enabled => {
            Some(state.timestamp.plus_seconds(settings.cancelling_timeout))
        }
        _ => None,
    }
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
        state.state_details.scheduled_time = Some(state.timestamp.plus_seconds(60.0));
        assert_eq!(due(&state, &settings), Some(state.timestamp.plus_seconds(75.0)));
        for name in ["Late", "AwaitingRetry", "Resuming"] {
            state.name = name.into();
            assert_eq!(due(&state, &settings), None, "{name}");
        }
    }

    #[test]
    fn a_pause_expires_if_it_has_an_end() {
        let mut state = state(StateType::Paused);
        assert_eq!(due(&state, &Settings::default()), None);
        state.state_details.pause_timeout = Some(state.timestamp);
        assert_eq!(due(&state, &Settings::default()), Some(state.timestamp));
        assert_eq!(due(&state, &Settings { pause_expirations_enabled: false, ..Settings::default() }), None);
    }

    #[test]
    fn a_cancellation_has_five_minutes() {
        let state = state(StateType::Cancelling);
        assert_eq!(due(&state, &Settings::default()), Some(state.timestamp.plus_seconds(300.0)));
    }
}
