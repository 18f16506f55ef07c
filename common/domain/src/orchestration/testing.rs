//! The vocabulary of the rules' tests: build a transition, propose, check the verdict.

use crate::model::{FlowId, FlowRun, FlowRunId, State, StateId, StateType, TaskRun, TaskRunId, Timestamp};

use super::{Plan, Policy, Rule, Run, Transition, Verdict, decide};

/// Returns the time at which the tests' decisions are made.
pub(crate) fn now() -> Timestamp {
    "2026-01-31T09:30:00Z".parse().unwrap()
}

/// Returns a state of the type, entered `seconds` after [`now`].
pub(crate) fn state_at(state_type: StateType, seconds: f64) -> State {
    State::new(StateId::new(), state_type, now().plus_seconds(seconds))
}

/// Returns a flow run that entered a state of the type ten seconds ago, or has none.
pub(crate) fn flow_run(initial: impl Into<Option<StateType>>) -> FlowRun {
    let mut run = FlowRun::new(FlowRunId::new(), FlowId::new(), "brave-otter", now().plus_seconds(-20.0));
    run.state = initial.into().map(|initial| state_at(initial, -10.0));
    run
}

/// Returns a task run that entered a state of the type ten seconds ago, or has none.
pub(crate) fn task_run(initial: impl Into<Option<StateType>>) -> TaskRun {
    let mut run = TaskRun::new(TaskRunId::new(), "add", "0", "add-0", now().plus_seconds(-20.0));
    run.state = initial.into().map(|initial| state_at(initial, -10.0));
    run
}

/// Proposes a state of the type for the run, now.
pub(crate) fn propose<R: Run>(run: R, proposed: StateType) -> Transition<R> {
    Transition::new(run, state_at(proposed, 0.0))
}

/// Decides by this one rule.
pub(crate) fn decide_by<R: Run>(rule: &'static dyn Rule<R>, transition: &Transition<R>) -> Plan<R> {
    let rules: &'static [&'static dyn Rule<R>] = Box::leak(Box::new([rule]));
    decide(&Policy { name: "one rule", rules }, transition)
}

/// Checks that the proposed state is entered, and returns the plan.
#[track_caller]
pub(crate) fn check_accepts<R: Run>(rule: &'static dyn Rule<R>, transition: &Transition<R>) -> Plan<R> {
    let plan = decide_by(rule, transition);
    assert_eq!(plan.verdict, Verdict::Accept);
    assert_eq!(plan.entered().map(|state| state.id), Some(transition.proposed.id));
    plan
}

/// Checks that the run enters another state of the type instead, and returns the plan.
#[track_caller]
pub(crate) fn check_replaces<R: Run>(
    rule: &'static dyn Rule<R>,
    transition: &Transition<R>,
    (state_type, name): (StateType, &str),
    reason: &str,
) -> Plan<R> {
    let plan = decide_by(rule, transition);
    assert_eq!(plan.verdict, Verdict::Reject { reason: reason.to_owned() });
    let entered = plan.entered().expect("a state is entered");
    assert_eq!((entered.r#type, entered.name.as_str()), (state_type, name));
    assert_ne!(entered.id, transition.proposed.id, "another state has an id of its own");
    plan
}

/// Checks that the run stays in its state and the client is answered that state, and returns the plan.
#[track_caller]
pub(crate) fn check_rejects<R: Run>(rule: &'static dyn Rule<R>, transition: &Transition<R>, reason: &str) -> Plan<R> {
    check_refuses(rule, transition, &Verdict::Reject { reason: reason.to_owned() })
}

/// Checks that the run stays in its state and the client is told to give up, and returns the plan.
#[track_caller]
pub(crate) fn check_aborts<R: Run>(rule: &'static dyn Rule<R>, transition: &Transition<R>, reason: &str) -> Plan<R> {
    check_refuses(rule, transition, &Verdict::Abort { reason: reason.to_owned() })
}

/// Checks that the run stays in its state and the client is told to wait, and returns the plan.
#[track_caller]
pub(crate) fn check_waits<R: Run>(
    rule: &'static dyn Rule<R>,
    transition: &Transition<R>,
    delay_seconds: i64,
    reason: &str,
) -> Plan<R> {
    check_refuses(rule, transition, &Verdict::Wait { delay_seconds, reason: reason.to_owned() })
}

#[track_caller]
fn check_refuses<R: Run>(rule: &'static dyn Rule<R>, transition: &Transition<R>, verdict: &Verdict) -> Plan<R> {
    let plan = decide_by(rule, transition);
    assert_eq!(&plan.verdict, verdict);
    assert_eq!(plan.entered(), None);
    assert_eq!(plan.run.state(), transition.initial());
    assert_eq!(plan.state.as_ref(), transition.initial());
    plan
}
