//! The inputs of flow runs in the table, in the partition of their run.

use super::{
    CommitError, Item, Key, Record, Store, TableAccess, Write,
    query::Range,
    table::{self, IndexKey, Shards},
};
use domain::{
    filter::FlowRunInputFilter,
    model::{FlowRunId, FlowRunInput, InputKey},
};
use error::{Error, Result};

crate::json_record!(FlowRunInput);

impl Record for FlowRunInput {
    const HEAD: &'static [&'static str] = &["id", "created", "updated", "flow_run_id", "key", "sender"];

    fn key(&self) -> Key {
        table::flow_run_input(self.flow_run_id, self.key.as_str())
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// What [`Store::flow_run_inputs`] touches.
pub const FILTER: TableAccess = TableAccess::READS;

impl Store {
    /// Adds `input`.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the flow run has an input under the key, [`Error::NotFound`] without the flow run, and
    /// [`Error::TooLarge`] for a value over what the store takes.
    pub async fn add_flow_run_input(&self, input: &FlowRunInput) -> Result<()> {
        if self.flow_run(input.flow_run_id).await?.is_none() {
            return Err(Error::missing("flow-run"));
        }
        match self.commit(vec![self.insert(input)?]).await {
            Ok(()) => Ok(()),
            Err(CommitError::ConditionFailed(_)) => match self.flow_run_input(input.flow_run_id, &input.key).await? {
                // The write was carried out, only its answer was lost.
                Some(found) if found.id == input.id => Ok(()),
                _ => Err(Error::Conflict("A flow run input with this key already exists.".into())),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the input of the flow run `id` under `key`.
    ///
    /// The inputs of a deleted run are gone, even though they are deleted a little later.
    pub async fn flow_run_input(&self, id: FlowRunId, key: &InputKey) -> Result<Option<FlowRunInput>> {
        let keys = [table::flow_run(id), table::flow_run_input(id, key.as_str())];
        match self.get_items(&keys).await?.as_slice() {
            [_run, input] => Ok(Some(input.record()?)),
            _ => Ok(None),
        }
    }

    /// Reads the inputs of the flow run `id` that `filter` selects, the first created first.
    pub async fn flow_run_inputs(&self, id: FlowRunId, filter: &FlowRunInputFilter) -> Result<Vec<FlowRunInput>> {
        let Key { pk, sk } = table::flow_run_input(id, &filter.literal_prefix(table::LONGEST_TEXT));
        let run = table::flow_run(id);
        let (run, items) =
            futures::try_join!(self.get_item(&run), self.read_all(Range::partition(pk).starting_with(sk)))?;
        if run.is_none() {
            return Ok(Vec::new());
        }
        let mut inputs: Vec<FlowRunInput> = items.iter().filter_map(Item::readable).collect();
        inputs.retain(|input| filter.matches(input));
        inputs.sort_by_key(|input| (input.created, input.id));
        Ok(inputs)
    }

    /// Deletes the input of the flow run `id` under `key`; returns whether there was one.
    pub async fn delete_flow_run_input(&self, id: FlowRunId, key: &InputKey) -> Result<bool> {
        let is_there = self.flow_run_input(id, key).await?.is_some();
        if is_there {
            self.commit(vec![Write::Delete(table::flow_run_input(id, key.as_str()))]).await?;
        }
        Ok(is_there)
    }
}
