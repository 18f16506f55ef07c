//! What must hold in the end, told from upstream's rules and not from ours.

use std::collections::HashSet;

use common::{
    model::{FlowRun, FlowRunId, LeaseId, State, StateType, TaskRunId, Timestamp},
    store::{
        query::Range,
        table::{Collection, Index},
    },
};
use proctor::database::Database;
use serde_json::json;

use crate::world::{Kind, Ledger, World};

use StateType::{Cancelled, Cancelling, Crashed, Paused, Pending, Running, Scheduled};

/// What the end of a pause says that was not resumed in time.
const NEVER_RESUMED: &str = "The flow was paused and never resumed.";

/// What a state is called in which a run waits for a slot of its deployment.
const AWAITING_SLOT: &str = "AwaitingConcurrencySlot";

/// Says whether a flow run may go from one state to the next, where nobody forces it.
fn flow_run_may_go(from: StateType, to: StateType, is_deployed: bool) -> bool {
    match (from, to) {
        (Pending | Running | Cancelling | Cancelled | Paused, Pending) => false,
        (Cancelling, to) => to == Cancelled,
        (from, Cancelling | Paused | Crashed) if from.is_terminal() => false,
        (from, Scheduled) if from.is_terminal() => is_deployed,
        (from, Paused) => from == Running,
        (Scheduled, Cancelling) => false,
        _ => true,
    }
}

/// Says whether a task run may go from one state to the next, where nobody forces it.
fn task_run_may_go(from: StateType, to: StateType) -> bool {
    !(from.is_terminal() && matches!(to, Cancelling | Paused | Crashed))
}

/// Says whether `state` may follow `before`, if it is one that the server enters when it is time.
fn may_follow(state: &State, before: &State) -> bool {
    match state.message.as_deref() {
        Some(NEVER_RESUMED) => before.r#type == Paused,
        Some(message) if message.starts_with("Flow run cancellation timed out") => before.r#type == Cancelling,
        _ => state.name != "Late" || before.name == "Scheduled",
    }
}

/// What a history says of its run.
#[derive(Debug, Default)]
struct Told {
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    total_run_time: f64,
    fewest_runs: i64,
    most_runs: i64,
}

impl Told {
    fn of(kind: Kind, history: &[State], ledger: &Ledger) -> Self {
        let is_flow_run = matches!(kind, Kind::Flow { .. });
        let (mut told, mut before): (Self, Option<&State>) = (Self::default(), None);
        // Whether the run is being resumed, as far as the history tells: a refused proposal may set it in a pause.
        let (mut may_resume, mut must_resume) = (false, false);
        for state in history {
            let is_forced = is_forced(state, ledger);
            if let Some(before) = before.filter(|before| before.r#type == Running) {
                told.total_run_time += state.timestamp.seconds_since(before.timestamp);
            }
            let returns = before.is_some_and(|before| before.r#type.is_terminal()) && !state.r#type.is_terminal();
            if returns {
                told.end_time = None;
                if !is_forced {
                    // A run that is sent to wait for a slot may have been so before the rule had its turn that forgets a pause.
                    may_resume &= state.name == AWAITING_SLOT;
                    must_resume = false;
                    if !is_flow_run {
                        (told.fewest_runs, told.most_runs) = (0, 0);
                    }
                }
            }
            let was_paused = is_flow_run && before.is_some_and(|before| before.r#type == Paused);
            may_resume |= was_paused;
            if state.r#type == Running {
                told.start_time.get_or_insert(state.timestamp);
                told.fewest_runs += i64::from(!may_resume);
                told.most_runs += i64::from(!must_resume);
            }
            if state.r#type == Running || state.r#type.is_terminal() || state.name == "AwaitingRetry" {
                (may_resume, must_resume) = (false, false);
            }
            if was_paused {
                // A state that is forced leaves the mark as it was, which may be there because of a refused proposal. The
                // server forces the end of a pause that is over, and a client's late proposal ends it in the same words.
                let may_be_forced = is_forced || state.message.as_deref() == Some(NEVER_RESUMED);
                (may_resume, must_resume) = (true, !may_be_forced);
                // The process of a blocking pause is gone when it is scheduled: what starts is another attempt.
                let is_blocking = before.is_some_and(|before| !before.state_details.pause_reschedule);
                if is_blocking && state.r#type == Scheduled && !is_forced {
                    (may_resume, must_resume) = (false, false);
                }
            }
            if state.r#type.is_terminal() {
                told.start_time.get_or_insert(state.timestamp);
                told.end_time.get_or_insert(state.timestamp);
            }
            before = Some(state);
        }
        told
    }
}

