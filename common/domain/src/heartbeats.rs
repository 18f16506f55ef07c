//! How long a flow run that sends heartbeats may be silent, before it counts as crashed.
//!
//! A heartbeat does not say when the next one is due, so that is learnt of those before.

use serde::{Deserialize, Serialize};

use crate::model::{FlowRunId, Timestamp};

/// What the events are called by which the client of a running flow run says that it is there.
pub const HEARTBEAT: &str = "prefect.flow-run.heartbeat";

/// How many heartbeats may be missed.
const MISSED: f64 = 3.0;

/// The shortest time between two heartbeats of a client, in seconds; a second one that comes sooner is of a new process.
const SHORTEST_GAP: f64 = 30.0;

/// How long a run may be silent of which only one heartbeat is known, in seconds.
const UNKNOWN_GAP: f64 = 3_600.0;

/// What is known of the heartbeats of a flow run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pulse {
    /// The flow run.
    pub flow_run: FlowRunId,
    /// When the last heartbeat was sent.
    pub last: Timestamp,
    /// The longest time between two of them, in seconds.
    #[serde(default)]
    pub gap: Option<f64>,
}

impl Pulse {
    /// Returns what is known after a heartbeat at `sent`; an old one that comes late changes nothing.
    #[must_use]
    pub fn after(before: Option<Self>, flow_run: FlowRunId, sent: Timestamp) -> Self {
        let Some(before) = before else { return Self { flow_run, last: sent, gap: None } };
        if sent <= before.last {
            return before;
        }
        let gap = sent.seconds_since(before.last).max(SHORTEST_GAP);
        Self { last: sent, gap: Some(before.gap.map_or(gap, |known| known.max(gap))), ..before }
    }

    /// Returns how long the run may be silent, in seconds: `set` if that is set.
    pub fn patience(&self, set: Option<f64>) -> f64 {
        set.unwrap_or_else(|| self.gap.map_or(UNKNOWN_GAP, |gap| gap * MISSED))
    }

    /// Returns from when on the run counts as crashed, unless another heartbeat comes.
    pub fn due(&self, set: Option<f64>) -> Timestamp {
        self.last.plus_seconds(self.patience(set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_learnt() {
        let (id, start) = (FlowRunId::new(), Timestamp::now());
        let at = |seconds: f64| start.plus_seconds(seconds);
        let mut pulse = None;
        let mut patience = Vec::new();
        // One that comes late, one of a process that was started again, and the usual ones.
        for seconds in [0.0, 180.0, 90.0, 360.0, 365.0, 545.0] {
            let next = Pulse::after(pulse, id, at(seconds));
            patience.push(next.patience(None));
            pulse = Some(next);
        }
        assert_eq!(patience, [3_600.0, 540.0, 540.0, 540.0, 540.0, 540.0]);
        let pulse = pulse.unwrap();
        assert_eq!(pulse.due(None), at(545.0 + 540.0));
        assert_eq!(pulse.due(Some(60.0)), at(605.0));
        let short = Pulse::after(Some(Pulse::after(None, id, at(0.0))), id, at(1.0));
        assert_eq!(short.due(None), at(91.0));
    }
}
