//! Bookkeeping: what every transition that enters a state writes down on the run.
//!
//! These are Prefect's global policies (`GlobalFlowPolicy`, `GlobalTaskPolicy`). They are no rules: they
//! decide nothing, and run on the state that the rules decided on. Their order is Prefect's and matters:
//! the timestamp is settled before anything takes it over, and an execution is counted before the mark of
//! a resumed pause is removed.

use serde_json::Value;

use crate::model::{Seconds, State, StateId, StateType};

use super::{Effect, Run, Transition, plan::ResultArtifact, rule::mint, transition::Books};

const NAME: &str = "bookkeeping";

/// Writes into the run that it enters `state`, and returns the state as the client is answered.
///
/// What has to be done beside the run is added to `effects`.
pub(super) fn enter<R: Run>(
    run: &mut R,
    mut state: State,
    transition: &Transition<R>,
    effects: &mut Vec<(&'static str, Effect)>,
) -> State {
    let initial = transition.initial();
    put_after_initial(&mut state, initial);

    let mut books = run.books();
    *books.state_type = Some(state.r#type);
    *books.state_name = Some(state.name.clone());
    set_start_time(&mut books, &state);
    set_end_time(&mut books, initial, &state);
    increment_run_time(&mut books, initial, &state);
    set_expected_start_time(&mut books, &state);
    set_next_scheduled_start_time(&mut books, initial, &state);
    run.sign(&mut state.state_details);
    run.count(state.r#type, &transition.client);

    if let Some(artifact) = take_result(run, &mut state, transition) {
        effects.push((NAME, Effect::SaveArtifact(artifact)));
    }
    if let Some(effect) = update_parent_task_run(run, &state, transition) {
        effects.push((NAME, effect));
    }

    let books = run.books();
    *books.state_id = Some(state.id);
    *books.state = Some(as_stored(&state));
    state
}

/// Moves the state's timestamp behind the initial state's, if it is not.
///
/// Prefect's `EnsureFlowRunStateTimestampIsUnique` moves a flow run's state by a microsecond where the clock
/// gave out the same time twice. Here the states of a run may be written by hosts whose clocks differ, so
/// a state is put behind its predecessor in any case: histories stay in order, and run times positive.
fn put_after_initial(state: &mut State, initial: Option<&State>) {
    if let Some(initial) = initial
        && state.timestamp <= initial.timestamp
    {
        state.timestamp = initial.timestamp.plus_seconds(0.000_001);
    }
}

/// Records when the run first entered a running state (Prefect's `SetStartTime`).
fn set_start_time(books: &mut Books<'_>, state: &State) {
    if state.r#type == StateType::Running {
        books.start_time.get_or_insert(state.timestamp);
    }
}

/// Records when the run ended, and forgets it when the run leaves its end (Prefect's `SetEndTime`).
///
/// A run that ends without having run is taken to have started then too.
fn set_end_time(books: &mut Books<'_>, initial: Option<&State>, state: &State) {
    if state.is_terminal() {
        if books.end_time.is_none() {
            books.start_time.get_or_insert(state.timestamp);
            *books.end_time = Some(state.timestamp);
        }
    } else if initial.is_some_and(State::is_terminal) {
        *books.end_time = None;
    }
}

/// Adds the time spent in a running state that the run leaves (Prefect's `IncrementRunTime`).
fn increment_run_time(books: &mut Books<'_>, initial: Option<&State>, state: &State) {
    if let Some(initial) = initial
        && initial.r#type == StateType::Running
    {
        *books.total_run_time += Seconds::between(initial.timestamp, state.timestamp);
    }
}

/// Records when the run was expected to start, by its first state (Prefect's `SetExpectedStartTime`).
fn set_expected_start_time(books: &mut Books<'_>, state: &State) {
    if books.expected_start_time.is_none() {
        let scheduled = state.r#type == StateType::Scheduled;
        *books.expected_start_time = if scheduled { state.state_details.scheduled_time } else { Some(state.timestamp) };
    }
}

/// Records when a scheduled run is to start (Prefect's `SetNextScheduledStartTime`).
fn set_next_scheduled_start_time(books: &mut Books<'_>, initial: Option<&State>, state: &State) {
    if state.r#type == StateType::Scheduled {
        *books.next_scheduled_start_time = state.state_details.scheduled_time;
    } else if initial.is_some_and(|initial| initial.r#type == StateType::Scheduled) {
        *books.next_scheduled_start_time = None;
    }
}

/// Takes the artifact out of a state's data, where there is a result to save.
///
/// Follows Prefect's `validate_proposed_state` and `Artifact.from_result`: what the client says about the
/// artifact travels in the data and does not stay there; a result that the client keeps to itself is not
/// saved.
fn take_result<R: Run>(run: &R, state: &mut State, transition: &Transition<R>) -> Option<ResultArtifact> {
    if is_unpersisted(state) {
        return None;
    }
    let data = state.data.as_mut()?;
    let mut take = |name: &str| {
        let value = data.as_object_mut()?.shift_remove(name)?;
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let (key, r#type, description) = (take("artifact_key"), take("artifact_type"), take("artifact_description"));
    let (flow_run_id, task_run_id) = run.owners();
    Some(ResultArtifact {
        seed: mint(transition, NAME, "artifact"),
        key,
        r#type,
        description,
        data: data.clone(),
        flow_run_id,
        task_run_id,
    })
}

/// Lets the parent's task run follow the state of its subflow run (Prefect's `UpdateSubflowParentTask`).
fn update_parent_task_run<R: Run>(run: &R, state: &State, transition: &Transition<R>) -> Option<Effect> {
    let task_run_id = run.parent_task_run_id()?;
    let id = StateId(mint(transition, NAME, "parent task run's state"));
    let mut copy = state.fresh_copy(id, transition.now);
    copy.state_details.child_flow_run_id = run.owners().0;
    Some(Effect::UpdateParentTaskRun { task_run_id, state: Box::new(copy) })
}

/// Returns the state as it is stored: without a result that the client keeps to itself.
fn as_stored(state: &State) -> State {
    let mut stored = state.clone();
    if is_unpersisted(state) {
        stored.data = None;
    }
    stored
}

fn is_unpersisted(state: &State) -> bool {
    state.data.as_ref().and_then(|data| data.get("type")).and_then(Value::as_str) == Some("unpersisted")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        model::{
            FlowRun, LeaseId,
            StateType::{Completed, Failed, Paused, Pending, Running, Scheduled},
            TaskRunId,
        },
        orchestration::{
            Plan, Policy, decide,
            testing::{flow_run, now, propose, task_run},
        },
    };

    fn accept<R: Run>(transition: &Transition<R>) -> Plan<R> {
        decide(&Policy { name: "no rules", rules: &[] }, transition)
    }

    #[test]
    fn counts_and_times_executions() {
        let started = accept(&propose(flow_run(Pending), Running)).run;
        assert_eq!((started.run_count, started.start_time, started.end_time), (1, Some(now()), None));

        let mut end = propose(started, Completed);
        end.proposed.timestamp = now().plus_seconds(2.5);
        let ended = accept(&end).run;
        assert_eq!(ended.end_time, Some(now().plus_seconds(2.5)));
        assert_eq!(ended.total_run_time, Seconds::from_micros(2_500_000));
    }

    #[test]
    fn takes_a_run_that_ends_at_once_to_have_started_then() {
        let run = accept(&propose(task_run(Pending), Failed)).run;
        assert_eq!((run.start_time, run.end_time, run.run_count), (Some(now()), Some(now()), 0));
    }

    #[test]
    fn forgets_the_end_of_a_run_that_goes_on() {
        let mut run = task_run(Failed);
        run.end_time = Some(now().plus_seconds(-10.0));
        assert_eq!(accept(&propose(run.clone(), Completed)).run.end_time, run.end_time);
        assert_eq!(accept(&propose(run, Running)).run.end_time, None);
    }

    #[test]
    fn notes_when_a_run_is_to_start() {
        let mut transition = propose(flow_run(None), Scheduled);
        let later = now().plus_seconds(60.0);
        transition.proposed.state_details.scheduled_time = Some(later);
        let run = accept(&transition).run;
        assert_eq!((run.expected_start_time, run.next_scheduled_start_time), (Some(later), Some(later)));
        let run = accept(&propose(run, Pending)).run;
        assert_eq!((run.expected_start_time, run.next_scheduled_start_time), (Some(later), None));
    }

    #[test]
    fn does_not_count_a_resumed_pause_as_another_execution() {
        let mut run = flow_run(Paused);
        (run.run_count, run.empirical_policy.resuming) = (1, Some(true));
        let run = accept(&propose(run, Running)).run;
        assert_eq!((run.run_count, run.empirical_policy.resuming), (1, Some(false)));
    }

    #[test]
    fn puts_a_state_behind_its_predecessor() {
        let mut transition = propose(flow_run(Running), Completed);
        let initial = transition.initial().unwrap().timestamp;
        transition.proposed.timestamp = initial;
        let plan = accept(&transition);
        assert_eq!(plan.entered().unwrap().timestamp, initial.plus_seconds(0.000_001));
        assert_eq!(plan.run.end_time, Some(initial.plus_seconds(0.000_001)));
    }

    #[test]
    fn saves_a_result_as_an_artifact() {
        let mut transition = propose(task_run(Running), Completed);
        transition.proposed.data = Some(json!({"artifact_key": "report", "artifact_type": "", "x": 1}));
        let plan = accept(&transition);
        let [Effect::SaveArtifact(artifact)] = &plan.effects[..] else { panic!("{:?}", plan.effects) };
        assert_eq!((artifact.key.as_deref(), &artifact.r#type), (Some("report"), &None));
        assert_eq!((&artifact.data, artifact.task_run_id), (&json!({"x": 1}), Some(plan.run.id)));
        assert_eq!(plan.run.state.unwrap().data, Some(json!({"x": 1})));
    }

    #[test]
    fn answers_an_unpersisted_result_and_does_not_store_it() {
        let mut transition = propose(task_run(Running), Completed);
        transition.proposed.data = Some(json!({"type": "unpersisted"}));
        let plan = accept(&transition);
        assert_eq!(plan.state.unwrap().data, Some(json!({"type": "unpersisted"})));
        assert_eq!((plan.run.state.unwrap().data, plan.effects), (None, Vec::new()));
    }

    #[test]
    fn lets_the_parent_s_task_run_follow() {
        let parent = TaskRunId::new();
        let run = FlowRun { parent_task_run_id: Some(parent), ..flow_run(Pending) };
        let mut transition = propose(run, Running);
        transition.proposed.state_details.deployment_concurrency_lease_id = Some(LeaseId::new());
        let plan = accept(&transition);
        let [Effect::UpdateParentTaskRun { task_run_id, state }] = &plan.effects[..] else {
            panic!("{:?}", plan.effects)
        };
        assert_eq!((*task_run_id, state.r#type), (parent, Running));
        assert_ne!(state.id, transition.proposed.id);
        assert_eq!(state.state_details.child_flow_run_id, Some(plan.run.id));
        assert_eq!(plan.entered().unwrap().state_details.task_run_id, Some(parent));
    }
}
