//! What holds for every history that the orchestration kernel produces, whatever clients propose.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use common::{
    model::{
        DeploymentId, FlowId, FlowRun, FlowRunId, FlowRunPolicy, Seconds, State, StateId, StateType, TaskRun,
        TaskRunId, TaskRunPolicy, Timestamp,
    },
    orchestration::{
        EnclosingFlowRun, Facts, Plan, Policy, Run, Transition, Verdict, decide,
        policy::{CORE_FLOW_POLICY, CORE_TASK_POLICY, flow_policy, task_policy},
        transition::Books,
    },
};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof, proptest},
    sample::select,
    test_runner::TestCaseError,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// A state as some client proposes it at some time.
#[derive(Clone, Debug)]
struct Proposal {
    id: u128,
    state_type: StateType,
    name: Option<&'static str>,
    data: Option<Value>,
    delay_seconds: f64,
    pauses_for: Option<f64>,
    seconds_later: f64,
    enclosing: Option<StateType>,
}

fn proposals() -> impl Strategy<Value = Vec<Proposal>> {
    let names = prop_oneof![
        4 => Just(None),
        1 => select(vec![Some("Late"), Some("Submitting"), Some("Suspended"), Some("AwaitingRetry"), Some("Resuming")]),
    ];
    let data = select(vec![None, Some(json!({"type": "reference"})), Some(json!({"type": "unpersisted"}))]);
    // Clocks may stand still, and those of other hosts may be behind.
    let steps = select(vec![-0.5, 0.0, 0.000_001, 0.3, 20.0]);
    let enclosing = prop_oneof![
        3 => Just(Some(StateType::Running)),
        1 => Just(None),
        1 => select(StateType::ALL.to_vec()).prop_map(Some),
    ];
    let delays = select(vec![-5.0, 0.0, 10.0]);
    let pauses = select(vec![None, Some(-1.0), Some(60.0)]);
    let proposal = (any::<u128>(), select(StateType::ALL.to_vec()), names, data, delays, pauses, steps, enclosing)
        .prop_map(|(id, state_type, name, data, delay_seconds, pauses_for, seconds_later, enclosing)| Proposal {
            id,
            state_type,
            name,
            data,
            delay_seconds,
            pauses_for,
            seconds_later,
            enclosing,
        });
    vec(proposal, 1..24)
}

impl Proposal {
    fn state(&self, now: Timestamp) -> State {
        let mut state = State::new(StateId(Uuid::from_u128(self.id)), self.state_type, now);
        if let Some(name) = self.name {
            name.clone_into(&mut state.name);
        }
        state.data.clone_from(&self.data);
        if self.state_type == StateType::Scheduled {
            state.state_details.scheduled_time = Some(now.plus_seconds(self.delay_seconds));
        }
        if self.state_type == StateType::Paused {
            state.state_details.pause_timeout = self.pauses_for.map(|seconds| now.plus_seconds(seconds));
            state.state_details.pause_reschedule = self.name == Some("Suspended");
        }
        state
    }
}

fn start() -> Timestamp {
    "2026-01-31T09:30:00Z".parse().unwrap()
}

fn flow_run(retries: i64, is_deployed: bool) -> FlowRun {
    FlowRun {
        empirical_policy: FlowRunPolicy { retries: Some(retries), ..FlowRunPolicy::default() },
        deployment_id: is_deployed.then(DeploymentId::new),
        ..FlowRun::new(FlowRunId::new(), FlowId::new(), "brave-otter", start())
    }
}

fn task_run(retries: i64) -> TaskRun {
    TaskRun {
        empirical_policy: TaskRunPolicy { retries: Some(retries), ..TaskRunPolicy::default() },
        flow_run_id: Some(FlowRunId::new()),
        ..TaskRun::new(TaskRunId::new(), "add", "0", "add-0", start())
    }
}

/// Proposes one state after the other, checks every plan, and returns the run's history.
fn play<R: Run + std::fmt::Debug>(
    mut run: R,
    proposals: &[Proposal],
    policy: impl Fn(&State) -> &'static Policy<R>,
    facts: impl Fn(&Proposal) -> Facts,
) -> Result<Vec<State>, TestCaseError> {
    let mut now = start();
    let mut history: Vec<State> = Vec::new();
    for proposal in proposals {
        now = now.plus_seconds(proposal.seconds_later);
        let proposed = proposal.state(now);
        let policy = policy(&proposed);
        let transition = Transition { facts: facts(proposal), ..Transition::new(run, proposed) };
        let plan = decide(policy, &transition);
        check_replay(policy, &transition, &plan)?;
        check_answer(&transition, &plan)?;
        history.extend(plan.entered().cloned());
        run = plan.run;
        check_books(&run.clone().books(), &history)?;
    }
    Ok(history)
}

fn ensure(holds: bool, what: &str) -> Result<(), TestCaseError> {
    if holds { Ok(()) } else { Err(TestCaseError::fail(what.to_owned())) }
}

fn check_replay<R: Run>(policy: &Policy<R>, transition: &Transition<R>, plan: &Plan<R>) -> Result<(), TestCaseError> {
    ensure(decide(policy, transition) == *plan, "a replay makes the same plan")
}

