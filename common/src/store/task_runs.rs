//! Task runs in the table.

use super::{
    Key, Record, Store, Versioned,
    table::{self, Collection, Index, Place, Shards},
};
use crate::{
    error::Result,
    model::{FlowRunId, TaskRun, TaskRunId},
};

impl Record for TaskRun {
    const HEAD: &'static [&'static str] = &[
        "id",
        "created",
        "updated",
        "name",
        "flow_run_id",
        "task_key",
        "dynamic_key",
        "tags",
        "state_type",
        "state_name",
        "expected_start_time",
        "next_scheduled_start_time",
        "start_time",
        "end_time",
        "total_run_time",
    ];

    fn key(&self) -> Key {
        table::task_run(self.id)
    }

    fn places(&self, shards: Shards) -> Vec<Place> {
        let all = shards.of(Collection::TaskRuns, self.id.0);
        let by_time = |time| table::sort_with_id(&table::time_or_null(time), self.id);
        let expected = by_time(self.expected_start_time);
        let mut places = vec![
            Place { index: Index::ByTime, pk: all.clone(), sk: expected.clone() },
            Place { index: Index::ByNextStart, pk: all.clone(), sk: by_time(self.next_scheduled_start_time) },
            Place { index: Index::ByEnd, pk: all.clone(), sk: by_time(self.end_time) },
            Place { index: Index::ByName, pk: all.clone(), sk: table::sort_with_id(&self.name, self.id) },
            Place { index: Index::ByCreation, pk: all, sk: self.id.to_string() },
        ];
        if let Some(flow_run) = self.flow_run_id {
            places.push(Place { index: Index::ByParent, pk: table::runs_in_flow_run(flow_run), sk: expected });
        }
        places
    }
}

impl Store {
    /// Reads the task run `id`.
    pub async fn task_run(&self, id: TaskRunId) -> Result<Option<Versioned<TaskRun>>> {
        self.get(&table::task_run(id)).await
    }

    /// Reads the task run at its place in a flow run.
    pub async fn task_run_by_key(
        &self,
        flow_run: Option<FlowRunId>,
        task_key: &str,
        dynamic_key: &str,
    ) -> Result<Option<Versioned<TaskRun>>> {
        match self.owner(&table::unique_task_run(flow_run, task_key, dynamic_key)).await? {
            Some(id) => self.task_run(id.into()).await,
            None => Ok(None),
        }
    }
}
