//! The scheduler: makes the runs of deployments ahead of their time, as their schedules say.
//!
//! A deployment has a place in a sparse index by when its schedules are to be looked at: at once after a change, and
//! from then on when the runs that were made are no longer enough (Prefect asks all deployments whether that is so). A
//! look makes the missing runs in transactions with the deployment's own item, on the condition that its version is the
//! one read. So two looks at once, a repeated one, or one whose process died make each run exactly once, and none is
//! made by what a schedule was before a change. What was made by then and has not begun is void ([`crate::void_runs`]): the
//! request that changed the deployment deletes it, and so do the job that follows and the first look, whichever comes first. Each run also claims its idempotency key, of deployment, schedule and
//! instant, which is Prefect's.
//!
//! Two things differ from Prefect on purpose: a run that somebody deletes ahead of its time is not made again, unless
//! the deployment is changed; and a schedule that has no instants (see [`schedule`]) does not keep the others from
//! theirs.

use std::{collections::BTreeMap, rc::Rc};

use uuid::Uuid;

use budget::Meter;
use domain::{
    model::{
        CreatedBy, Deployment, DeploymentId, FlowRun, FlowRunId, State, StateType, Timestamp,
        deployment::{DeploymentSchedule, Schedule, Scheduling, VoidRuns},
        name::random_name,
    },
    schedule::{self, Span},
};
use error::Result;
use settings::Scheduler;
use store::{CommitError, Store, Versioned, commit::retry_on_conflict, scheduling::ScheduledRun, table};

use crate::{App, flow_run_creation::labels_of_deployment, timers};

/// After how many seconds a schedule is looked at again that has no instants in sight.
const NOTHING_IN_SIGHT: f64 = 30.0 * 86_400.0;

/// Which runs of a schedule are made.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The first instant that a run may be due at.
    pub start: Timestamp,
    /// The last instant that a run may be due at.
    pub end: Timestamp,
    /// How long after `start` the last run is due at least, in seconds, if `max_runs` and `end` allow.
    pub min_time: f64,
    /// How many runs there are at least, if `max_runs` and `end` allow.
    pub min_runs: usize,
    /// How many runs there are at most.
    pub max_runs: usize,
}

impl Limits {
    /// Returns what the settings ask for from `start` on.
    pub fn new(settings: &Scheduler, start: Timestamp) -> Self {
        Self {
            start,
            end: start.plus_seconds(settings.max_scheduled_time),
            min_time: settings.min_scheduled_time,
            min_runs: settings.min_runs,
            max_runs: settings.max_runs,
        }
    }

    /// Returns the instants of a schedule that are wanted: as few as satisfy both minima.
    fn instants(&self, schedule: &Schedule, steps: &Rc<Meter>) -> Vec<Timestamp> {
        let span = Span { start: self.start, end: Some(self.end), count: self.max_runs };
        let mut instants = schedule::instants_within(schedule, span, steps);
        let enough = instants.iter().enumerate().position(|(place, instant)| self.suffices(place + 1, *instant));
        instants.truncate(enough.map_or(instants.len(), |place| place + 1));
        instants
    }

    fn suffices(&self, count: usize, last: Timestamp) -> bool {
        count >= self.min_runs && last >= self.start.plus_seconds(self.min_time)
    }

    /// Returns when a schedule is to be looked at again whose next instants are `found`.
    fn next_look(
        &self,
        schedule: &Schedule,
        found: &[Timestamp],
        settings: &Scheduler,
        steps: &Rc<Meter>,
    ) -> Timestamp {
        let next = match found {
            [.., last] if self.suffices(found.len(), *last) => {
                let one_too_few = found.len().checked_sub(self.min_runs.max(1)).and_then(|place| found.get(place));
                one_too_few.copied().unwrap_or(*last).min(last.plus_seconds(-self.min_time))
            }
            _ if found.len() >= self.max_runs => self.start.plus_seconds(settings.loop_seconds),
            _ => {
                let span = Span { start: self.end.plus_seconds(1e-6), end: None, count: 1 };
                let later = schedule::instants_within(schedule, span, steps).first().copied();
                let horizon = self.start.plus_seconds(NOTHING_IN_SIGHT);
                let in_sight = later.map(|later| later.plus_seconds(-settings.max_scheduled_time));
                in_sight.unwrap_or(horizon).min(horizon)
            }
        };
        next.max(self.start.plus_seconds(1.0))
    }
}

/// Looks at the schedules of a deployment, if it is time to, and makes the runs that are missing.
pub async fn look_at(app: &App, id: DeploymentId) -> Result<()> {
    retry_on_conflict(|| Box::pin(look(app, id))).await
}

