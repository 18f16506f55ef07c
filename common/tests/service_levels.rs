//! Service level agreements, against the embedded database and its queue: timely and late looks, at once and repeated.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::time::Duration;

use common::{
    event_ingestion,
    filter::EventFilter,
    jobs::{self, Delivery},
    model::{
        Deployment, DeploymentId, Flow, FlowId, FlowRun, FlowRunId, ReceivedEvent, Seconds, State, StateId, StateType,
        Timestamp,
        deployment::{ExpectedEvent, ServiceLevelAgreement, Severity, SlaCondition},
    },
    orchestration::Client,
    service_levels::{look_at_deployment, look_at_run},
    store::{cost::measured, event_query::Counting},
    timers,
    transitions::{Proposal, propose_flow_run_state},
};
use embedded::faults::{Fault, Faults};
use serde_json::{Value, json};
use world::{World, world};

fn ago(seconds: f64) -> Timestamp {
    Timestamp::now().plus_seconds(-seconds)
}

fn seconds(seconds: i64) -> Seconds {
    Seconds::from_micros(seconds * 1_000_000)
}

fn agreement(condition: SlaCondition, made: Timestamp) -> ServiceLevelAgreement {
    let name = "agreed".to_owned();
    ServiceLevelAgreement { name, severity: Severity::High, enabled: true, condition, since: Some(made) }
}

impl World {
    async fn add_deployment(&self, slas: Vec<ServiceLevelAgreement>) -> Deployment {
        let flow = Flow::new(FlowId::new(), "flow", Timestamp::now());
        let (flow, _) = self.app.store.add_flow(flow).await.unwrap();
        let id = DeploymentId::new();
        let deployment = Deployment { slas, ..Deployment::new(id, &flow, id.to_string(), Timestamp::now()) };
        self.app.store.add_deployment(&deployment, Vec::new()).await.unwrap();
        deployment
    }

    async fn change(&self, deployment: &Deployment, change: impl Fn(&mut Deployment)) {
        let found = self.app.store.deployment(deployment.id).await.unwrap().unwrap();
        let mut changed = found.record.clone();
        change(&mut changed);
        self.app.store.commit(vec![self.app.store.replace(&changed, found.version).unwrap()]).await.unwrap();
    }

    async fn add_run(&self, of: &Deployment) -> FlowRunId {
        let mut run = FlowRun::new(FlowRunId::new(), of.flow_id, "run", Timestamp::now());
        run.deployment_id = Some(of.id);
        self.app.store.commit(vec![self.app.store.insert(&run).unwrap()]).await.unwrap();
        run.id
    }

