//! What the rules have to know beside the run: asked for as [`Need`]s, answered as [`Facts`].

use std::collections::BTreeSet;

use crate::model::{ConcurrencyLimitId, DeploymentId, FlowRunId, LeaseId, State, TaskRunId};

/// Something that a rule has to know; the caller reads all of them in one batch before deciding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The flow run that a task run belongs to, for [`Facts::flow_run`].
    FlowRun(FlowRunId),
    /// The newest state cached under the key that has not expired, for [`Facts::cached_state`].
    CachedState {
        /// The cache key.
        cache_key: String,
    },
    /// The deployment with its concurrency limit, for [`Facts::deployment`].
    Deployment(DeploymentId),
    /// Whether the lease exists, expired or not, for [`Facts::leases`].
    Lease(LeaseId),
    /// The concurrency limits of the tags, for [`Facts::tag_limits`] and [`Facts::slot_limits`].
    TagLimits(BTreeSet<String>),
    /// The leases on limits of the tags that the task run holds, for [`Facts::held_leases`].
    LeasesHeldBy(TaskRunId),
}

/// What was found of what the rules asked for; what was not asked for, or not found, is left empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The flow run that the task run belongs to.
    pub flow_run: Option<EnclosingFlowRun>,
    /// The completed state that is cached under the proposed state's cache key.
    pub cached_state: Option<State>,
    /// The deployment that the flow run comes from.
    pub deployment: Option<DeploymentConcurrency>,
    /// The leases asked for that exist.
    pub leases: BTreeSet<LeaseId>,
    /// The first-generation limits of the task run's tags, ordered by tag.
    pub tag_limits: Vec<TagLimit>,
    /// The second-generation limits of the task run's tags.
    pub slot_limits: Vec<SlotLimit>,
    /// The leases that the task run holds on the limits of its tags.
    pub held_leases: Vec<LeaseId>,
}

/// The flow run that a task run belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct EnclosingFlowRun {
    /// The flow run's id.
    pub id: FlowRunId,
    /// The flow run's current state.
    pub state: Option<State>,
    /// How many times the flow run was started.
    pub run_count: i64,
}

/// What happens to a flow run for which the deployment's concurrency limit has no slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CollisionStrategy {
    /// It waits for one.
    #[default]
    Enqueue,
    /// It is cancelled.
    CancelNew,
}

/// A deployment, as far as its concurrency is limited.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeploymentConcurrency {
    /// The deployment's concurrency limit.
    pub limit: Option<SlotLimit>,
    /// What happens to a flow run that gets no slot.
    pub collision_strategy: CollisionStrategy,
    /// How many seconds a run may take to start before its slot is taken back; the setting's when `None`.
    pub grace_period_seconds: Option<i64>,
}

/// A concurrency limit whose slots are counted (contract schema `ConcurrencyLimitV2`).
#[derive(Clone, Debug, PartialEq)]
pub struct SlotLimit {
    /// The limit's id.
    pub id: ConcurrencyLimitId,
    /// The limit's name, which is `tag:` and the tag for the limit of a tag.
    pub name: String,
    /// Whether the limit applies; slots of an inactive one are neither taken nor freed.
    pub active: bool,
    /// How many slots there are.
    pub limit: i64,
    /// How many slots are taken, after decay.
    pub active_slots: i64,
    /// How many seconds a slot is taken on average; 0 when unknown.
    pub average_occupancy_seconds: f64,
}

impl SlotLimit {
    /// Returns whether a slot can be taken.
    pub fn has_free_slot(&self) -> bool {
        self.active && self.active_slots < self.limit
    }

    /// Returns the tag whose limit it is: the name without its `tag:`.
    pub fn tag(&self) -> &str {
        self.name.strip_prefix("tag:").unwrap_or(&self.name)
    }

    /// Returns the part of the slots that is taken.
    #[allow(clippy::cast_precision_loss, reason = "nobody sets a limit beyond 2^52")]
    pub fn occupancy(&self) -> f64 {
        self.active_slots as f64 / self.limit as f64
    }
}

/// A concurrency limit on a tag that lists who holds its slots (contract schema `ConcurrencyLimit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagLimit {
    /// The tag.
    pub tag: String,
    /// How many task runs with the tag may run at a time.
    pub limit: i64,
    /// The task runs that hold a slot.
    pub holders: Vec<TaskRunId>,
}