fn is_forced(state: &State, ledger: &Ledger) -> bool {
    state.state_details.transition_id.is_some_and(|id| ledger.forced.contains(&id))
}

/// What is compared of a run of either kind.
struct Seen {
    state: State,
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    total_run_time: f64,
    run_count: i64,
}

macro_rules! seen {
    ($run:expr) => {
        $run.unwrap().map(|run| {
            let run = run.record;
            Seen {
                state: run.state.unwrap(),
                start_time: run.start_time,
                end_time: run.end_time,
                total_run_time: run.total_run_time.as_f64(),
                run_count: run.run_count,
            }
        })
    };
}

/// Checks everything.
pub(crate) async fn check(world: &World) {
    let runs = world.ledger().runs.clone();
    let (mut flow_runs, mut task_runs): (Vec<FlowRunId>, Vec<TaskRunId>) = (Vec::new(), Vec::new());
    for kind in runs {
        let is_there = check_run(world, kind).await;
        match kind {
            Kind::Flow { id, .. } if is_there => flow_runs.push(id),
            Kind::Task { id, .. } if is_there => task_runs.push(id),
            _ => {}
        }
    }
    check_slots(world, &flow_runs, &task_runs).await;
    check_tallies(world).await;
}

/// Compares what is tallied with what there is, run by run.
async fn check_tallies(world: &World) {
    if let Database::Sqlite(database) = &world.database {
        assert_eq!(database.check_tallies(false).await.unwrap(), 0, "tallies differ from the runs that are there");
    }
    let store = &world.app.store;
    let items = store.read_all(Range::all(store, Index::Lookup, Collection::FlowRuns)).await.unwrap();
    let keys: Vec<_> = items.into_iter().map(|item| item.key).collect();
    let runs: Vec<FlowRun> = store.get_many(&keys).await.unwrap().into_iter().map(|found| found.record).collect();
    for state_type in StateType::ALL {
        let filter = json!({"flow_runs": {"state": {"type": {"any_": [state_type]}}}});
        let counted = store.count_flow_runs(&serde_json::from_value(filter).unwrap()).await.unwrap();
        let there = runs.iter().filter(|run| run.state_type == Some(state_type)).count();
        assert_eq!(counted, there as u64, "{state_type:?}");
    }
    for deployment in &world.deployments {
        let filter = json!({"flow_runs": {"deployment_id": {"any_": [deployment]}}});
        let counted = store.count_flow_runs(&serde_json::from_value(filter).unwrap()).await.unwrap();
        assert_eq!(counted, runs.iter().filter(|run| run.deployment_id == Some(*deployment)).count() as u64);
    }
}

