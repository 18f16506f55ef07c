//! Deployments: flows with what is needed to run them elsewhere, on a schedule or on demand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    BlockDocumentId, ConcurrencyLimit, ConcurrencyLimitId, CreatedBy, Flow, FlowId, FlowRun, Object, QueueAssignment,
    Seconds, StateType, Timestamp, WorkQueue, WorkQueueId, id::typed_id,
};
use crate::filter::event::ResourceSpecification;

typed_id! {
    /// The id of a deployment.
    DeploymentId
}

/// Whether something polls for a deployment's runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentStatus {
    /// The deployment's queue was polled lately.
    Ready,
    /// Nothing has polled the deployment's queue lately.
    #[default]
    NotReady,
}

/// What happens to a run when the deployment's concurrency limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConcurrencyLimitStrategy {
    /// The run waits.
    Enqueue,
    /// The run is cancelled.
    CancelNew,
}

/// How a deployment's concurrency limit works (contract schema `ConcurrencyOptions`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConcurrencyOptions {
    /// What happens to a run when the limit is reached.
    pub collision_strategy: ConcurrencyLimitStrategy,
    /// How long a slot is held for a run that isn't running yet, in seconds.
    #[serde(default)]
    pub grace_period_seconds: Option<i64>,
}

/// When a deployment's runs are due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Schedule {
    /// At a fixed distance (contract schema `IntervalSchedule-Output`).
    Interval {
        /// The time from one run to the next.
        interval: Seconds,
        /// An instant that the schedule goes through.
        #[serde(default)]
        anchor_date: Option<Timestamp>,
        /// The name of the time zone whose clock changes are kept to.
        #[serde(default)]
        timezone: Option<String>,
    },
    /// By a cron expression (contract schema `CronSchedule`).
    Cron {
        /// The expression.
        cron: String,
        /// The name of the time zone that the expression is meant in.
        #[serde(default)]
        timezone: Option<String>,
        /// Whether one of day of month and day of week is enough.
        #[serde(default = "yes")]
        day_or: bool,
    },
    /// By an iCalendar recurrence rule (contract schema `RRuleSchedule`).
    RRule {
        /// The rule.
        rrule: String,
        /// The name of the time zone that the rule is meant in.
        #[serde(default = "utc")]
        timezone: Option<String>,
    },
}

/// A schedule of a deployment (contract schema `DeploymentSchedule`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeploymentSchedule {
    /// The schedule's id.
    pub id: Uuid,
    /// When the schedule was created.
    pub created: Timestamp,
    /// When the schedule was last changed.
    pub updated: Timestamp,
    /// The deployment that is scheduled.
    #[serde(default)]
    pub deployment_id: Option<DeploymentId>,
    /// When runs are due.
    pub schedule: Schedule,
    /// Whether runs are created.
    #[serde(default = "yes")]
    pub active: bool,
    /// The most runs that are scheduled ahead.
    #[serde(default)]
    pub max_scheduled_runs: Option<i64>,
    /// Parameters that take the place of the deployment's.
    #[serde(default)]
    pub parameters: Object,
    /// What the schedule is called within the deployment.
    #[serde(default)]
    pub slug: Option<String>,
}

/// How far the scheduler has come with a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduling {
    /// When its schedules began as they are now; the runs that were made before and have not begun are void.
    pub since: Timestamp,
    /// When its schedules are looked at next.
    pub due: Timestamp,
    /// Up to which instant each schedule has its runs, by the schedule's id; none that is yet to get its first.
    #[serde(default)]
    pub produced: BTreeMap<Uuid, Timestamp>,
}

/// Runs that the scheduler made of a deployment as it was before a change, and that have not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidRuns {
    /// They were made before this.
    pub before: Timestamp,
    /// They are due after this; nothing where all of them are void.
    #[serde(default)]
    pub due_after: Option<Timestamp>,
}

