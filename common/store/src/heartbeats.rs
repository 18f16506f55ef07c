//! What is known of the heartbeats of flow runs, and when the server looks after those that are silent.

use domain::{
    heartbeats::Pulse,
    model::{FlowRunId, Timestamp},
};
use error::Result;
use serde::{Deserialize, Serialize};

use super::{
    Key, Record, Store, Versioned, Write,
    commit::{retry_on_conflict, was_written},
    table::{self, Collection, Index, IndexKey, Shards},
};

/// The heartbeats of a flow run, and when the server looks whether there was another one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchedPulse {
    /// The heartbeats.
    #[serde(flatten)]
    pub pulse: Pulse,
    /// When the server looks.
    pub due: Timestamp,
}

crate::json_record!(WatchedPulse);

impl Record for WatchedPulse {
    const HEAD: &'static [&'static str] = &["due"];

    fn key(&self) -> Key {
        table::flow_run_pulse(self.pulse.flow_run)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let id = self.pulse.flow_run.0;
        let sk = table::sort_with_id(&self.due.sortable(), id);
        vec![IndexKey { index: Index::Related, pk: shards.of(Collection::Timers, id), sk }]
    }
}

impl Store {
    /// Reads what is known of the heartbeats of a flow run.
    pub async fn pulse(&self, run: FlowRunId) -> Result<Option<Versioned<WatchedPulse>>> {
        self.get(&table::flow_run_pulse(run)).await
    }

    /// Notes a heartbeat that the flow run has `sent`; an old one that comes late, or one that comes again, changes nothing.
    ///
    /// `patience` is how long the run may be silent, in seconds, if that is set.
    pub async fn note_heartbeat(&self, run: FlowRunId, sent: Timestamp, patience: Option<f64>) -> Result<()> {
        retry_on_conflict(|| async {
            let found = self.pulse(run).await?;
            let pulse = Pulse::after(found.as_ref().map(|found| found.record.pulse), run, sent);
            let watched = WatchedPulse { pulse, due: pulse.due(patience) };
            match found {
                None => self.commit(vec![self.insert(&watched)?]).await,
                Some(found) if found.record == watched => Ok(()),
                Some(found) => self.commit(vec![self.replace(&watched, found.version)?]).await,
            }
        })
        .await
    }

    /// Puts `later` in the place of what was `read` of the heartbeats of a flow run, if there was none since.
    pub async fn postpone_pulse(&self, read: &Versioned<WatchedPulse>, later: WatchedPulse) -> Result<()> {
        was_written(self.commit(vec![self.replace(&later, read.version)?]).await).map(drop)
    }

    /// Forgets the heartbeats of a flow run, if there was none since they were read.
    pub async fn forget_pulse(&self, pulse: &Versioned<WatchedPulse>) -> Result<()> {
        was_written(self.commit(vec![Write::DeleteVersion(pulse.record.key(), pulse.version)]).await).map(drop)
    }
}