/// Checks a run and its history; returns whether the run is there.
async fn check_run(world: &World, kind: Kind) -> bool {
    let store = &world.app.store;
    let (seen, history) = match kind {
        Kind::Flow { id, .. } => (seen!(store.flow_run(id).await), store.flow_run_states(id).await.unwrap()),
        Kind::Task { id, .. } => (seen!(store.task_run(id).await), store.task_run_states(id).await.unwrap()),
    };
    let rest = store.read_all(Range::partition(kind.key().pk)).await.unwrap();
    let is_around_gone = match kind {
        Kind::Flow { .. } => false,
        Kind::Task { around, .. } => store.flow_run(around).await.unwrap().is_none(),
    };
    let ledger = world.ledger();
    let Some(seen) = seen else {
        assert!(ledger.may_be_gone(kind), "nobody deleted {kind:?}");
        let left: Vec<_> = rest.into_iter().map(|item| item.key).collect();
        assert!(left.is_empty(), "{left:?} is left of {kind:?}");
        return false;
    };
    assert!(!ledger.deleted.contains(&kind.uuid()), "{kind:?} was deleted and is there");
    assert!(!is_around_gone, "{kind:?} was left behind by its flow run");
    let told = Told::of(kind, &history, &ledger);
    let path: Vec<_> = history.iter().map(|state| state.name.as_str()).collect();
    assert_eq!(history.last().unwrap().id, seen.state.id, "the last state of {path:?} is the run's");
    for pair in history.windows(2) {
        let (from, to) = (&pair[0], &pair[1]);
        assert!(from.timestamp < to.timestamp, "the times of {path:?} are in order");
        assert!(may_follow(to, from), "the server acted on a run that had gone on: {path:?}");
        if is_forced(to, &ledger) {
            continue;
        }
        let may_go = match kind {
            Kind::Flow { is_deployed, .. } => flow_run_may_go(from.r#type, to.r#type, is_deployed),
            // The server forces a cancellation on what runs within a run that was cancelled.
            Kind::Task { .. } => task_run_may_go(from.r#type, to.r#type),
        };
        assert!(may_go, "from {} to {} in {path:?}", from.r#type, to.r#type);
        if matches!(kind, Kind::Flow { .. }) {
            let ids = (from.state_details.transition_id, to.state_details.transition_id);
            assert!(ids.0.is_none() || ids.0 != ids.1, "a transition was made twice in {path:?}");
        }
    }
    // As many as were told so have entered a state: nobody is told that of a state that another one entered.
    let entered: HashSet<_> = history.iter().map(|state| state.id).collect();
    let told_so: Vec<_> =
        ledger.entered.iter().filter(|(run, _)| *run == kind.uuid()).map(|(_, state)| *state).collect();
    assert!(told_so.iter().all(|state| entered.contains(state)), "not all of {told_so:?} are in {history:?}");
    assert_eq!(told_so.iter().collect::<HashSet<_>>().len(), told_so.len(), "two were told of one state in {path:?}");

    assert_eq!(seen.start_time, told.start_time, "start time after {path:?}");
    assert_eq!(seen.end_time, told.end_time, "end time after {path:?}");
    assert_eq!(seen.end_time.is_some(), seen.state.r#type.is_terminal(), "ended after {path:?}");
    assert!((seen.total_run_time - told.total_run_time).abs() < 1e-3, "{} after {history:?}", seen.total_run_time);
    let runs = told.fewest_runs..=told.most_runs;
    assert!(runs.contains(&seen.run_count), "{} runs, not {runs:?}, after {path:?}", seen.run_count);
    if matches!(kind, Kind::Flow { .. }) {
        assert!(!is_due(&seen.state), "the server did not act after {path:?}: {:?}", seen.state);
    }
    true
}

/// Says whether the server should have acted on a flow run in `state` by now.
fn is_due(state: &State) -> bool {
    match state.r#type {
        Cancelling => true,
        Paused => state.state_details.pause_timeout.is_some(),
        Scheduled => state.name == "Scheduled" && state.state_details.scheduled_time.is_some(),
        _ => false,
    }
}

/// Compares the counters of the limits with the leases, and the leases with the runs that hold them.
async fn check_slots(world: &World, flow_runs: &[FlowRunId], task_runs: &[TaskRunId]) {
    let leases = world.leases().await;
    for id in &world.limits {
        let limit = world.limit(*id).await;
        let held = leases.iter().filter(|lease| lease.limits.contains(id)).map(|lease| lease.slots).sum::<i64>();
        assert_eq!(limit.active_slots, held, "{}: {leases:?}", limit.name);
        assert!(held <= limit.limit, "{}: {leases:?}", limit.name);
    }
    let mut holding: HashSet<LeaseId> = HashSet::new();
    for id in flow_runs {
        let run = world.app.store.flow_run(*id).await.unwrap().unwrap().record;
        let state = run.state.unwrap();
        let may_hold = matches!(state.r#type, Pending | Running | Cancelling) || state.name == "AwaitingRetry";
        assert!(run.held_lease.is_none() || may_hold, "{state:?} holds {:?}", run.held_lease);
        holding.extend(run.held_lease);
    }
    for id in task_runs {
        let state = world.app.store.task_run(*id).await.unwrap().unwrap().record.state.unwrap();
        let held = world.app.store.leases_held_by(*id).await.unwrap();
        assert!(held.is_empty() || matches!(state.r#type, Running | Cancelling), "{state:?} holds {held:?}");
        holding.extend(held);
    }
    for lease in leases {
        assert!(holding.contains(&lease.id), "nobody holds {lease:?}");
    }
}
