//! Transitions of runs: load, decide, one write; and all over again when another request came between.
//!
//! The rules decide ([`domain::orchestration`]), this module does what they ask for.

use std::collections::BTreeSet;

use serde_json::Value;
use uuid::Uuid;

use domain::{
    model::{
        Artifact, ConcurrencyLimit, Deployment, FlowRun, FlowRunId, Lease, QueuedTaskRun, State, StateCreate,
        StateDetails, StateId, StateType, TaskRun, TaskRunId, Timestamp, artifact::ResultOf,
        deployment::ConcurrencyLimitStrategy,
    },
    orchestration::{
        Client, CollisionStrategy, DeploymentConcurrency, Effect, EnclosingFlowRun, Facts, Need, OrchestrationResult,
        Plan, Policy, Run, Settings, SlotLimit, Transition, Verdict, decide,
        plan::ResultArtifact,
        policy::{MARK_LATE_RUNS_POLICY, flow_policy, task_policy},
    },
};
use error::{Error, Result};
use store::{
    CommitError, Item, Key, Store, TableAccess, Versioned, Write, commit, slots::Slots, states::StatefulRun, table,
    task_runs, unique::Claim,
};

use crate::{App, timers};

/// A state that a client proposes for a run.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The state.
    pub state: StateCreate,
    /// Whether the rules that would judge it are left out.
    pub force: bool,
    /// Who proposes it.
    pub client: Client,
    /// For a proposal that may be made again: how that is noticed.
    pub once: Option<Once>,
    /// The state that the run has to be in, for a proposal that is void otherwise.
    pub expected: Option<StateId>,
}

impl Proposal {
    /// Makes a client's proposal.
    pub fn new(state: StateCreate, force: bool, client: Client) -> Self {
        Self { state, force, client, once: None, expected: None }
    }
}

/// What makes a proposal have its effect once, however often it is made.
#[derive(Clone, Debug)]
pub struct Once {
    /// The id of the proposed state.
    pub state_id: StateId,
    /// What is claimed together with the state that is entered.
    pub claim: Claim,
}

/// What became of a proposal.
#[derive(Clone, Debug)]
pub struct Orchestrated {
    /// Whether the run entered a state.
    pub entered: bool,
    /// What was decided.
    pub verdict: Verdict,
    /// The state that the run entered or stays in.
    pub state: Option<State>,
}

impl Orchestrated {
    /// Returns the answer to the client.
    pub fn result(&self) -> OrchestrationResult<'_> {
        OrchestrationResult { state: self.state.as_ref(), status: self.verdict.status(), details: &self.verdict }
    }
}

/// What [`propose_flow_run_state`] touches: the task runs of a flow run that is started again, besides the run.
pub const PROPOSE_FLOW_RUN_STATE: TableAccess = task_runs::OF_FLOW_RUN.and(TableAccess::WRITES);

/// Proposes a state for the flow run `id` (contract operation `set_flow_run_state`).
///
/// # Errors
/// [`Error::NoSuchRun`] without such a run, [`Error::Conflict`] if the proposal was made before or is
/// void. A refusal is no error.
pub async fn propose_flow_run_state(app: &App, id: FlowRunId, proposal: &Proposal) -> Result<Orchestrated> {
    propose_flow_run_state_with(app, id, proposal, &[]).await
}

/// Proposes a state for the flow run `id`, and writes `beside` together with it if it is accepted.
///
/// # Errors
/// [`Error::NoSuchRun`] without such a run, and [`Error::Conflict`] if one of `beside` can't be written. A refusal is no
/// error.
pub async fn propose_flow_run_state_with(
    app: &App,
    id: FlowRunId,
    proposal: &Proposal,
    beside: &[Write],
) -> Result<Orchestrated> {
    let policy = |_: &State| flow_policy(proposal.force);
    Box::pin(propose::<FlowRun>(app, id.0, &table::flow_run(id), proposal, &policy, beside)).await
}

/// Marks the flow run `id` as late, if it still waits in the state `waiting` for its `scheduled_time`.
///
/// # Errors
/// [`Error::NoSuchRun`] without such a run, [`Error::Conflict`] if it is in another state. A refusal is no error.
pub async fn mark_late(
    app: &App,
    id: FlowRunId,
    waiting: StateId,
    scheduled_time: Option<Timestamp>,
) -> Result<Orchestrated> {
    let state = StateCreate {
        r#type: StateType::Scheduled,
        name: Some("Late".into()),
        message: None,
        data: None,
        state_details: StateDetails { scheduled_time, ..StateDetails::default() },
    };
    let proposal = Proposal { expected: Some(waiting), ..Proposal::new(state, false, Client::default()) };
    Box::pin(propose::<FlowRun>(app, id.0, &table::flow_run(id), &proposal, &|_| &MARK_LATE_RUNS_POLICY, &[])).await
}