async fn look(app: &App, id: DeploymentId) -> Result<(), CommitError> {
    let Some(found) = app.store.deployment(id).await? else { return Ok(()) };
    let Some(scheduling) = found.record.scheduling.clone() else { return Ok(()) };
    // What is made is newer than the change that it follows, whatever the clocks of two machines say.
    let now = app.now().max(scheduling.since);
    if scheduling.due > now {
        return Ok(());
    }
    let settings = &app.settings.scheduler;
    let limits = Limits::new(settings, now);
    let (due, wanted) = budget::evaluate(|| {
        let steps = schedule::steps();
        let mut due = now.plus_seconds(NOTHING_IN_SIGHT);
        let mut wanted = Vec::new();
        for schedule in found.record.schedules.iter().filter(|schedule| schedule.active) {
            let instants = limits.instants(&schedule.schedule, &steps);
            due = due.min(limits.next_look(&schedule.schedule, &instants, settings, &steps));
            let produced = scheduling.produced.get(&schedule.id);
            let missing = instants.into_iter().filter(|instant| produced.is_none_or(|produced| produced < instant));
            wanted.extend(missing.map(|instant| Wanted { schedule, instant }));
        }
        (due, wanted)
    });
    let mut produced = scheduling.produced;
    produced.retain(|schedule, _| found.record.schedules.iter().any(|kept| kept.id == *schedule));
    make(app, &found, &wanted, now, Some(Scheduling { since: scheduling.since, due, produced })).await.map(drop)
}

/// Makes the runs of a deployment's active schedules that `limits` ask for, and returns the new ones.
///
/// As Prefect does, also those of a paused deployment, and nothing for one that isn't there.
pub async fn schedule_runs(app: &App, id: DeploymentId, limits: Limits) -> Result<Vec<FlowRunId>> {
    retry_on_conflict(|| {
        Box::pin(async {
            let Some(found) = app.store.deployment(id).await? else { return Ok(Vec::new()) };
            let active = found.record.schedules.iter().filter(|schedule| schedule.active);
            let wanted: Vec<Wanted<'_>> = budget::evaluate(|| {
                let steps = schedule::steps();
                let instants = active.flat_map(|schedule| {
                    let instants = limits.instants(&schedule.schedule, &steps);
                    instants.into_iter().map(move |instant| Wanted { schedule, instant })
                });
                instants.collect()
            });
            let clock = app.now();
            let now = found.record.scheduling.as_ref().map_or(clock, |scheduling| clock.max(scheduling.since));
            make(app, &found, &wanted, now, None).await
        })
    })
    .await
}

/// A run that is to be there.
struct Wanted<'d> {
    schedule: &'d DeploymentSchedule,
    instant: Timestamp,
}

