//! Flow runs in the table.

use super::{
    Key, Record, Store, Versioned, Write,
    table::{self, Collection, Index, Place, Shards},
};
use crate::{
    error::Result,
    filter::flow_run::started_or_expected,
    model::{FlowId, FlowRun, FlowRunId, RunSummary},
};

impl Record for FlowRun {
    const HEAD: &'static [&'static str] = &[
        "id",
        "created",
        "updated",
        "name",
        "flow_id",
        "deployment_id",
        "work_queue_id",
        "work_queue_name",
        "work_pool_id",
        "flow_version",
        "idempotency_key",
        "tags",
        "parent_task_run_id",
        "parent_flow_run_id",
        "state_type",
        "state_name",
        "expected_start_time",
        "next_scheduled_start_time",
        "start_time",
        "end_time",
        "total_run_time",
        "created_by",
    ];

    fn key(&self) -> Key {
        table::flow_run(self.id)
    }

    fn places(&self, shards: Shards) -> Vec<Place> {
        let all = shards.of(Collection::FlowRuns, self.id.0);
        let started = table::sort_with_id(&table::time_or_null(started_or_expected(self)), self.id);
        let by_time = |time| table::sort_with_id(&table::time_or_null(time), self.id);
        let mut places = vec![
            Place { index: Index::ByStart, pk: all.clone(), sk: started.clone() },
            Place { index: Index::ByTime, pk: all.clone(), sk: by_time(self.expected_start_time) },
            Place { index: Index::ByNextStart, pk: all.clone(), sk: by_time(self.next_scheduled_start_time) },
            Place { index: Index::ByEnd, pk: all.clone(), sk: by_time(self.end_time) },
            Place { index: Index::ByName, pk: all.clone(), sk: table::sort_with_id(&self.name, self.id) },
            Place { index: Index::Lookup, pk: all, sk: self.id.to_string() },
            Place { index: Index::ByParent, pk: table::runs_of_flow(self.flow_id), sk: started },
        ];
        if let Some(parent) = self.parent_task_run_id {
            let pk = table::subflows_of_task_run(self.parent_flow_run_id, parent);
            places.push(Place { index: Index::Related, pk, sk: table::sort_with_id(&parent.to_string(), self.id) });
        }
        places
    }

    fn brief(&self) -> Option<String> {
        Some(RunSummary::from(self).to_string())
    }
}

impl Store {
    /// Reads the flow run `id`.
    pub async fn flow_run(&self, id: FlowRunId) -> Result<Option<Versioned<FlowRun>>> {
        self.get(&table::flow_run(id)).await
    }

    /// Reads the flow run of `flow` under its idempotency key.
    pub async fn flow_run_by_key(&self, flow: FlowId, idempotency_key: &str) -> Result<Option<Versioned<FlowRun>>> {
        match self.owner(&table::unique_flow_run(flow, idempotency_key)).await? {
            Some(id) => self.flow_run(id.into()).await,
            None => Ok(None),
        }
    }

    /// Deletes the flow run `id`; returns whether there was one.
    ///
    /// What belongs to it is deleted by the consumer of the table's stream.
    pub async fn delete_flow_run(&self, id: FlowRunId) -> Result<bool> {
        let Some(run) = self.flow_run(id).await? else { return Ok(false) };
        let mut writes = vec![Write::Delete(table::flow_run(id))];
        if let Some(key) = &run.record.idempotency_key {
            writes.push(Write::Delete(table::unique_flow_run(run.record.flow_id, key)));
        }
        self.commit(writes).await?;
        Ok(true)
    }
}
