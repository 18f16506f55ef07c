//! The scheduler, against the embedded database and its queue: looks at once, repeated, interrupted, and what they cost.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeMap;

use common::{
    jobs,
    model::{
        Deployment, DeploymentId, Flow, FlowId, FlowRun, Seconds, StateType, Timestamp,
        concurrency_limit::LongestWaits,
        deployment::{DeploymentSchedule, Schedule},
    },
    scheduler::{self, Limits},
    settings::Scheduler,
    store::{
        cost::{Cost, measured},
        deployments::AutoScheduled,
        query::Range,
        table::{self, Index},
    },
};
use embedded::faults::{Fault, Faults};
use serde_json::json;
use uuid::Uuid;
use world::{World, world};

fn every(seconds: i64) -> Schedule {
    let interval = Seconds::from_micros(seconds * 1_000_000);
    let anchor_date = Some("1970-01-01T00:00:00Z".parse().unwrap());
    Schedule::Interval { interval, anchor_date, timezone: Some("UTC".to_owned()) }
}

fn rrule(rrule: &str) -> Schedule {
    Schedule::RRule { rrule: rrule.to_owned(), timezone: Some("UTC".to_owned()) }
}

fn with_schedules(schedules: &[Schedule]) -> Deployment {
    let now = Timestamp::now();
    let id = DeploymentId::new();
    let mut deployment = Deployment::new(id, &Flow::new(FlowId::new(), "flow", now), id.to_string(), now);
    deployment.schedules = schedules
        .iter()
        .map(|schedule| DeploymentSchedule {
            id: Uuid::new_v4(),
            created: now,
            updated: now,
            deployment_id: Some(deployment.id),
            schedule: schedule.clone(),
            active: true,
            max_scheduled_runs: None,
            parameters: serde_json::from_value(json!({"y": 3})).unwrap(),
            slug: None,
        })
        .collect();
    deployment
}

impl World {
    async fn add(&self, schedules: &[Schedule]) -> Deployment {
        let mut deployment = with_schedules(schedules);
        deployment.tags = vec!["t".to_owned()];
        deployment.version = Some("v1".to_owned());
        deployment.parameters = serde_json::from_value(json!({"x": 1, "y": 2})).unwrap();
        self.app.store.add_deployment(&deployment, Vec::new()).await.unwrap();
        deployment
    }

    /// Works off everything that there is to do; `times` tells how often each message is delivered, all at once.
    async fn settle(&mut self, times: usize) {
        loop {
            self.follow_writes().await;
            let received = self.messages().await;
            if received.is_empty() {
                return;
            }
            for (received, message) in received {
                let deliveries = vec![message.into(); times];
                assert!(jobs::consume(&self.app, &self.queue, &deliveries).await.is_empty());
                self.inbox.acknowledge(&received).await.unwrap();
            }
        }
    }

    async fn runs(&self, deployment: DeploymentId) -> Vec<FlowRun> {
        let range = Range::group(&self.app.store, Index::WaitingOfDeployment, &table::runs_of_deployment(deployment));
        let keys: Vec<_> = self.app.store.read_all(range).await.unwrap().into_iter().map(|item| item.key).collect();
        let mut runs = Vec::new();
        for chunk in keys.chunks(100) {
            runs.extend(self.app.store.get_many::<FlowRun>(chunk).await.unwrap());
        }
        let mut runs: Vec<FlowRun> = runs.into_iter().map(|found| found.record).collect();
        runs.sort_by_key(|run| run.next_scheduled_start_time);
        runs
    }

    async fn deployment(&self, id: DeploymentId) -> Deployment {
        self.app.store.deployment(id).await.unwrap().unwrap().record
    }

    /// Turns back the clock of a deployment: its schedules are due, and what was made after `produced` is yet to come.
    async fn make_due(&self, id: DeploymentId) {
        let found = self.app.store.deployment(id).await.unwrap().unwrap();
        let mut deployment = found.record;
        deployment.scheduling.as_mut().unwrap().due = Timestamp::now().plus_seconds(-1.0);
        self.app.store.commit(vec![self.app.store.replace(&deployment, found.version).unwrap()]).await.unwrap();
    }
}