impl VoidRuns {
    /// Says whether `run` is among them; one that waits for a slot has begun.
    pub fn includes(&self, run: &FlowRun) -> bool {
        let is_waiting = run.auto_scheduled
            && run.state_type == Some(StateType::Scheduled)
            && run.state_name.as_deref() != Some("AwaitingConcurrencySlot")
            && run.run_count == 0;
        let is_due_after = |instant| run.next_scheduled_start_time.is_some_and(|due| due > instant);
        is_waiting && run.created < self.before && self.due_after.is_none_or(is_due_after)
    }
}

/// A deployment (the stored part of the contract schema `DeploymentResponse`).
///
/// What the API adds when it answers is not kept here: the name of the work pool and the concurrency limit
/// itself, which `concurrency_limit_id` points to and [`Deployment::answer`] puts in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployment {
    /// The deployment's id.
    pub id: DeploymentId,
    /// When the deployment was created.
    pub created: Timestamp,
    /// When the deployment was last changed.
    pub updated: Timestamp,
    /// The name, unique within the flow.
    pub name: String,
    /// The version that the client gave it.
    #[serde(default)]
    pub version: Option<String>,
    /// What the deployment is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The flow that is deployed.
    pub flow_id: FlowId,
    /// The name of that flow, which never changes; filters, sorts and events look at it.
    #[serde(default)]
    pub flow_name: String,
    /// Whether its schedules create no runs.
    #[serde(default)]
    pub paused: bool,
    /// When its runs are due.
    #[serde(default)]
    pub schedules: Vec<DeploymentSchedule>,
    /// The limit on how many of its runs may be active at once.
    #[serde(default)]
    pub concurrency_limit_id: Option<ConcurrencyLimitId>,
    /// How that limit works.
    #[serde(default)]
    pub concurrency_options: Option<ConcurrencyOptions>,
    /// Overrides of the work pool's base job template.
    #[serde(default)]
    pub job_variables: Object,
    /// The parameters of its runs.
    #[serde(default)]
    pub parameters: Object,
    /// The tags of its runs.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Key-value labels; the values are strings, numbers or booleans.
    #[serde(default)]
    pub labels: Object,
    /// The name of the work queue that its runs wait in.
    #[serde(default)]
    pub work_queue_name: Option<String>,
    /// The work queue that its runs wait in.
    #[serde(default)]
    pub work_queue_id: Option<WorkQueueId>,
    /// What is known of that queue and its pool; never answered.
    #[serde(default)]
    pub queue_assignment: Option<QueueAssignment>,
    /// When something last polled for its runs.
    #[serde(default)]
    pub last_polled: Option<Timestamp>,
    /// The JSON schema of the flow's parameters.
    #[serde(default)]
    pub parameter_openapi_schema: Option<Object>,
    /// The directory of the flow's code.
    #[serde(default)]
    pub path: Option<String>,
    /// The steps that fetch the flow's code.
    #[serde(default)]
    pub pull_steps: Option<Vec<Object>>,
    /// The file and function of the flow within `path`.
    #[serde(default)]
    pub entrypoint: Option<String>,
    /// The block document of the storage that holds the flow's code.
    #[serde(default)]
    pub storage_document_id: Option<BlockDocumentId>,
    /// The block document of the infrastructure that its runs use.
    #[serde(default)]
    pub infrastructure_document_id: Option<BlockDocumentId>,
    /// Who or what created the deployment.
    #[serde(default)]
    pub created_by: Option<CreatedBy>,
    /// Who or what last changed the deployment; the form is that of a creator.
    #[serde(default)]
    pub updated_by: Option<CreatedBy>,
    /// Whether something polls for its runs.
    #[serde(default)]
    pub status: DeploymentStatus,
    /// Of what it was made, if it was for a branch; answered where it is known, as the client reads it.
    #[serde(flatten)]
    pub branch: Option<Branch>,
    /// The service level agreements on its runs; never answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slas: Vec<ServiceLevelAgreement>,
    /// Whether parameters that break the schema are refused.
    #[serde(default = "yes")]
    pub enforce_parameter_schema: bool,
    /// The runs that its last change has made void; never answered. Whoever finds one deletes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void_runs: Option<VoidRuns>,
    /// How far the scheduler has come, if there is an active schedule to follow; never answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Scheduling>,
}

