//! The states of flow runs and the leases that the server acts on at some time, by when.

use super::{
    Item, Key, Store, Versioned, Write,
    commit::retry_on_conflict,
    query::Range,
    states::HistoricState,
    table::{self, Collection, Index, Subject},
};
use domain::model::{FlowRunId, State, StateId, Timestamp};
use error::Result;

/// A timer that was found, and when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The key of the run, state, lease or whatever else that it belongs to.
    pub of: Key,
    /// When it is due.
    pub due: Timestamp,
    /// Its place among those of its partition, which are read by when they are due.
    pub place: String,
}

impl Store {
    /// Returns the partitions that timers are spread over.
    pub fn timer_partitions(&self) -> Vec<String> {
        self.shards().all(Collection::Timers)
    }

    /// Reads the first timers of a partition that are due until `until`, from the place `from` on, `limit` at most.
    ///
    /// What an older version wrote beyond the calendar sorts before all times, and is passed over.
    pub async fn timers(
        &self,
        partition: &str,
        from: Option<&str>,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Timer>> {
        let range = Range::of_index(Index::Related, partition)
            .between(Some(from.map_or_else(|| Timestamp::MIN.sortable(), str::to_owned)), Some(until.sortable()));
        let found = self.read(range, limit).more().await?.unwrap_or_default();
        let timer = |item: Item| {
            let place = item.index_keys.get(&Index::Related.sort())?.clone();
            Some(Timer { of: item.key, due: table::time_of(&place)?, place })
        };
        Ok(found.into_iter().take(limit).filter_map(timer).collect())
    }

    /// Reads the state under `key` and the flow run that entered it.
    pub async fn timed_state(&self, key: &Key) -> Result<Option<(FlowRunId, State)>> {
        let Some(run) = table::run_of_state(key).as_ref().and_then(Subject::of) else { return Ok(None) };
        let Subject::FlowRun(run) = run else { return Ok(None) };
        Ok(self.get::<HistoricState>(key).await?.map(|found| (run, found.record.state)))
    }

    /// Takes the timer off the flow run `id`, if it is still in `state`.
    pub async fn clear_run_timer(&self, id: FlowRunId, state: StateId) -> Result<()> {
        retry_on_conflict(|| async {
            let found = self.flow_run(id).await?;
            let Some(Versioned { mut record, version }) = found else { return Ok(()) };
            if record.state_id != Some(state) || record.past.due.take().is_none() {
                return Ok(());
            }
            self.commit(vec![self.replace(&record, version)?]).await
        })
        .await
    }

    /// Takes the timer off the state under `key`, if it has one; the state stays in the history.
    pub async fn clear_timer(&self, key: &Key, state: State) -> Result<()> {
        let Some(run) = table::run_of_state(key) else { return Ok(()) };
        retry_on_conflict(|| async {
            let found = self.get_item(key).await?;
            let Some(item) = found.filter(|item| item.index_keys.contains_key(&Index::Related.sort())) else {
                return Ok(());
            };
            let mut cleared = Item::of(&HistoricState::new(run.clone(), state.clone(), None), 1, self.shards())?;
            cleared.version = item.version + 1;
            self.commit(vec![Write::Replace(cleared)]).await
        })
        .await
    }
}