/// Proposes a state for the task run `id` (contract operation `set_task_run_state`).
///
/// # Errors
/// [`Error::NoSuchRun`] without such a run. A refusal is no error.
pub async fn propose_task_run_state(app: &App, id: TaskRunId, proposal: &Proposal) -> Result<Orchestrated> {
    let policy = |state: &State| task_policy(state, proposal.force);
    Box::pin(propose::<TaskRun>(app, id.0, &table::task_run(id), proposal, &policy, &[])).await
}

/// A kind of run that the store keeps.
pub trait StoredRun: Run + StatefulRun {
    /// What the kind is called in an error message.
    const KIND: &'static str;

    /// Returns the flow run without which the run counts as gone: what a deletion takes along may be removed later.
    fn enclosing_flow_run(&self) -> Option<FlowRunId>;
}

impl StoredRun for FlowRun {
    const KIND: &'static str = "Flow run";

    fn enclosing_flow_run(&self) -> Option<FlowRunId> {
        None
    }
}

impl StoredRun for TaskRun {
    const KIND: &'static str = "Task run";

    fn enclosing_flow_run(&self) -> Option<FlowRunId> {
        self.flow_run_id
    }
}

async fn propose<R: StoredRun>(
    app: &App,
    id: Uuid,
    key: &Key,
    proposal: &Proposal,
    policy: &(impl Fn(&State) -> &'static Policy<R> + Sync),
    beside: &[Write],
) -> Result<Orchestrated> {
    let mut attempted: Option<Attempted> = None;
    for attempt in 0..commit::ATTEMPTS {
        if let Some(attempted) = attempted.take()
            && app.store.has_entered(key, &attempted.state).await?
        {
            // The write before was carried out, only its answer was lost.
            follow_up(app, &attempted.effects, proposal).await?;
            return Ok(attempted.answer);
        }
        let run: Versioned<R> = app.store.get(key).await?.ok_or_else(|| Error::no_such_run(R::KIND, id))?;
        if proposal.expected.is_some() && run.record.state().map(|state| state.id) != proposal.expected {
            return Err(Error::Conflict(format!("{} {id} has left the state that it had to be in", R::KIND)));
        }
        let state_id = proposal.once.as_ref().map_or_else(|| run.record.next_state_id(), |once| once.state_id);
        let proposed = proposal.state.clone().into_state(state_id, app.now());
        let policy = policy(&proposed);
        let (version, within) = (run.version, run.record.enclosing_flow_run());
        let mut transition = Transition::new(run.record, proposed);
        transition.client = proposal.client.clone();
        transition.settings = settings(app);
        let mut needs = policy.needs(&transition);
        needs.extend(within.map(Need::FlowRun));
        transition.facts = facts(&app.store, &needs, transition.now).await?;
        if within.is_some() && transition.facts.flow_run.is_none() {
            return Err(Error::no_such_run(R::KIND, id));
        }
        let plan = decide(policy, &transition);
        observe(&plan, Some(plan.verdict.clone()));
        let answer = answer(&plan);
        let mut writes = match writes(app, &plan, &transition, version).await {
            Ok(writes) => writes,
            Err(CommitError::Contended | CommitError::ConditionFailed(_)) => {
                commit::back_off(attempt).await;
                continue;
            }
            Err(CommitError::Failed(error)) => return Err(error),
        };
        let mut claimed = None;
        if let (Some(Once { claim, .. }), Some(_)) = (&proposal.once, plan.entered()) {
            claimed = Some(writes.len());
            writes.push(app.store.claim_for_a_while(claim, transition.now)?);
        }
        let own_writes = writes.len();
        if plan.verdict == Verdict::Accept {
            writes.extend_from_slice(beside);
        }
        match app.store.commit(writes).await {
            Ok(()) => {
                follow_up(app, &plan.effects, proposal).await?;
                return Ok(answer);
            }
            Err(CommitError::Failed(error)) => return Err(error),
            Err(refused @ CommitError::ConditionFailed(place)) if attempt > 0 && claimed == Some(place) => {
                return Err(refused.into());
            }
            Err(CommitError::ConditionFailed(place)) if place >= own_writes => return Err(Error::integrity_conflict()),
            Err(CommitError::ConditionFailed(_) | CommitError::Contended) => {
                attempted = plan.entered().cloned().map(|state| Attempted { state, effects: plan.effects, answer });
                commit::back_off(attempt).await;
            }
        }
    }
    Err(Error::Unavailable("too many requests set the state of the same run".into()))
}

/// Notes what was decided about the run that the request is about: the first one, where others follow from it.
fn observe<R: StoredRun>(plan: &Plan<R>, verdict: Option<Verdict>) {
    let (flow_run, task_run) = plan.run.owners();
    let run = task_run.map(Uuid::from).or(flow_run.map(Uuid::from));
    observation::annotate(|notes| {
        if notes.run.is_none() || notes.run == run {
            notes.run = run;
            notes.verdict = verdict;
            notes.trace.clone_from(&plan.trace);
        }
    });
}

/// A transition whose write was refused, or was carried out before and refused when it was repeated.
///
/// Its state's place in the history tells which; the run itself may have gone on since.
struct Attempted {
    state: State,
    effects: Vec<Effect>,
    answer: Orchestrated,
}

fn answer<R: Run>(plan: &Plan<R>) -> Orchestrated {
    Orchestrated { entered: plan.entered().is_some(), verdict: plan.verdict.clone(), state: plan.state.clone() }
}

/// Returns the settings that rules go by.
fn settings(app: &App) -> Settings {
    Settings {
        tag_concurrency_slot_wait_seconds: app.settings.longest_waits.of_tags,
        deployment_concurrency_slot_wait_seconds: app.settings.deployment_slot_wait,
        initial_deployment_lease_seconds: app.settings.initial_deployment_lease,
        ..Settings::default()
    }
}

/// Reads what the rules have to know, in parallel.
///
/// Limits of the first generation are not stored: their operations make tags' limits of the second.
async fn facts(store: &Store, needs: &BTreeSet<Need>, now: Timestamp) -> Result<Facts> {
    let mut facts = Facts::default();
    for fact in futures::future::try_join_all(needs.iter().map(|need| fact(store, need, now))).await? {
        fact(&mut facts);
    }
    Ok(facts)
}

/// Returns what the rules look at in a deployment with the limit `limit`.
fn concurrency_of(deployment: &Deployment, limit: Option<SlotLimit>) -> DeploymentConcurrency {
    let options = deployment.concurrency_options.as_ref();
    let collision_strategy = match options.map(|options| options.collision_strategy) {
        Some(ConcurrencyLimitStrategy::CancelNew) => CollisionStrategy::CancelNew,
        Some(ConcurrencyLimitStrategy::Enqueue) | None => CollisionStrategy::Enqueue,
    };
    let grace_period_seconds = options.and_then(|options| options.grace_period_seconds);
    DeploymentConcurrency { limit, collision_strategy, grace_period_seconds }
}

/// Returns what the rules look at in a limit at `now`.
fn slots_of(limit: &ConcurrencyLimit, now: Timestamp) -> SlotLimit {
    SlotLimit {
        id: limit.id,
        name: limit.name.clone(),
        active: limit.active,
        limit: limit.limit,
        active_slots: limit.active_slots_at(now),
        average_occupancy_seconds: limit.avg_slot_occupancy_seconds,
    }
}

/// Reads what one need asks for; returns what notes it down.
async fn fact(store: &Store, need: &Need, now: Timestamp) -> Result<Box<dyn FnOnce(&mut Facts) + Send>> {
    Ok(match need {
        Need::FlowRun(id) => {
            let found = store.flow_run(*id).await?.map(|Versioned { record, .. }| EnclosingFlowRun {
                id: record.id,
                state: record.state,
                run_count: record.run_count,
            });
            Box::new(|facts| facts.flow_run = found)
        }
        Need::CachedState { cache_key } => {
            let found = store.cached_state(cache_key).await?;
            Box::new(|facts| facts.cached_state = found)
        }
        Need::Lease(id) => {
            let (id, found) = (*id, store.get_item(&table::lease(*id)).await?);
            Box::new(move |facts| facts.leases.extend(found.map(|_| id)))
        }
        Need::TagLimits(tags) => {
            let names: Vec<String> = tags.iter().map(|tag| format!("tag:{tag}")).collect();
            let limits = store.concurrency_limits_by_names(&names).await?;
            Box::new(move |facts| facts.slot_limits = limits.iter().map(|limit| slots_of(&limit.record, now)).collect())
        }
        Need::LeasesHeldBy(id) => {
            let held = store.leases_held_by(*id).await?;
            Box::new(|facts| facts.held_leases = held)
        }
        Need::Deployment(id) => {
            let found = match store.deployment(*id).await? {
                None => None,
                Some(Versioned { record, .. }) => {
                    let limit = match record.concurrency_limit_id {
                        Some(limit) => store.concurrency_limit(limit).await?,
                        None => None,
                    };
                    Some(concurrency_of(&record, limit.map(|limit| slots_of(&limit.record, now))))
                }
            };
            Box::new(|facts| facts.deployment = found)
        }
    })
}

/// How many inputs a pause deletes in its own transaction, of which a client's pause names three.
const INPUTS_DELETED_WITH_A_PAUSE: usize = 20;

/// Returns what a plan writes: the run, its new state, and what belongs into the same transaction.
async fn writes<R: StoredRun>(
    app: &App,
    plan: &Plan<R>,
    transition: &Transition<R>,
    version: u64,
) -> Result<Vec<Write>, CommitError> {
    let mut writes = Vec::new();
    if plan.is_changed {
        let (item, apart) = run_item(app, plan, transition.initial(), version + 1)?;
        writes.push(Write::Replace(item));
        writes.extend(apart);
    }
    writes.extend(effects(app, plan, transition.now).await?);
    Ok(writes)
}

/// Returns the writes that enter a new run together with its first state, under the minimal policy.
///
/// The caller adds its claims and commits all in one transaction.
pub async fn create<R: StoredRun>(
    app: &App,
    run: R,
    state: Option<State>,
    policy: &Policy<R>,
    client: Client,
) -> Result<(R, Vec<Write>)> {
    let Some(state) = state else {
        let write = app.store.insert(&run)?;
        return Ok((run, vec![write]));
    };
    let mut transition = Transition::new(run, state);
    transition.client = client;
    transition.settings = settings(app);
    transition.facts = facts(&app.store, &policy.needs(&transition), transition.now).await?;
    let plan = decide(policy, &transition);
    observe(&plan, None);
    let (item, apart) = run_item(app, &plan, transition.initial(), 1)?;
    let mut writes = vec![Write::Insert(item)];
    writes.extend(apart);
    writes.extend(Box::pin(effects(app, &plan, transition.now)).await?);
    Ok((plan.run, writes))
}

/// Returns the run that was in the state `before` as the plan leaves it, and the writes of states that are kept by themselves.
fn run_item<R: StoredRun>(
    app: &App,
    plan: &Plan<R>,
    before: Option<&State>,
    version: u64,
) -> Result<(Item, Vec<Write>)> {
    let Some(state) = plan.entered() else { return Ok((app.store.item(&plan.run, version)?, Vec::new())) };
    let mut run = plan.run.clone();
    let apart = app.store.remember_state(&mut run, before, timer(app, plan, state))?;
    Ok((Item { announced: Some(version), ..app.store.item(&run, version)? }, apart))
}

/// Returns what a plan writes besides the run and its states.
///
/// # Errors
/// [`CommitError::Contended`] if a slot that the rules found free is taken by now.
async fn effects<R: StoredRun>(app: &App, plan: &Plan<R>, now: Timestamp) -> Result<Vec<Write>, CommitError> {
    let mut writes = Vec::new();
    let mut slots = Slots::new(&app.store, now, app.settings.longest_waits);
    for effect in &plan.effects {
        match effect {
            Effect::CacheState { cache_key, cache_expiration, .. } => {
                let state = plan.entered().ok_or_else(|| Error::Internal("only an entered state is cached".into()))?;
                writes.push(app.store.cache_state(cache_key, *cache_expiration, &plan.run.key(), state)?);
            }
            Effect::UpdateParentTaskRun { task_run_id, state } => {
                writes.extend(parent_task_run(app, *task_run_id, state, now).await?);
            }
            Effect::SaveArtifact(result) => writes.extend(saved(app, result, plan, now).await?),
            Effect::DeleteFlowRunInputs { flow_run_id, keys } => {
                let keys = keys.iter().take(INPUTS_DELETED_WITH_A_PAUSE);
                writes.extend(keys.map(|key| Write::Delete(table::flow_run_input(*flow_run_id, key.as_str()))));
            }
            Effect::EnqueueTaskRun { task_run_id, task_key, is_retry } => {
                let state = plan.entered().ok_or_else(|| Error::Internal("only an entered state is queued".into()))?;
                writes.push(app.store.queue_task_run(&QueuedTaskRun {
                    task_run_id: *task_run_id,
                    task_key: task_key.clone(),
                    state_id: state.id,
                    queued: now,
                    is_retry: *is_retry,
                    handed: None,
                })?);
            }
            Effect::RetryFailedTaskRuns { .. } => {}
            Effect::AcquireSlots { lease_id, limits, ttl_seconds, holder } => {
                let lease = Lease {
                    id: *lease_id,
                    expiration: now.plus_seconds(*ttl_seconds),
                    slots: 1,
                    holder: holder.map(serde_json::to_value).transpose().map_err(Error::from)?,
                    created: Some(now),
                    limits: limits.clone(),
                    is_listed: false,
                };
                if !slots.acquire(&lease).await? {
                    return Err(CommitError::Contended);
                }
            }
            Effect::RenewLease { lease_id, ttl_seconds } => slots.renew(*lease_id, *ttl_seconds).await?,
            Effect::ReleaseLease { lease_id } => slots.release(*lease_id).await?,
            Effect::OccupyTagSlot { .. } | Effect::VacateTagSlot { .. } => {
                let error = "a rule found a limit of the first generation, of which none is stored";
                return Err(Error::Internal(error.into()).into());
            }
        }
    }
    writes.extend(slots.into_writes()?);
    Ok(writes)
}

/// Forces a subflow run's state on the task run that stands for it in the parent flow run.
async fn parent_task_run(app: &App, id: TaskRunId, state: &State, now: Timestamp) -> Result<Vec<Write>> {
    let Some(run) = app.store.task_run(id).await? else { return Ok(Vec::new()) };
    let policy = task_policy(state, true);
    // By an id of its run's it is found without an item of its own.
    let state = State { id: run.record.next_state_id(), ..state.clone() };
    let mut transition = Transition::new(run.record, state);
    transition.now = now;
    transition.settings = settings(app);
    transition.facts = facts(&app.store, &policy.needs(&transition), transition.now).await?;
    let plan = decide(policy, &transition);
    let (item, apart) = run_item(app, &plan, transition.initial(), run.version + 1)?;
    let mut writes = vec![Write::Replace(item)];
    writes.extend(apart);
    for effect in &plan.effects {
        if let Effect::SaveArtifact(result) = effect {
            writes.extend(saved(app, result, &plan, now).await?);
        }
    }
    Ok(writes)
}

/// Returns the writes that save the result of the state that `plan` enters.
async fn saved<R: StoredRun>(app: &App, result: &ResultArtifact, plan: &Plan<R>, now: Timestamp) -> Result<Vec<Write>> {
    let result_of = plan.entered().map(|state| ResultOf { state: state.id, entered: state.timestamp });
    app.store.artifact_writes(&Artifact { result_of, ..result.artifact(now) }).await
}

/// Returns when the server acts on a flow run that has entered `state`; it does not on task runs.
fn timer<R: StoredRun>(app: &App, plan: &Plan<R>, state: &State) -> Option<Timestamp> {
    let (_, task_run) = plan.run.owners();
    if task_run.is_some() { None } else { timers::due(state, &app.settings, app.now()) }
}

/// Does what a plan asks for beyond its transaction: each step may be repeated.
async fn follow_up(app: &App, effects: &[Effect], proposal: &Proposal) -> Result<()> {
    for effect in effects {
        match effect {
            Effect::RetryFailedTaskRuns { flow_run_id, scheduled_time } => {
                retry_failed_task_runs(app, *flow_run_id, *scheduled_time, &proposal.client).await?;
            }
            Effect::DeleteFlowRunInputs { flow_run_id, keys } => {
                let rest: Vec<_> = keys.iter().skip(INPUTS_DELETED_WITH_A_PAUSE).collect();
                for keys in rest.chunks(INPUTS_DELETED_WITH_A_PAUSE) {
                    let deletions =
                        keys.iter().map(|key| Write::Delete(table::flow_run_input(*flow_run_id, key.as_str())));
                    app.store.commit(deletions.collect()).await?;
                }
            }
            Effect::EnqueueTaskRun { .. } => app.live.tell_of_queued_tasks(),
            _ => {}
        }
    }
    Ok(())
}

/// Lets every failed task run of a flow run await its retry, for clients that leave that to the server.
async fn retry_failed_task_runs(app: &App, id: FlowRunId, at: Timestamp, client: &Client) -> Result<()> {
    for task_run in app.store.task_runs_of(id).await? {
        if task_run.record.state_type != Some(StateType::Failed) {
            continue;
        }
        let state = serde_json::json!({
            "type": StateType::Scheduled,
            "name": "AwaitingRetry",
            "state_details": { "scheduled_time": at },
        });
        let state: StateCreate = serde_json::from_value(Value::clone(&state))?;
        let proposal = Proposal::new(state, true, client.clone());
        Box::pin(propose_task_run_state(app, task_run.record.id, &proposal)).await?;
        app.store.reset_run_count(task_run.record.id).await?;
    }
    Ok(())
}
