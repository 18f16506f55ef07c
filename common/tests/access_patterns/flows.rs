//! Probes of flows and deployments.

use common::{
    filter::{DeploymentSort, FlowSort, RunFilters},
    model::{Deployment, DeploymentId, StateType},
    store::deployments::called,
};
use serde_json::json;

use crate::{
    probe::Probe,
    world::{PAGE, World, any, read},
};

pub(crate) async fn probes() -> Vec<Probe> {
    let world = World::new().await;
    let store = &world.store;
    let flow = world.flow().await;
    let deployment = world.deployment(&flow, None).await;
    let (all, of_flow) = (RunFilters::default(), read(json!({"flows": {"id": any(flow.id)}})));
    let flows = |sort| store.flows(&all, sort, PAGE);
    let deployments = |sort| store.deployments(&all, sort, PAGE);
    world
        .flow_run(flow.id, |run| {
            (run.state_type, run.next_scheduled_start_time) = (Some(StateType::Scheduled), Some(world.now));
        })
        .await;
    vec![
        world.probe("the scheduled flow run of a flow that is due first", store.next_run_of_flow(flow.id)).await,
        world.probe("a flow by its id", store.flow(flow.id)).await,
        world.probe("a flow by its name", store.flow_by_name(&flow.name)).await,
        world.probe("all flows by name", flows(FlowSort::NameAsc)).await,
        world.probe("all flows by creation", flows(FlowSort::CreatedDesc)).await,
        world.probe("a deployment by its id", store.deployment(deployment.id)).await,
        world
            .probe("a deployment by its flow and name", store.find::<Deployment>(called(flow.id, &deployment.name)))
            .await,
        world
            .probe("the deployments of a flow, by name", store.deployments(&of_flow, DeploymentSort::NameAsc, PAGE))
            .await,
        world.probe("all deployments by name", deployments(DeploymentSort::NameAsc)).await,
        world.probe("all deployments by creation", deployments(DeploymentSort::CreatedDesc)).await,
        scheduled().await,
    ]
}

async fn scheduled() -> Probe {
    let world = World::new().await;
    let store = &world.store;
    let flow = world.flow().await;
    let mut deployment = Deployment::new(DeploymentId::new(), &flow, "d", world.now);
    deployment.schedules = read(json!([{
        "id": flow.id, "created": world.now, "updated": world.now, "schedule": {"interval": 60.0},
    }]));
    store.add_deployment(&deployment, Vec::new()).await.unwrap();
    let due = async {
        let mut found = Vec::new();
        for partition in store.scheduling_partitions() {
            found.extend(store.deployments_to_schedule(&partition, world.now.plus_seconds(60.0), 10).await?);
        }
        Ok(found)
    };
    world.probe("the deployments whose schedules are looked at next, by when", due).await
}