/// Makes those of the `wanted` runs that aren't there; the deployment's scheduling is `then` afterwards, if that is given.
async fn make(
    app: &App,
    found: &Versioned<Deployment>,
    wanted: &[Wanted<'_>],
    now: Timestamp,
    then: Option<Scheduling>,
) -> Result<Vec<FlowRunId>, CommitError> {
    let mut deployment = found.record.clone();
    let mut version = found.version;
    let keys: Vec<String> = wanted.iter().map(|wanted| idempotency_key(deployment.id, wanted)).collect();
    let taken = app.store.taken_keys(deployment.flow_id, &keys).await?;
    let mut made = Vec::new();
    let mut runs: Vec<ScheduledRun> = Vec::new();
    let mut progress: Vec<(Uuid, Timestamp)> = Vec::new();
    for (wanted, key) in wanted.iter().zip(keys) {
        if let Some(run) = taken.get(&table::unique_flow_run(deployment.flow_id, &key)) {
            let void = deployment.scheduling.as_ref().filter(|_| then.is_some()).map(|scheduling| scheduling.since);
            let Some(void) = void else { continue };
            if !app.store.delete_if_void(*run, VoidRuns { before: void, due_after: Some(now) }).await? {
                continue;
            }
        }
        let (run, state) = new_run(&deployment, wanted, key, now);
        made.push(run.id);
        progress.push((wanted.schedule.id, wanted.instant));
        runs.push(app.store.scheduled_run(&run, timers::due(&state, &app.settings, app.now()))?);
    }
    let mut produced = then.as_ref().map(|then| then.produced.clone()).unwrap_or_default();
    loop {
        let rest = runs.split_off(Store::written_at_once(&runs));
        if let Some(then) = &then {
            let done = progress.split_off(runs.len());
            produced.extend(std::mem::replace(&mut progress, done));
            // Only when all are made, it is known that none is missing.
            let due = if rest.is_empty() { then.due } else { now };
            if rest.is_empty() {
                produced.extend(last_instants(wanted));
            }
            deployment.scheduling = Some(Scheduling { since: then.since, due, produced: produced.clone() });
        } else if runs.is_empty() {
            return Ok(made);
        }
        app.store.add_scheduled_runs(runs, &deployment, version).await?;
        version += 1;
        if rest.is_empty() {
            return Ok(made);
        }
        runs = rest;
    }
}

fn last_instants(wanted: &[Wanted<'_>]) -> BTreeMap<Uuid, Timestamp> {
    wanted.iter().map(|wanted| (wanted.schedule.id, wanted.instant)).collect()
}

fn idempotency_key(deployment: DeploymentId, wanted: &Wanted<'_>) -> String {
    let instant = schedule::local_text(&wanted.schedule.schedule, wanted.instant);
    format!("scheduled {deployment} {} {instant}", wanted.schedule.id)
}

/// Returns a run that a schedule makes, in its first state (Prefect's `_generate_scheduled_flow_runs`).
fn new_run(deployment: &Deployment, wanted: &Wanted<'_>, key: String, now: Timestamp) -> (FlowRun, State) {
    let Wanted { schedule, instant } = wanted;
    let id = FlowRunId::new();
    let mut state = State::new(id.state_id(1), StateType::Scheduled, now);
    state.message = Some("Flow run scheduled".to_owned());
    state.state_details.scheduled_time = Some(*instant);
    let mut run = FlowRun::new(id, deployment.flow_id, random_name(), now);
    run.deployment_id = Some(deployment.id);
    run.deployment_version.clone_from(&deployment.version);
    run.work_queue_name.clone_from(&deployment.work_queue_name);
    run.assign_queue(deployment.work_queue_id.zip(deployment.queue_assignment.clone()));
    run.infrastructure_document_id = deployment.infrastructure_document_id;
    run.parameters.clone_from(&deployment.parameters);
    run.parameters.extend(schedule.parameters.clone());
    run.idempotency_key = Some(key);
    run.tags = std::iter::once("auto-scheduled".to_owned()).chain(deployment.tags.iter().cloned()).collect();
    run.labels = labels_of_deployment(deployment, None);
    run.auto_scheduled = true;
    run.created_by = Some(CreatedBy {
        id: Some(schedule.id),
        r#type: Some("SCHEDULE".to_owned()),
        display_value: Some(display_value(schedule)),
    });
    run.state_id = Some(state.id);
    run.state_type = Some(state.r#type);
    run.state_name = Some(state.name.clone());
    run.expected_start_time = Some(*instant);
    run.next_scheduled_start_time = Some(*instant);
    run.state = Some(state.clone());
    (run, state)
}

fn display_value(schedule: &DeploymentSchedule) -> String {
    let kind = match schedule.schedule {
        Schedule::Interval { .. } => "IntervalSchedule",
        Schedule::Cron { .. } => "CronSchedule",
        Schedule::RRule { .. } => "RRuleSchedule",
    };
    schedule.slug.clone().filter(|slug| !slug.is_empty()).unwrap_or_else(|| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-01T00:00:30Z";

    fn limits() -> Limits {
        Limits::new(&Scheduler::default(), NOW.parse().unwrap())
    }

    fn cron(cron: &str) -> Schedule {
        Schedule::Cron { cron: cron.to_owned(), timezone: None, day_or: true }
    }

    /// Returns how many runs are made now, and after how many seconds the schedule is looked at again.
    fn plan(cron_expression: &str) -> (usize, f64) {
        let (limits, schedule) = (limits(), cron(cron_expression));
        let found = limits.instants(&schedule, &schedule::steps());
        (
            found.len(),
            limits.next_look(&schedule, &found, &Scheduler::default(), &schedule::steps()).seconds_since(limits.start),
        )
    }

    #[test]
    fn makes_as_few_runs_as_satisfy_both_minima() {
        assert_eq!(plan("* * * * *"), (61, 60.0 - 30.0 + 0.0 * 60.0));
        assert_eq!(plan("0 * * * *").0, 3);
        assert_eq!(plan("0 0 * * *"), (3, 86_400.0 - 30.0));
        assert_eq!(plan("* * * * * *"), (100, 60.0));
    }

    #[test]
    fn looks_again_when_the_next_instant_comes_into_reach() {
        let (runs, wait) = plan("0 0 1 12 *");
        assert_eq!(runs, 0);
        assert!((wait - 30.0 * 86_400.0).abs() < 1.0, "at the latest after 30 days: {wait}");
        let (runs, wait) = plan("0 0 20 4 *");
        assert_eq!(runs, 0);
        assert!((wait - (109.0 - 100.0) * 86_400.0).abs() < 100.0, "{wait}");
        assert_eq!(plan("0 0 30 2 *"), (0, 30.0 * 86_400.0));
    }
}