    async fn enter(&self, run: FlowRunId, r#type: StateType) {
        let state = serde_json::from_value(json!({ "type": r#type })).unwrap();
        propose_flow_run_state(&self.app, run, &Proposal::new(state, true, Client::default())).await.unwrap();
    }

    /// Looks for what is due, twice at once, and works off everything that there is to do, each message twice at once.
    async fn settle(&mut self) {
        tokio::try_join!(jobs::timers::tick(&self.app, &self.queue), jobs::timers::tick(&self.app, &self.queue))
            .unwrap();
        loop {
            self.follow_writes().await;
            let received = self.messages().await;
            if received.is_empty() {
                return;
            }
            let messages: Vec<Delivery> = received.iter().map(|(_, message)| message.clone().into()).collect();
            let deliver = || jobs::consume(&self.app, &self.queue, &messages);
            let (first, second) = tokio::join!(deliver(), deliver());
            for (place, (received, _)) in received.iter().enumerate() {
                if first.iter().chain(&second).all(|failure| failure.place != place) {
                    self.inbox.acknowledge(received).await.unwrap();
                }
            }
        }
    }

    /// Returns the events that tell of agreements, by their names.
    async fn told(&self) -> Vec<ReceivedEvent> {
        let wanted = json!({"event": {"prefix": ["prefect.sla."]}, "order": "ASC"});
        let filter: EventFilter = serde_json::from_value(wanted).unwrap();
        self.app.store.read_events(&filter, None, 100, Counting::PageOnly).await.unwrap().events
    }

    async fn told_names(&self) -> Vec<String> {
        self.told().await.into_iter().map(|event| event.event).collect()
    }

    async fn watches(&self) -> usize {
        let mut count = 0;
        for partition in self.app.store.timer_partitions() {
            let timers = self.app.store.timers(&partition, None, ago(-1e6), 100).await.unwrap();
            count += timers.iter().filter(|timer| timer.of.sk == "agreements").count();
        }
        count
    }
}

const VIOLATION: &str = "prefect.sla.violation";
const RESOLUTION: &str = "prefect.sla.resolution";

#[tokio::test]
async fn a_run_that_takes_too_long_is_told_of_once_and_so_is_its_end() {
    let mut world = world(&Faults::default()).await;
    let deployment = world.add_deployment(vec![agreement(SlaCondition::Duration(1), ago(60.0))]).await;
    let (slow, quick) = (world.add_run(&deployment).await, world.add_run(&deployment).await);
    for run in [slow, quick] {
        world.enter(run, StateType::Running).await;
    }
    world.settle().await;
    assert_eq!((world.told_names().await, world.watches().await), (vec![], 2));
    world.enter(quick, StateType::Completed).await;
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    for _ in 0..3 {
        world.settle().await;
        look_at_run(&world.app, slow).await.unwrap();
    }
    assert_eq!((world.told_names().await, world.watches().await), (vec![VIOLATION.to_owned()], 0));
    world.enter(slow, StateType::Completed).await;
    for _ in 0..3 {
        world.settle().await;
        look_at_run(&world.app, slow).await.unwrap();
    }
    assert_eq!(world.told_names().await, [VIOLATION, RESOLUTION]);
    let told = world.told().await;
    assert_eq!(told[0].resource.id(), format!("prefect.flow-run.{slow}"));
    let related: Vec<&str> = told[0].related.iter().map(|related| related.resource().id()).collect();
    let flow = format!("prefect.flow.{}", deployment.flow_id);
    assert_eq!(related, [flow, format!("prefect.deployment.{}", deployment.id)]);
    let run = world.app.store.flow_run(slow).await.unwrap().unwrap().record;
    assert_eq!(told[0].occurred, run.start_time.unwrap().plus_seconds(1.0));
    assert_eq!((told[1].occurred, told[1].follows), (run.end_time.unwrap(), Some(told[0].id)));
}

#[tokio::test]
async fn a_run_made_by_a_schedule_before_the_agreement_is_late() {
    let mut world = world(&Faults::default()).await;
    let deployment = world.add_deployment(Vec::new()).await;
    let mut state = State::new(StateId::new(), StateType::Scheduled, ago(120.0));
    state.state_details.scheduled_time = Some(ago(60.0));
    let mut run = FlowRun::new(FlowRunId::new(), deployment.flow_id, "run", ago(120.0));
    run.deployment_id = Some(deployment.id);
    run.expected_start_time = state.state_details.scheduled_time;
    run.next_scheduled_start_time = run.expected_start_time;
    (run.state_id, run.state_type, run.state_name) = (Some(state.id), Some(state.r#type), Some(state.name.clone()));
    run.state = Some(state.clone());
    let due = timers::due(&state, &world.app.settings, Timestamp::now());
    let scheduled = world.app.store.scheduled_run(&run, due).unwrap();
    world.app.store.add_scheduled_runs(vec![scheduled], &deployment, 1).await.unwrap();
    world.follow_writes().await;
    world
        .change(&deployment, |deployment| {
            deployment.slas = vec![agreement(SlaCondition::Within(seconds(20)), ago(50.0))];
        })
        .await;
    world.settle().await;
    assert_eq!(world.told_names().await, [VIOLATION]);
    world.enter(run.id, StateType::Pending).await;
    world.enter(run.id, StateType::Running).await;
    world.settle().await;
    assert_eq!(world.told_names().await, [VIOLATION, RESOLUTION]);
}

#[tokio::test]
async fn a_deployment_whose_runs_complete_too_rarely_is_told_of_until_one_completes() {
    let mut world = world(&Faults::default()).await;
    let deployment = world.add_deployment(vec![agreement(SlaCondition::StaleAfter(seconds(30)), ago(100.0))]).await;
    world.settle().await;
    look_at_deployment(&world.app, deployment.id).await.unwrap();
    assert_eq!(world.told_names().await, [VIOLATION]);
    for r#type in [StateType::Failed, StateType::Completed, StateType::Completed] {
        let run = world.add_run(&deployment).await;
        world.enter(run, StateType::Running).await;
        world.enter(run, r#type).await;
        world.settle().await;
        look_at_run(&world.app, run).await.unwrap();
    }
    assert_eq!(world.told_names().await, [VIOLATION, RESOLUTION]);
    let told = world.told().await;
    assert_eq!(told[1].resource.id(), format!("prefect.deployment.{}", deployment.id));
    assert_eq!(world.watches().await, 1, "the next completion is waited for");
}

#[tokio::test]
async fn an_event_that_is_not_seen_is_told_of_until_it_is() {
    let mut world = world(&Faults::default()).await;
    let resource = serde_json::from_value(json!({"prefect.resource.id": "warehouse"})).unwrap();
    let expected = ExpectedEvent { event: "table.loaded".to_owned(), resource, within: seconds(30) };
    let seen = async |world: &World, event: &str, resource: &str, occurred: Timestamp| {
        let resource = json!({"prefect.resource.id": resource});
        let event: Value =
            json!({"occurred": occurred, "event": event, "resource": resource, "id": uuid::Uuid::new_v4()});
        event_ingestion::receive(&world.app, vec![serde_json::from_value(event).unwrap()]).await.unwrap();
    };
    for occurred in [90.0, 65.0] {
        seen(&world, "table.loaded", "warehouse", ago(occurred)).await;
    }
    seen(&world, "table.dropped", "warehouse", ago(40.0)).await;
    seen(&world, "table.loaded", "other", ago(40.0)).await;
    let deployment = world.add_deployment(vec![agreement(SlaCondition::ExpectedEvent(expected), ago(100.0))]).await;
    for _ in 0..2 {
        world.settle().await;
        look_at_deployment(&world.app, deployment.id).await.unwrap();
    }
    assert_eq!(world.told_names().await, [VIOLATION]);
    let again = ago(1.0);
    seen(&world, "table.loaded", "warehouse", again).await;
    for _ in 0..2 {
        look_at_deployment(&world.app, deployment.id).await.unwrap();
    }
    assert_eq!(world.told_names().await, [VIOLATION, RESOLUTION]);
    assert_eq!(world.told().await[1].occurred, again);
    assert_eq!(world.watches().await, 1);
}

#[tokio::test]
async fn what_was_changed_or_is_gone_violates_nothing() {
    let mut world = world(&Faults::default()).await;
    let slow = || vec![agreement(SlaCondition::Duration(1), ago(60.0))];
    let rare = || agreement(SlaCondition::StaleAfter(seconds(30)), Timestamp::now());
    let mut deployments = Vec::new();
    for _ in 0..4 {
        let deployment = world.add_deployment([slow(), vec![rare()]].concat()).await;
        let run = world.add_run(&deployment).await;
        world.enter(run, StateType::Running).await;
        deployments.push(deployment);
    }
    world.settle().await;
    assert_eq!(world.watches().await, 8);
    let [removed, disabled, longer, deleted] = &deployments[..] else { panic!("there are four") };
    world.change(removed, |deployment| deployment.slas.clear()).await;
    world.change(disabled, |deployment| deployment.slas.iter_mut().for_each(|sla| sla.enabled = false)).await;
    world.change(longer, |deployment| deployment.slas[0].condition = SlaCondition::Duration(1_000)).await;
    world.app.store.delete_deployment(deleted.id).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    world.settle().await;
    assert_eq!(world.told_names().await, [""; 0]);
    for deployment in &deployments {
        look_at_deployment(&world.app, deployment.id).await.unwrap();
    }
    assert_eq!(world.watches().await, 2, "those of the deployment that has both agreements still");
}

#[tokio::test]
async fn writes_that_fail_delay_what_is_told() {
    let faults = Faults::on("PutItem");
    let mut world = world(&faults).await;
    let deployment = world.add_deployment(vec![agreement(SlaCondition::StaleAfter(seconds(30)), ago(100.0))]).await;
    world.follow_writes().await;
    faults.then(Fault::AnswerLost).then(Fault::InternalError).then(Fault::Throttled);
    world.settle().await;
    let run = world.add_run(&deployment).await;
    world.enter(run, StateType::Completed).await;
    world.follow_writes().await;
    faults.then(Fault::AnswerLost).then(Fault::AnswerLost).then(Fault::InternalError);
    world.settle().await;
    assert_eq!(world.told_names().await, [VIOLATION, RESOLUTION]);
}

#[tokio::test]
async fn a_deployment_without_agreements_costs_nothing() {
    let mut costs = Vec::new();
    for slas in [Vec::new(), vec![agreement(SlaCondition::Duration(1), ago(60.0))]] {
        let mut world = world(&Faults::default()).await;
        let has_some = !slas.is_empty();
        let deployment = world.add_deployment(slas).await;
        let run = world.add_run(&deployment).await;
        world.follow_writes().await;
        assert_eq!(world.messages().await.len(), 0);
        world.enter(run, StateType::Running).await;
        let ((), cost) = measured(world.follow_writes()).await;
        assert_eq!(world.messages().await.len(), usize::from(has_some));
        costs.push((cost.round_trips, cost.read_units, cost.write_units));
    }
    assert_eq!(costs[0], costs[1], "the stream's consumer reads no more to find that there are some");
}

#[tokio::test]
async fn a_look_at_a_run_is_a_few_reads_and_a_write_if_there_is_news() {
    let world = world(&Faults::default()).await;
    let deployment = world.add_deployment(vec![agreement(SlaCondition::Duration(100), ago(60.0))]).await;
    let run = world.add_run(&deployment).await;
    world.enter(run, StateType::Running).await;
    let mut costs = Vec::new();
    for _ in 0..2 {
        let (looked, cost) = measured(look_at_run(&world.app, run)).await;
        looked.unwrap();
        costs.push((cost.round_trips, cost.read_units, cost.write_units));
    }
    assert_eq!(costs, [(4, 3.0, 2.0), (3, 3.0, 0.0)]);
}