fn check_answer<R: Run>(transition: &Transition<R>, plan: &Plan<R>) -> Result<(), TestCaseError> {
    let Some(entered) = plan.entered() else {
        ensure(plan.verdict != Verdict::Accept, "a refusal says so")?;
        ensure(plan.run.state() == transition.initial(), "a refused run stays in its state")?;
        ensure(plan.run.run_count() == transition.run.run_count(), "a refused run is not counted")?;
        return ensure(plan.effects.is_empty(), "a refusal has no effects");
    };
    ensure(plan.is_changed, "a run that enters a state is written")?;
    let is_accepted = plan.verdict == Verdict::Accept;
    ensure(is_accepted == (entered.id == transition.proposed.id), "only the proposed state is accepted")?;
    ensure(plan.state.as_ref().map(|state| state.id) == Some(entered.id), "the state entered is answered")
}

/// Checks that what the run says about its history is what its history says.
fn check_books(books: &Books<'_>, history: &[State]) -> Result<(), TestCaseError> {
    let Some(last) = history.last() else {
        return ensure(books.state.is_none() && books.expected_start_time.is_none(), "a run without history is blank");
    };
    ensure(history.is_sorted_by(|one, next| one.timestamp < next.timestamp), "histories are in order")?;
    ensure(books.state.as_ref() == Some(last), "the run is in the last state of its history")?;
    ensure(*books.state_id == Some(last.id), "the state's id is the state's")?;
    ensure(*books.state_type == Some(last.r#type), "the state's type is the state's")?;
    ensure(books.state_name.as_ref() == Some(&last.name), "the state's name is the state's")?;

    ensure(last.is_terminal() == books.end_time.is_some(), "exactly the runs that ended have an end time")?;
    let has_started = history.iter().any(|state| state.r#type == StateType::Running || state.is_terminal());
    ensure(has_started == books.start_time.is_some(), "exactly the runs that started or ended have a start time")?;
    if let (Some(start), Some(end)) = (*books.start_time, *books.end_time) {
        ensure(start <= end, "no run ends before it starts")?;
    }
    ensure(books.expected_start_time.is_some(), "every run with a state is expected to start")?;
    let is_scheduled = last.r#type == StateType::Scheduled;
    ensure(is_scheduled == books.next_scheduled_start_time.is_some(), "exactly scheduled runs are to start")?;

    let running: Seconds = history
        .windows(2)
        .filter(|pair| pair[0].r#type == StateType::Running)
        .fold(Seconds::ZERO, |total, pair| total + Seconds::between(pair[0].timestamp, pair[1].timestamp));
    ensure(*books.total_run_time == running, "the run time is the time in running states")?;
    let executions = history.iter().filter(|state| state.r#type == StateType::Running).count();
    let is_possible = usize::try_from(*books.run_count).is_ok_and(|count| count <= executions);
    ensure(is_possible, "no more executions are counted than there were")
}

fn pairs(history: &[State]) -> impl Iterator<Item = (StateType, StateType)> {
    history.windows(2).map(|pair| (pair[0].r#type, pair[1].r#type))
}

fn enclosing(proposal: &Proposal) -> Facts {
    let state = proposal.enclosing.map(|state_type| State::new(StateId(Uuid::nil()), state_type, start()));
    let flow_run = EnclosingFlowRun { id: FlowRunId(Uuid::nil()), state, run_count: 1 };
    Facts { flow_run: Some(flow_run), ..Facts::default() }
}

proptest! {
    #[test]
    fn flow_runs_have_legal_histories(
        proposals in proposals(), retries in 0_i64..3, is_deployed in any::<bool>(),
    ) {
        let history = play(flow_run(retries, is_deployed), &proposals, |_| &CORE_FLOW_POLICY, |_| deployed())?;
        for (from, to) in pairs(&history) {
            let is_legal = match (from, to) {
                (StateType::Cancelling, to) => to == StateType::Cancelled,
                (StateType::Running | StateType::Cancelled | StateType::Paused, StateType::Pending) => false,
                (from, StateType::Paused) => from == StateType::Running,
                (from, StateType::Cancelling | StateType::Crashed) => !from.is_terminal(),
                (from, StateType::Scheduled) => !from.is_terminal() || is_deployed,
                _ => true,
            };
            ensure(is_legal, &format!("{from} to {to}"))?;
        }
    }

    #[test]
    fn task_runs_have_legal_histories(proposals in proposals(), retries in 0_i64..3) {
        let history = play(task_run(retries), &proposals, |_| &CORE_TASK_POLICY, enclosing)?;
        for (from, to) in pairs(&history) {
            let stops = matches!(to, StateType::Cancelling | StateType::Crashed);
            ensure(!(from.is_terminal() && stops), &format!("{from} to {to}"))?;
        }
        let results = history.iter().position(|state| {
            state.r#type == StateType::Completed && state.data == Some(json!({"type": "reference"}))
        });
        ensure(results.is_none_or(|position| position + 1 == history.len()), "a persisted result stays")?;
    }

    #[test]
    fn forced_runs_keep_their_books(
        steps in (proposals(), vec(any::<bool>(), 24)), retries in 0_i64..3, is_deployed in any::<bool>(),
    ) {
        let (proposals, forced) = steps;
        let is_forced = |id: StateId| {
            let step = proposals.iter().position(|proposal| proposal.id == id.0.as_u128());
            step.is_some_and(|step| forced[step])
        };
        play(flow_run(retries, is_deployed), &proposals, |state| flow_policy(is_forced(state.id)), |_| deployed())?;
        play(task_run(retries), &proposals, |state| task_policy(state, is_forced(state.id)), enclosing)?;
    }
}

fn deployed() -> Facts {
    Facts { deployment: Some(common::orchestration::DeploymentConcurrency::default()), ..Facts::default() }
}