/// Of what a deployment was made for a branch of its code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// The branch.
    pub branch: String,
    /// The deployment that it was made of.
    pub base: DeploymentId,
    /// The deployment that the first of its bases was.
    pub root: DeploymentId,
}

/// A service level agreement on a deployment's runs (the client's `ServiceLevelAgreement`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceLevelAgreement {
    /// The name, unique within the deployment.
    pub name: String,
    /// How bad a violation is.
    pub severity: Severity,
    /// Whether violations are looked for.
    pub enabled: bool,
    /// What has to be kept to.
    pub condition: SlaCondition,
    /// Since when it is to be kept: it was made then, or its condition changed, or it was enabled.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

/// How bad it is that a service level agreement is violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The least.
    Minor,
    /// Little.
    Low,
    /// Neither little nor much.
    Moderate,
    /// Much.
    High,
    /// The most.
    Critical,
}

/// What a service level agreement asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlaCondition {
    /// A run takes no longer than so many seconds (the client's `TimeToCompletionSla`).
    Duration(i64),
    /// From one run that completes to the next it takes no longer than this (the client's `FrequencySla`).
    StaleAfter(Seconds),
    /// A run starts no later than this after it is due (the client's `LatenessSla`).
    Within(Seconds),
    /// An event happens, and happens again (`FreshnessSla` of Prefect Cloud, which the client lacks).
    ExpectedEvent(ExpectedEvent),
}

/// An event that is expected again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectedEvent {
    /// The event's name.
    pub event: String,
    /// The labels of the resource that it happens to, its id among them.
    pub resource: ResourceSpecification,
    /// From one such event to the next it takes no longer than this.
    pub within: Seconds,
}

/// A deployment as it is answered (contract schema `DeploymentResponse`).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct DeploymentResponse(Map<String, Value>);