/// Counts the runs of each schedule and instant.
fn instants(runs: &[FlowRun]) -> BTreeMap<(Option<Uuid>, Option<Timestamp>), usize> {
    let mut counts = BTreeMap::new();
    for run in runs {
        let schedule = run.created_by.as_ref().and_then(|creator| creator.id);
        *counts.entry((schedule, run.next_scheduled_start_time)).or_insert(0) += 1;
    }
    counts
}

fn each_once(runs: &[FlowRun]) -> bool {
    instants(runs).values().all(|count| *count == 1)
}

#[tokio::test]
async fn a_new_deployment_gets_its_runs_from_its_own_write() {
    let mut world = world(&Faults::default()).await;
    let deployment = world.add(&[every(3_600)]).await;
    world.settle(1).await;
    let runs = world.runs(deployment.id).await;
    assert_eq!(runs.len(), 3);
    let (run, schedule) = (&runs[0], &deployment.schedules[0]);
    let due = run.next_scheduled_start_time.unwrap();
    let text = due.to_string().replace('T', " ").replace('Z', "+00:00");
    assert_eq!(run.idempotency_key, Some(format!("scheduled {} {} {text}", deployment.id, schedule.id)));
    assert_eq!(run.tags, ["auto-scheduled", "t"]);
    assert_eq!(json!(run.parameters), json!({"x": 1, "y": 3}));
    assert_eq!((run.deployment_version.as_deref(), run.auto_scheduled), (Some("v1"), true));
    let creator = json!({"id": schedule.id, "type": "SCHEDULE", "display_value": "IntervalSchedule"});
    assert_eq!(json!(run.created_by), creator);
    assert_eq!(run.labels["prefect.deployment.id"], json!(deployment.id));
    let states = world.app.store.flow_run_states(run.id).await.unwrap();
    assert_eq!(states.len(), 1);
    assert_eq!((states[0].r#type, states[0].message.as_deref()), (StateType::Scheduled, Some("Flow run scheduled")));
    assert_eq!(states[0].state_details.scheduled_time, Some(due));
    let (mut timers, mut next) = (Vec::new(), Vec::new());
    for partition in world.app.store.timer_partitions() {
        timers.extend(world.app.store.timers(&partition, None, due.plus_seconds(1e6), 10).await.unwrap());
    }
    for partition in world.app.store.next_start_partitions() {
        next.extend(world.app.store.next_starts(&partition, None, due.plus_seconds(1e6), 10).await.unwrap());
    }
    assert_eq!((timers.len(), next.len()), (0, 3), "each can become late, and none has a timer for that");
}

#[tokio::test]
async fn looks_at_once_and_repeated_make_each_run_once() {
    let mut world = world(&Faults::default()).await;
    let schedules = [every(60), every(90), rrule("DTSTART:19700101T000000\nFREQ=SECONDLY;INTERVAL=30"), every(1)];
    let deployment = world.add(&schedules).await;
    let looks = (0..8).map(|_| scheduler::look_at(&world.app, deployment.id));
    futures::future::try_join_all(looks).await.unwrap();
    let runs = world.runs(deployment.id).await;
    assert!(runs.len() >= 61 + 41 + 100 + 100, "{}", runs.len());
    assert!(each_once(&runs));
    world.settle(3).await;
    for _ in 0..3 {
        jobs::schedules::tick(&world.app, &world.queue).await.unwrap();
    }
    world.settle(3).await;
    assert_eq!(instants(&world.runs(deployment.id).await), instants(&runs), "nothing is due yet");
    world.make_due(deployment.id).await;
    jobs::schedules::tick(&world.app, &world.queue).await.unwrap();
    jobs::schedules::tick(&world.app, &world.queue).await.unwrap();
    world.settle(3).await;
    assert!(each_once(&world.runs(deployment.id).await));
}

#[tokio::test]
async fn an_interrupted_look_is_finished_by_the_next() {
    for done in [0, 1, 3] {
        for fault in [Fault::InternalError, Fault::AnswerLost, Fault::TransactionConflict] {
            let faults = Faults::on("TransactWriteItems");
            let world = world(&faults).await;
            let deployment = world.add(&[every(1), every(2), every(3)]).await;
            let undisturbed = 300;
            for _ in 0..done {
                faults.then_pass();
            }
            // As often as the SDK and we try again.
            for _ in 0..4 {
                faults.then(fault);
            }
            let interrupted = scheduler::look_at(&world.app, deployment.id).await;
            while interrupted.is_err() && faults.left() > 0 {
                let _ = scheduler::look_at(&world.app, deployment.id).await;
            }
            scheduler::look_at(&world.app, deployment.id).await.unwrap();
            let runs = world.runs(deployment.id).await;
            assert!(runs.len() >= undisturbed, "{} runs after {fault:?} at {done}", runs.len());
            assert!(each_once(&runs), "{fault:?} at {done}");
            let scheduling = world.deployment(deployment.id).await.scheduling.unwrap();
            assert!(scheduling.due > Timestamp::now());
        }
    }
}

#[tokio::test]
async fn no_run_is_made_by_what_a_schedule_was() {
    let mut world = world(&Faults::default()).await;
    let deployment = world.add(&[every(3_600)]).await;
    let paused = Deployment { paused: true, ..deployment.clone() };
    let before = world.app.store.deployment(deployment.id).await.unwrap().unwrap();
    world.app.store.replace_deployment(&before, &paused, Vec::new()).await.unwrap();
    world.settle(2).await;
    scheduler::look_at(&world.app, deployment.id).await.unwrap();
    assert!(world.runs(deployment.id).await.is_empty());
    assert_eq!(world.deployment(deployment.id).await.scheduling, None);
    let before = world.app.store.deployment(deployment.id).await.unwrap().unwrap();
    world.app.store.replace_deployment(&before, &Deployment { paused: false, ..paused }, Vec::new()).await.unwrap();
    world.settle(2).await;
    assert_eq!(world.runs(deployment.id).await.len(), 3);
}

#[tokio::test]
async fn runs_from_before_a_change_are_replaced_whether_the_request_or_the_look_comes_first() {
    for look_first in [true, false] {
        let mut world = world(&Faults::default()).await;
        let deployment = world.add(&[every(3_600), every(7_200)]).await;
        world.settle(1).await;
        let old = world.runs(deployment.id).await;
        assert_eq!(old.len(), 6);
        let mut changed = world.deployment(deployment.id).await;
        changed.parameters = serde_json::from_value(json!({"x": "new"})).unwrap();
        changed.schedules[1].active = false;
        let before = world.app.store.deployment(deployment.id).await.unwrap().unwrap();
        world.app.store.replace_deployment(&before, &changed, Vec::new()).await.unwrap();
        if look_first {
            world.settle(1).await;
        }
        let void = world.deployment(deployment.id).await.void_runs.unwrap();
        world.app.store.delete_void_runs(deployment.id, void).await.unwrap();
        let left = world.runs(deployment.id).await;
        assert!(left.iter().all(|run| run.parameters["x"] == "new"), "{look_first}");
        world.settle(1).await;
        let runs = world.runs(deployment.id).await;
        assert_eq!(runs.len(), 3, "{look_first}");
        assert!(each_once(&runs) && runs.iter().all(|run| run.parameters["x"] == "new"));
    }
}

#[tokio::test]
async fn the_runs_of_a_paused_deployment_are_deleted_by_what_follows_from_the_change() {
    let mut world = world(&Faults::default()).await;
    let deployment = world.add(&[every(3_600)]).await;
    world.settle(1).await;
    assert_eq!(world.runs(deployment.id).await.len(), 3);
    let pause = |deployment: &mut Deployment| {
        deployment.paused = true;
        Ok(())
    };
    let paused = world.app.store.reschedule_deployment(deployment.id, AutoScheduled::All, pause).await.unwrap();
    assert!(paused.is_written);
    // The request that paused it dies here.
    world.settle(2).await;
    assert!(world.runs(deployment.id).await.is_empty());
    let again = world.app.store.reschedule_deployment(deployment.id, AutoScheduled::All, pause).await.unwrap();
    assert!(!again.is_written);
}

#[tokio::test]
async fn a_schedule_that_is_added_leaves_the_others_their_runs() {
    let mut world = world(&Faults::default()).await;
    let deployment = world.add(&[every(3_600)]).await;
    world.settle(1).await;
    let ids = |runs: &[FlowRun]| runs.iter().map(|run| run.id).collect::<Vec<_>>();
    let old = ids(&world.runs(deployment.id).await);
    let before = world.app.store.deployment(deployment.id).await.unwrap().unwrap();
    let mut more = before.record.clone();
    more.schedules.insert(0, with_schedules(&[every(7_200)]).schedules.remove(0));
    world.app.store.replace_deployment(&before, &more, Vec::new()).await.unwrap();
    world.settle(1).await;
    let runs = world.runs(deployment.id).await;
    assert_eq!(runs.len(), 6);
    assert!(old.iter().all(|id| ids(&runs).contains(id)));
}

#[tokio::test]
async fn runs_that_are_asked_for_are_those_that_the_scheduler_makes() {
    let mut world = world(&Faults::default()).await;
    let deployment = world.add(&[every(3_600)]).await;
    world.settle(1).await;
    let mut limits = Limits::new(&Scheduler::default(), Timestamp::now());
    assert_eq!(scheduler::schedule_runs(&world.app, deployment.id, limits).await.unwrap(), []);
    limits.min_runs = 20;
    assert_eq!(scheduler::schedule_runs(&world.app, deployment.id, limits).await.unwrap().len(), 17);
    let runs = world.runs(deployment.id).await;
    assert_eq!(runs.len(), 20);
    assert!(each_once(&runs));
    world.make_due(deployment.id).await;
    scheduler::look_at(&world.app, deployment.id).await.unwrap();
    assert!(each_once(&world.runs(deployment.id).await));
    assert_eq!(scheduler::schedule_runs(&world.app, DeploymentId::new(), limits).await.unwrap(), []);
}

#[tokio::test]
async fn a_tick_with_nothing_to_do_costs_a_query_a_shard() {
    let mut world = world(&Faults::default()).await;
    for place in 0..60 {
        let old = rrule("DTSTART:19700101T000000\nRRULE:FREQ=HOURLY;INTERVAL=5");
        let never = Schedule::Cron { cron: "0 0 30 2 *".to_owned(), timezone: None, day_or: true };
        world.add(&[if place % 10 == 0 { old } else { every(86_400) }, never]).await;
    }
    world.settle(1).await;
    let (outcome, cost): (_, Cost) = measured(jobs::schedules::tick(&world.app, &world.queue)).await;
    outcome.unwrap();
    assert!(world.messages().await.is_empty());
    assert_eq!(cost.round_trips, 3, "{cost:?}");
    assert!(cost.read_units <= 1.5 && cost.write_units == 0.0, "{cost:?}");
}

#[tokio::test]
async fn a_look_reads_and_writes_only_what_is_new() {
    let mut world = world(&Faults::default()).await;
    let deployment = world.add(&[rrule("DTSTART:19700101T000000\nRRULE:FREQ=MINUTELY")]).await;
    world.settle(1).await;
    let runs = world.runs(deployment.id).await.len();
    assert!((60..=62).contains(&runs), "{runs}");
    // The last run made is yet to come.
    let found = world.app.store.deployment(deployment.id).await.unwrap().unwrap();
    let last = world.runs(deployment.id).await.pop().unwrap();
    world.app.store.delete_flow_run(last.id, Timestamp::now(), LongestWaits::default()).await.unwrap();
    let mut behind = found.record.clone();
    let scheduling = behind.scheduling.as_mut().unwrap();
    scheduling.due = Timestamp::now();
    for produced in scheduling.produced.values_mut() {
        *produced = produced.plus_seconds(-60.0);
    }
    world.app.store.commit(vec![world.app.store.replace(&behind, found.version).unwrap()]).await.unwrap();
    let (outcome, cost): (_, Cost) = measured(scheduler::look_at(&world.app, deployment.id)).await;
    outcome.unwrap();
    println!("a look that makes one run: {cost:?}");
    assert!(world.runs(deployment.id).await.len() >= runs);
    assert!(cost.round_trips <= 3, "{cost:?}");
}
