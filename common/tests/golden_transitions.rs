//! Holds the orchestration kernel against the golden vectors: what the real server answered, case by case.
//!
//! Everything is compared: the verdict and its details, the state answered, the run as it was read
//! afterwards, the parent's task run, and the slots of concurrency limits. What the server mints is
//! compared by its relations; `tests/golden/README.md` lists it.

#![allow(clippy::unwrap_used, reason = "a vector that can't be read fails the test")]

use std::{fmt::Debug, fs, path::Path};

use common::{
    model::{FlowRun, LeaseId, State, StateCreate, StateId, StateType, TaskRun, Timestamp},
    orchestration::{
        Client, ClientVersion, CollisionStrategy, DeploymentConcurrency, Effect, EnclosingFlowRun, Facts, Need, Plan,
        Policy, Run, SlotLimit, Transition, decide,
        policy::{MINIMAL_TASK_POLICY, flow_policy, task_policy},
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    name: String,
    run_before: Value,
    facts_before: Value,
    headers: Value,
    proposed: StateCreate,
    force: bool,
    sent_at: Timestamp,
    received_at: Timestamp,
    status_code: u16,
    response: Value,
    run_after: Value,
    facts_after: Value,
    history_after: Vec<HistoryEntry>,
    cached_state: Option<State>,
    failed_task_run_after: Option<Value>,
}

#[derive(Deserialize)]
struct HistoryEntry {
    id: StateId,
    timestamp: Timestamp,
}

/// The oracle frees a slot for a run whose lease is gone, though it went back with the lease: it is another run's.
const INTENDED: &[&str] = &["limit: lease lost, slot taken, to RUNNING: active slots: 1, the oracle has 0"];

#[test]
fn flow_runs_follow_the_golden_vectors() {
    let cases = read("flow_run_transitions.json");
    check_all(&cases, INTENDED, |case| {
        let mut run: FlowRun = parse(&case.run_before);
        let facts = case.flow_run_facts();
        let has_slot = matches!(run.state_type, Some(StateType::Pending | StateType::Running | StateType::Cancelling));
        run.held_lease = facts.leases.first().copied().filter(|_| has_slot);
        let transition = case.transition(run, facts);
        let plan = case.check(flow_policy(case.force), &transition)?;
        case.check_slots("concurrency_limit", &plan.effects)?;
        case.check_parent_task_run(&plan.effects)?;
        case.check_failed_task_run(&plan.effects)
    });
}

#[test]
fn task_runs_follow_the_golden_vectors() {
    let cases = read("task_run_transitions.json");
    check_all(&cases, &[], |case| {
        let run: TaskRun = parse(&case.run_before);
        let transition = case.transition(run, case.task_run_facts());
        case.check(task_policy(&transition.proposed, case.force), &transition).map(drop)
    });
}

#[test]
fn the_golden_vectors_have_every_pair_of_states() {
    for file in ["flow_run_transitions.json", "task_run_transitions.json"] {
        let cases = read(file);
        for initial in StateType::ALL.into_iter().map(Some).chain([None]) {
            for proposed in StateType::ALL {
                for force in [false, true] {
                    let covers = |case: &Case| {
                        case.proposed.r#type == proposed
                            && case.force == force
                            && case.run_before["state_type"] == json!(initial)
                    };
                    assert!(cases.iter().any(covers), "{file}: {initial:?} to {proposed}, forced: {force}");
                }
            }
        }
    }
}

fn read(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Runs `check` on every case that got as far as the rules, and fails with all that it finds.
///
/// The ones that are `intended` have to be among them.
fn check_all(cases: &[Case], intended: &[&str], check: impl Fn(&Case) -> Result<(), String>) {
    // The API turns an unknown API version down before any rule hears of it.
    let judged = cases.iter().filter(|case| case.status_code < 400);
    let failures: Vec<String> =
        judged.filter_map(|case| check(case).err().map(|error| format!("{}: {error}", case.name))).collect();
    let (differing, of) = (failures.len(), cases.len());
    assert_eq!(failures, intended, "{differing} of {of} cases:\n{}", failures.join("\n"));
}

fn parse<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn equal<T: PartialEq + Debug>(what: &str, ours: &T, theirs: &T) -> Result<(), String> {
    if ours == theirs { Ok(()) } else { Err(format!("{what}: {ours:?}, the oracle has {theirs:?}")) }
}

impl Case {
    fn response_state(&self) -> Option<State> {
        parse(&self.response["state"])
    }

    fn entered(&self) -> bool {
        self.response["state"]["id"] != self.run_before["state_id"]
    }

    /// Returns when the server decided: by the state that it wrote, or else about when it answered.
    fn now(&self) -> Timestamp {
        self.response_state().filter(|_| self.entered()).map_or(self.received_at, |state| state.timestamp)
    }

    fn transition<R: Run>(&self, run: R, facts: Facts) -> Transition<R> {
        let now = self.now();
        let id = StateId("00000000-0000-4000-8000-000000000001".parse().unwrap());
        let header = |name: &str| self.headers[name].as_str();
        let client = Client {
            api_version: header("X-PREFECT-API-VERSION").map(|version| version.parse().unwrap()),
            version: header("User-Agent").and_then(ClientVersion::from_user_agent),
        };
        Transition { facts, client, ..Transition::new(run, self.proposed.clone().into_state(id, now)) }
    }

    fn flow_run_facts(&self) -> Facts {
        let deployment = self.facts_before.get("deployment").map(|deployment| DeploymentConcurrency {
            limit: self.facts_before.get("concurrency_limit").map(slot_limit),
            collision_strategy: match deployment["concurrency_options"]["collision_strategy"].as_str() {
                Some("CANCEL_NEW") => CollisionStrategy::CancelNew,
                _ => CollisionStrategy::Enqueue,
            },
            grace_period_seconds: deployment["concurrency_options"]["grace_period_seconds"].as_i64(),
        });
        // Whether the lease exists is not recorded, but each case in which it does not is called so.
        let lease_id: Option<LeaseId> = parse(&lease_of(&self.run_before["state"]));
        let leases = lease_id.into_iter().filter(|_| !self.name.starts_with("limit: lease lost")).collect();
        Facts { deployment, leases, ..Facts::default() }
    }

    fn task_run_facts(&self) -> Facts {
        let flow_run = self.facts_before.get("flow_run").filter(|flow_run| !flow_run.is_null()).map(|flow_run| {
            let FlowRun { id, state, run_count, .. } = parse(flow_run);
            EnclosingFlowRun { id, state, run_count }
        });
        let limits = self.facts_before.get("concurrency_limits").and_then(Value::as_array);
        let slot_limits = limits.into_iter().flatten().map(slot_limit).collect();
        Facts { flow_run, slot_limits, cached_state: self.cached_state(), ..Facts::default() }
    }

    /// Returns what the oracle had cached; a case that does not record it was answered a copy of it.
    fn cached_state(&self) -> Option<State> {
        let is_cached = self.response["details"]["reason"] == "Retrieved state from cache";
        let answered = self.response_state().filter(|_| is_cached);
        self.cached_state.clone().or(answered.map(|state| state.fresh_copy(StateId::new(), self.sent_at)))
    }

    /// Checks the answer, the run and its history, and returns the plan, made of the facts that were asked for.
    fn check<R>(&self, policy: &Policy<R>, transition: &Transition<R>) -> Result<Plan<R>, String>
    where
        R: Run + Serialize + DeserializeOwned,
    {
        let transition = &only_asked_for(policy, transition);
        let plan = decide(policy, transition);
        let replayed = decide(policy, transition);
        if plan.trace != replayed.trace || plan.effects != replayed.effects || plan.run != replayed.run {
            return Err("a replay decides otherwise".to_owned());
        }
        equal("status", &if plan.entered().is_some() { 201 } else { 200 }, &self.status_code)?;
        equal("entered", &plan.entered().is_some(), &self.entered())?;

        let mut response = serde_json::to_value(plan.result()).unwrap();
        let mut expected = self.response.clone();
        if response["details"]["delay_seconds"].is_i64() {
            self.check_delay(policy, transition, &expected)?;
            for details in [&mut response, &mut expected] {
                details["details"]["delay_seconds"] = Value::Null;
            }
        }
        self.compare("response", &response, &expected)?;
        self.compare("run", &serde_json::to_value(&plan.run).unwrap(), &self.run_after)?;

        let last = self.history_after.last().map(|entry| entry.id);
        let entered: Option<StateId> = parse(&self.run_after["state_id"]);
        equal("the oracle's last state", &last, &entered)?;
        let is_ordered = self.history_after.is_sorted_by(|one, next| one.timestamp < next.timestamp);
        equal("the oracle's history is in order", &is_ordered, &true)?;
        Ok(plan)
    }

    /// Checks that the oracle's delay is one that we give between the request's begin and end.
    fn check_delay<R: Run>(
        &self,
        policy: &Policy<R>,
        transition: &Transition<R>,
        expected: &Value,
    ) -> Result<(), String> {
        let delay_at = |now| {
            let plan = decide(policy, &Transition { now, ..transition.clone() });
            serde_json::to_value(plan.result()).unwrap()["details"]["delay_seconds"].as_i64()
        };
        let theirs = expected["details"]["delay_seconds"].as_i64();
        let (longest, shortest) = (delay_at(self.sent_at), delay_at(self.received_at));
        if shortest <= theirs && theirs <= longest {
            return Ok(());
        }
        Err(format!("a delay from {shortest:?} to {longest:?} s, the oracle has {theirs:?}"))
    }

    fn compare(&self, what: &str, ours: &Value, theirs: &Value) -> Result<(), String> {
        let tolerance = self.received_at.seconds_since(self.sent_at);
        let old_ids = [&self.run_before["state_id"], &lease_of(&self.run_before["state"])];
        compare(what, &normal(ours, &old_ids), &normal(theirs, &old_ids), tolerance)
    }

    /// Checks that the effects leave as many slots taken as the oracle did.
    fn check_slots(&self, limit: &str, effects: &[Effect]) -> Result<(), String> {
        let active = |facts: &Value| facts.get(limit).and_then(|limit| limit["active_slots"].as_i64());
        let (Some(before), Some(after)) = (active(&self.facts_before), active(&self.facts_after)) else {
            return Ok(());
        };
        let change: i64 = effects
            .iter()
            .map(|effect| match effect {
                Effect::AcquireSlots { .. } => 1,
                Effect::ReleaseLease { .. } => -1,
                _ => 0,
            })
            .sum();
        equal("active slots", &(before + change).max(0), &after)
    }

    /// Checks that the parent's task run follows as it did at the oracle.
    fn check_parent_task_run(&self, effects: &[Effect]) -> Result<(), String> {
        let Some(before) = self.facts_before.get("parent_task_run") else {
            return Ok(());
        };
        let after = &self.facts_after["parent_task_run"];
        let update = effects.iter().find_map(|effect| match effect {
            Effect::UpdateParentTaskRun { state, .. } => Some((**state).clone()),
            _ => None,
        });
        equal("the parent's task run follows", &update.is_some(), &(before["state_id"] != after["state_id"]))?;
        let Some(mut state) = update else {
            return Ok(());
        };
        state.timestamp = parse(&after["state"]["timestamp"]);
        let plan = decide(&MINIMAL_TASK_POLICY, &Transition::new(parse::<TaskRun>(before), state));
        let old_ids = [&before["state_id"], &lease_of(&self.run_before["state"])];
        let ours = normal(&serde_json::to_value(&plan.run).unwrap(), &old_ids);
        let tolerance = self.received_at.seconds_since(self.sent_at);
        compare("the parent's task run", &ours, &normal(after, &old_ids), tolerance)
    }

    /// Checks that a failed task run is scheduled again exactly where it was at the oracle.
    fn check_failed_task_run(&self, effects: &[Effect]) -> Result<(), String> {
        let Some(after) = &self.failed_task_run_after else {
            return Ok(());
        };
        let ours = effects.iter().any(|effect| matches!(effect, Effect::RetryFailedTaskRuns { .. }));
        equal("failed task runs are retried", &ours, &(after["state_name"] == "AwaitingRetry"))
    }
}

/// Leaves out the facts that the policy does not ask for, as a caller does who reads no more than it must.
fn only_asked_for<R: Run>(policy: &Policy<R>, transition: &Transition<R>) -> Transition<R> {
    let mut asked = Transition { facts: Facts::default(), ..transition.clone() };
    let known = &transition.facts;
    for need in policy.needs(transition) {
        match need {
            Need::FlowRun(_) => asked.facts.flow_run.clone_from(&known.flow_run),
            Need::CachedState { .. } => asked.facts.cached_state.clone_from(&known.cached_state),
            Need::Deployment(_) => asked.facts.deployment.clone_from(&known.deployment),
            Need::Lease(lease_id) => asked.facts.leases.extend(known.leases.get(&lease_id)),
            Need::TagLimits(_) => {
                asked.facts.tag_limits.clone_from(&known.tag_limits);
                asked.facts.slot_limits.clone_from(&known.slot_limits);
            }
            Need::LeasesHeldBy(_) => asked.facts.held_leases.clone_from(&known.held_leases),
        }
    }
    asked
}

fn lease_of(state: &Value) -> Value {
    state["state_details"]["deployment_concurrency_lease_id"].clone()
}

fn slot_limit(limit: &Value) -> SlotLimit {
    SlotLimit {
        id: parse(&limit["id"]),
        name: parse(&limit["name"]),
        active: parse(&limit["active"]),
        limit: parse(&limit["limit"]),
        active_slots: parse(&limit["active_slots"]),
        average_occupancy_seconds: 0.0,
    }
}

/// Puts what is minted or depends on the time of reading into a form that is the same for both servers.
///
/// Ids of states and leases that are not among `old_ids` count as new ones, all alike.
fn normal(value: &Value, old_ids: &[&Value]) -> Value {
    let is_new = |id: &Value| !id.is_null() && !old_ids.contains(&id);
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| {
                !matches!(&key[..], "held_lease" | "updated" | "estimated_run_time" | "estimated_start_time_delta")
            })
            .map(|(key, value)| {
                let is_state = fields.contains_key("state_details");
                let value = match &key[..] {
                    "state_id" | "deployment_concurrency_lease_id" if is_new(value) => json!("a new id"),
                    "id" if is_state && is_new(value) => json!("a new id"),
                    "pause_keys" => pause_keys(value),
                    _ => normal(value, old_ids),
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(values) => values.iter().map(|value| normal(value, old_ids)).collect(),
        _ => value.clone(),
    }
}

/// Puts pause keys in order, and makes all those alike that were made up.
fn pause_keys(keys: &Value) -> Value {
    let mut keys: Vec<String> = parse(keys);
    for key in &mut keys {
        if key.parse::<StateId>().is_ok() {
            "made up".clone_into(key);
        }
    }
    keys.sort();
    json!(keys)
}

/// Compares two documents; scheduled times may differ by `tolerance` seconds, nothing else at all.
fn compare(path: &str, ours: &Value, theirs: &Value, tolerance: f64) -> Result<(), String> {
    match (ours, theirs) {
        (Value::Object(our_fields), Value::Object(their_fields)) => {
            let keys = |fields: &serde_json::Map<String, Value>| fields.keys().cloned().collect::<Vec<_>>();
            equal(&format!("{path}: fields"), &keys(our_fields), &keys(their_fields))?;
            their_fields
                .iter()
                .try_for_each(|(key, value)| compare(&format!("{path}.{key}"), &ours[key], value, tolerance))
        }
        (Value::String(our_text), Value::String(their_text)) if is_scheduled_time(path) => {
            let (one, other) = (our_text.parse::<Timestamp>(), their_text.parse::<Timestamp>());
            match (one, other) {
                (Ok(one), Ok(other)) if one.seconds_since(other).abs() <= tolerance => Ok(()),
                _ => equal(path, ours, theirs),
            }
        }
        _ => equal(path, ours, theirs),
    }
}

fn is_scheduled_time(path: &str) -> bool {
    ["scheduled_time", "next_scheduled_start_time", "expected_start_time"].iter().any(|field| path.ends_with(field))
}
