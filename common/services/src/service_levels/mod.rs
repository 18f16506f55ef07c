//! Service level agreements on the runs of a deployment, and the events that tell who does not keep to them.
//!
//! The open-source server lacks them. What an agreement asks for is the client's (`prefect._experimental.sla`), and the
//! event `prefect.sla.violation` of a flow run is Prefect Cloud's, as its documentation names it. The rest is ours: the
//! event `prefect.sla.resolution`, which tells that a violation is over, what the payload says, and that the events of
//! agreements that runs keep to together are the deployment's.
//!
//! What is judged derives from records alone ([`judge`]), and an event's id from what it tells of. So the same violation
//! is the same event, however often somebody looks, and a run that ended before anybody looked is judged the same.
//! A deployment without agreements costs nothing: whether there are some is seen in the deployment, which the events of
//! its runs name anyway. Somebody looks when a run of a deployment with agreements enters a state, when such a deployment
//! is written, and when a watch is due ([`store::watches`]).

mod events;
mod frequency;
mod freshness;
mod lateness;
mod look;
mod time_to_completion;

pub use look::{look_at_deployment, look_at_run};

use domain::model::{
    Deployment, Timestamp,
    deployment::{ServiceLevelAgreement, SlaCondition},
};

/// How many seconds a completion or an event may take to be known here, before it counts as missing.
const GRACE: f64 = 5.0;

/// What has become of an agreement in one case: of a run, or from one completion or event to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was kept to, or there is nothing to keep to.
    Kept,
    /// It will be violated unless something happens before the deadline.
    Open {
        /// The deadline.
        deadline: Timestamp,
    },
    /// It is violated.
    Violated {
        /// Since when.
        since: Timestamp,
    },
    /// It was violated, and is no more.
    Resolved {
        /// Since when it was.
        since: Timestamp,
        /// Until when it was.
        until: Timestamp,
    },
}

/// Judges what had to end `seconds` after it began at `start`, and ended at `end` if it has.
///
/// What was over before the agreement was made at `made` is none of its business; what had taken too long by then
/// violates it from its beginning.
fn judge(start: Timestamp, seconds: f64, end: Option<Timestamp>, made: Option<Timestamp>, now: Timestamp) -> Verdict {
    let deadline = start.plus_seconds(seconds);
    let since = made.map_or(deadline, |made| deadline.max(made));
    match end {
        Some(end) if end <= since => Verdict::Kept,
        Some(end) => Verdict::Resolved { since, until: end },
        None if now < since => Verdict::Open { deadline: since },
        None => Verdict::Violated { since },
    }
}

/// Says whether the agreement is on each run by itself.
fn is_on_runs(agreement: &ServiceLevelAgreement) -> bool {
    matches!(agreement.condition, SlaCondition::Duration(_) | SlaCondition::Within(_))
}

fn enabled(deployment: &Deployment) -> impl Iterator<Item = &ServiceLevelAgreement> {
    deployment.slas.iter().filter(|agreement| agreement.enabled)
}

/// Says whether somebody has to look when a run of the deployment enters a state.
pub fn watches_runs(deployment: &Deployment) -> bool {
    enabled(deployment).any(|agreement| !matches!(agreement.condition, SlaCondition::ExpectedEvent(_)))
}

/// Says whether somebody has to look at the deployment itself.
pub fn watches_deployment(deployment: &Deployment) -> bool {
    enabled(deployment).any(|agreement| !is_on_runs(agreement))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u32) -> Timestamp {
        format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    #[test]
    fn what_ends_in_time_keeps_to_it() {
        assert_eq!(judge(at(0), 10.0, Some(at(10)), None, at(50)), Verdict::Kept);
        assert_eq!(judge(at(0), 10.0, None, None, at(9)), Verdict::Open { deadline: at(10) });
    }

    #[test]
    fn what_takes_longer_violates_it_until_it_ends() {
        assert_eq!(judge(at(0), 10.0, None, None, at(10)), Verdict::Violated { since: at(10) });
        let resolved = Verdict::Resolved { since: at(10), until: at(11) };
        assert_eq!(judge(at(0), 10.0, Some(at(11)), None, at(50)), resolved);
    }

    #[test]
    fn an_agreement_is_not_violated_before_it_was_made() {
        let made = Some(at(20));
        assert_eq!(judge(at(0), 10.0, Some(at(15)), made, at(50)), Verdict::Kept);
        assert_eq!(judge(at(0), 10.0, None, made, at(50)), Verdict::Violated { since: at(20) });
        assert_eq!(judge(at(15), 10.0, None, made, at(21)), Verdict::Open { deadline: at(25) });
    }
}
