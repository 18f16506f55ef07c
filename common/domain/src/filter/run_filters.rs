//! The filters of a query over flows, flow runs or task runs.

use serde::Deserialize;

use super::{DeploymentFilter, FlowFilter, FlowRunFilter, TaskRunFilter, WorkPoolFilter, WorkQueueFilter};

/// The filters of a query over flows, flow runs or task runs, as the contract's bodies name them.
///
/// A record matches if it matches its own filter, and for each other one a related record exists that matches.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RunFilters {
    /// On the flow.
    pub flows: Option<FlowFilter>,
    /// On the flow run.
    pub flow_runs: Option<FlowRunFilter>,
    /// On any of the flow run's task runs.
    pub task_runs: Option<TaskRunFilter>,
    /// On the deployment.
    pub deployments: Option<DeploymentFilter>,
    /// On the work pool.
    pub work_pools: Option<WorkPoolFilter>,
    /// On the work queue.
    pub work_pool_queues: Option<WorkQueueFilter>,
}

impl RunFilters {
    /// Says whether there is no filter at all.
    pub fn ask_nothing(&self) -> bool {
        let Self { flows, flow_runs, task_runs, deployments, work_pools, work_pool_queues } = self;
        let on_runs = flows.is_some() || flow_runs.is_some() || task_runs.is_some();
        !on_runs && deployments.is_none() && work_pools.is_none() && work_pool_queues.is_none()
    }
}
