//! Probes of work pools, their queues and workers, and of the flow runs and deployments of a queue.

use common::{
    model::{CleanupMessage, CleanupMessageId, FlowId, StateType, WorkPool, WorkPoolId},
    store::{
        Versioned, occupancy::Holders, table, waiting_runs::Due, work_pools::StoredWorkPool,
        work_queues::PoolWithQueues, workers::Heartbeat,
    },
};
use serde_json::json;

use crate::{
    probe::Probe,
    world::{PAGE, World, read},
};

impl World {
    /// Adds a pool with its default queue, and does not read it: a process remembers the id of a pool that it has met.
    pub(crate) async fn pool(&self, name: &str) -> PoolWithQueues {
        let pool: WorkPool = read(json!({
            "id": WorkPoolId::new(), "created": self.now, "updated": self.now, "name": name, "type": "process",
            "status": "NOT_READY",
        }));
        let (pool, queue) = StoredWorkPool::with_default_queue(pool);
        self.store.add_work_pool(&pool, &queue).await.unwrap();
        let queues = vec![Versioned { record: queue, version: 1 }];
        PoolWithQueues { pool: Versioned { record: pool, version: 1 }, queues }
    }
}

pub(crate) async fn probes() -> Vec<Probe> {
    let mut probes = Box::pin(pools()).await;
    probes.extend(Box::pin(runs_of_a_queue()).await);
    probes.extend(Box::pin(deployments_of_a_queue()).await);
    probes
}

async fn pools() -> Vec<Probe> {
    let world = World::new().await;
    let store = &world.store;
    let queue = world.pool("one").await.queues[0].record.queue.id;
    world.pool("two").await;
    let served = world.pool("served").await.pool.record.pool.id;
    store.record_heartbeat("served", &Heartbeat::new("worker", None), world.now).await.unwrap();
    let cleanup: CleanupMessage = read(json!({
        "id": CleanupMessageId::new(), "work_pool_id": served, "work_queue_id": null,
        "kind": "cancelling_timeout_teardown.v1", "target": {}, "created": world.now, "delivery_count": 0,
    }));
    store.commit(vec![store.leave_cleanup(&cleanup).unwrap()]).await.unwrap();
    vec![
        world.probe("a work pool by its name", store.work_pool("one")).await,
        world
            .probe("the queues of a work pool, by priority", async {
                Ok(store.read_work_pool_with_queues("two").await?.queues)
            })
            .await,
        world.probe("a work queue by its id", store.work_queue(queue)).await,
        world.probe("the workers of a work pool", store.workers(served, None, PAGE)).await,
        world
            .probe("the cleanups that wait for a worker of a work pool, by when they were made", async {
                Ok(store.cleanups(served, 10).more().await?.unwrap_or_default())
            })
            .await,
        world.probe("a cleanup by its pool and id", store.cleanup(served, cleanup.id)).await,
        world.probe("all work pools by name", store.work_pools(None, PAGE)).await,
        world.probe("all work queues by name", store.work_queues(None, PAGE)).await,
    ]
}

async fn runs_of_a_queue() -> Vec<Probe> {
    let world = World::new().await;
    let (store, flow) = (&world.store, world.flow().await);
    let queue = world.pool("pool").await.queues[0].record.queue.id;
    let deployment = world.deployment(&flow, Some(queue)).await;
    for r#type in [StateType::Scheduled, StateType::Running, StateType::Cancelling] {
        world
            .flow_run(FlowId::new(), |run| {
                (run.work_queue_id, run.deployment_id) = (Some(queue), Some(deployment.id));
                run.state_type = Some(r#type);
                run.next_scheduled_start_time = (r#type == StateType::Scheduled).then_some(world.now);
            })
            .await;
    }
    let due = Due::default();
    vec![
        world.probe("the scheduled flow runs of a work queue", store.waiting_in_queue(queue, due, 10)).await,
        world
            .probe("the scheduled flow runs of a deployment", store.waiting_of_deployments(&[deployment.id], due, 10))
            .await,
        world
            .probe(
                "the flow runs that hold a slot of a work queue",
                store.slot_holders(queue, Holders::ActiveOrCancelling),
            )
            .await,
    ]
}

/// Lets the deployments of a queue become ready with a poll, and stop to be it when the polls end.
async fn deployments_of_a_queue() -> Vec<Probe> {
    let world = World::new().await;
    let (store, now, flow) = (&world.store, world.now, world.flow().await);
    let pool = world.pool("pool").await;
    let queue = pool.queues[0].record.queue.id;
    world.deployment(&flow, Some(queue)).await;
    let key = table::work_queue(queue);
    vec![
        world
            .probe("the deployments of a work queue that are not ready, when it is polled", async {
                store.note_poll(&pool.queues, now).await.map(Some)
            })
            .await,
        world
            .probe("the deployments of a work queue that are ready, when nobody has polled it for too long", async {
                store.check_queue(&key, now.plus_seconds(3_600.0)).await.map(Some)
            })
            .await,
    ]
}