impl Deployment {
    /// Makes a deployment of `flow` as it is before anything is said of it.
    pub fn new(id: DeploymentId, flow: &Flow, name: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id,
            created: now,
            updated: now,
            name: name.into(),
            version: None,
            description: None,
            flow_id: flow.id,
            flow_name: flow.name.clone(),
            paused: false,
            schedules: Vec::new(),
            concurrency_limit_id: None,
            concurrency_options: None,
            job_variables: Object::new(),
            parameters: Object::new(),
            tags: Vec::new(),
            labels: Object::new(),
            work_queue_name: None,
            work_queue_id: None,
            queue_assignment: None,
            last_polled: None,
            parameter_openapi_schema: Some(Object::new()),
            path: None,
            pull_steps: Some(Vec::new()),
            entrypoint: None,
            storage_document_id: None,
            infrastructure_document_id: None,
            created_by: None,
            updated_by: None,
            status: DeploymentStatus::NotReady,
            branch: None,
            slas: Vec::new(),
            enforce_parameter_schema: true,
            void_runs: None,
            scheduling: None,
        }
    }

    /// Tells whether runs are made by its schedules.
    pub fn is_scheduled(&self) -> bool {
        !self.paused && self.schedules.iter().any(|schedule| schedule.active)
    }

    /// Returns the deployment as it is stored after a change from `before` at `now`: its schedules begin anew.
    ///
    /// Where one was only added, the others go on; so do all where only agreements were changed, which make no runs.
    #[must_use]
    pub fn rescheduled(&self, before: Option<&Self>, now: Timestamp) -> Self {
        if before.is_some_and(|before| Self { slas: before.slas.clone(), ..self.clone() } == *before) {
            return self.clone();
        }
        let has_more = before.is_some_and(|before| {
            let was_there = |schedule: &&DeploymentSchedule| before.schedules.iter().any(|old| old.id == schedule.id);
            let without_new = Self {
                schedules: self.schedules.iter().filter(was_there).cloned().collect(),
                updated: before.updated,
                scheduling: before.scheduling.clone(),
                ..self.clone()
            };
            self.schedules.len() > before.schedules.len() && without_new == *before
        });
        let going_on = before.filter(|_| has_more).and_then(|before| before.scheduling.clone());
        let scheduling = match going_on {
            Some(scheduling) => Some(Scheduling { due: now, ..scheduling }),
            None => self.is_scheduled().then(|| Scheduling { since: now, due: now, produced: BTreeMap::new() }),
        };
        Self { scheduling, ..self.clone() }
    }

    /// Returns the deployment as it is answered at `now`, with the limit and the queue that it points to, if they are
    /// still there.
    ///
    /// # Errors
    /// Only if a value can't be written as JSON.
    pub fn answer(
        &self,
        limit: Option<&ConcurrencyLimit>,
        queue: Option<&WorkQueue>,
        now: Timestamp,
    ) -> serde_json::Result<DeploymentResponse> {
        let Value::Object(mut fields) = serde_json::to_value(self)? else { return Ok(DeploymentResponse(Map::new())) };
        for of_the_record in
            ["concurrency_limit_id", "flow_name", "queue_assignment", "scheduling", "slas", "void_runs"]
        {
            fields.remove(of_the_record);
        }
        fields.insert("concurrency_limit".into(), Value::Null);
        fields.insert("global_concurrency_limit".into(), json!(limit.map(|limit| limit.as_of(now))));
        fields.insert("work_queue_id".into(), json!(queue.map(|queue| queue.id)));
        if let Some(queue) = queue {
            fields.insert("work_queue_name".into(), queue.name.as_str().into());
        }
        let pool = queue.and(self.queue_assignment.as_ref()).map(|place| &place.pool_name);
        fields.insert("work_pool_name".into(), json!(pool));
        Ok(DeploymentResponse(fields))
    }

    /// Has the deployment's runs wait in `queue`, or in none.
    pub fn assign_queue(&mut self, queue: Option<(WorkQueueId, QueueAssignment)>) {
        (self.work_queue_id, self.queue_assignment) = queue.unzip();
    }

    /// Puts the schedules into the order in which they are answered: the last changed first.
    pub fn sort_schedules(&mut self) {
        self.schedules.sort_by_key(|schedule| std::cmp::Reverse(schedule.updated));
    }
}

#[allow(clippy::unnecessary_wraps, reason = "a client may say that there is none")]
fn utc() -> Option<String> {
    Some("UTC".to_owned())
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tells_schedules_by_their_fields() {
        let interval = json!({"interval": 60.0, "anchor_date": "2026-01-31T09:30:00Z", "timezone": "UTC"});
        let cron = json!({"cron": "0 0 * * *", "timezone": null, "day_or": true});
        let rrule = json!({"rrule": "FREQ=DAILY", "timezone": "UTC"});
        for schedule in [interval, cron, rrule] {
            let read: Schedule = serde_json::from_value(schedule.clone()).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), schedule);
        }
    }

    #[test]
    fn schedules_begin_anew_with_any_change_but_that_of_agreements() {
        let (made, now) = (Timestamp::now(), Timestamp::now().plus_seconds(1.0));
        let flow = Flow::new(FlowId::new(), "a flow", made);
        let mut deployment = Deployment::new(DeploymentId::new(), &flow, "a deployment", made);
        deployment.schedules = serde_json::from_value(json!([{
            "id": Uuid::now_v7(), "created": made, "updated": made, "schedule": {"interval": 60.0},
        }]))
        .unwrap();
        let before = deployment.rescheduled(None, made);
        let mut after = before.clone();
        after.slas = serde_json::from_value(json!([
            {"name": "agreed", "severity": "high", "enabled": true, "condition": {"duration": 1}}
        ]))
        .unwrap();
        assert_eq!(after.rescheduled(Some(&before), now).scheduling, before.scheduling);
        after.tags.push("new".into());
        assert_eq!(after.rescheduled(Some(&before), now).scheduling.map(|scheduling| scheduling.since), Some(now));
    }
}
