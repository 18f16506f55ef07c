//! The schedules of a deployment.

pub(crate) mod changes;
pub mod create;
pub mod delete;
pub mod read;
pub mod update;

use std::time::Duration;

use common::{
    Error, Result,
    budget::Bound,
    model::{
        Deployment, DeploymentId, Object, Timestamp,
        deployment::{DeploymentSchedule, Schedule},
    },
};
use serde::Deserialize;
use uuid::Uuid;

/// A schedule to be made (contract schema `DeploymentScheduleCreate`).
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewSchedule {
    pub(crate) schedule: Schedule,
    #[serde(default = "yes")]
    pub(crate) active: bool,
    pub(crate) max_scheduled_runs: Option<i64>,
    #[serde(default)]
    pub(crate) parameters: Object,
    pub(crate) slug: Option<String>,
}

/// A change of a schedule (contract schema `DeploymentScheduleUpdate`); what is null or not sent stays as it is.
///
/// Prefect empties the parameters where none are sent. Here they stay, since whoever pauses a schedule doesn't mean them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ScheduleUpdate {
    pub(crate) schedule: Option<Schedule>,
    pub(crate) active: Option<bool>,
    pub(crate) max_scheduled_runs: Option<i64>,
    pub(crate) parameters: Option<Object>,
    pub(crate) slug: Option<String>,
    pub(crate) replaces: Option<String>,
}

/// The path of operations on one schedule.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct SchedulePath {
    pub(crate) id: DeploymentId,
    pub(crate) schedule_id: Uuid,
}

impl ScheduleUpdate {
    /// Makes the change.
    pub(crate) fn apply_to(&self, schedule: &mut DeploymentSchedule, now: Timestamp) {
        schedule.updated = now;
        if let Some(parameters) = &self.parameters {
            schedule.parameters.clone_from(parameters);
        }
        if let Some(changed) = &self.schedule {
            schedule.schedule = changed.clone().completed(now);
        }
        schedule.active = self.active.unwrap_or(schedule.active);
        schedule.max_scheduled_runs = self.max_scheduled_runs.or(schedule.max_scheduled_runs);
        if self.slug.is_some() {
            schedule.slug.clone_from(&self.slug);
        }
    }

    /// Returns the schedule that the change would make; nothing if it doesn't say when runs are due.
    pub(crate) fn as_new(&self) -> Option<NewSchedule> {
        Some(NewSchedule {
            schedule: self.schedule.clone()?,
            active: self.active.unwrap_or(true),
            max_scheduled_runs: self.max_scheduled_runs,
            parameters: self.parameters.clone().unwrap_or_default(),
            slug: self.slug.clone(),
        })
    }
}

/// Returns an id for each of `new`.
pub(crate) fn with_ids(new: impl IntoIterator<Item = NewSchedule>) -> Vec<(Uuid, NewSchedule)> {
    new.into_iter().map(|new| (Uuid::now_v7(), new)).collect()
}

/// Adds `new` to the deployment's schedules, as made at `now`, and returns their records.
///
/// Each is made a microsecond after the one before, so that their order is kept.
pub(crate) fn add(
    deployment: &mut Deployment,
    new: impl IntoIterator<Item = (Uuid, NewSchedule)>,
    now: Timestamp,
) -> Vec<DeploymentSchedule> {
    let mut instant = now;
    let mut added = Vec::new();
    for (id, new) in new {
        added.push(DeploymentSchedule {
            id,
            created: instant,
            updated: instant,
            deployment_id: Some(deployment.id),
            schedule: new.schedule.completed(now),
            active: new.active,
            max_scheduled_runs: new.max_scheduled_runs,
            parameters: new.parameters,
            slug: new.slug,
        });
        instant = instant.plus(Duration::from_micros(1));
    }
    deployment.schedules.extend(added.iter().cloned());
    deployment.sort_schedules();
    added
}

/// Puts `new` in the place of the deployment's schedules; Prefect forgets what limits their runs.
pub(crate) fn replace(deployment: &mut Deployment, new: impl IntoIterator<Item = NewSchedule>, now: Timestamp) {
    deployment.schedules.clear();
    add(deployment, with_ids(new), now);
}

/// Checks that a deployment has no more schedules than can be looked at, and no two of the same slug.
///
/// # Errors
/// [`Error::Exceeded`] if there are too many, [`Error::Conflict`] if two have the same slug.
pub(crate) fn check(deployment: &Deployment) -> Result<()> {
    Bound::Schedules.check(deployment.schedules.len())?;
    let mut slugs: Vec<&str> = deployment.schedules.iter().filter_map(|schedule| schedule.slug.as_deref()).collect();
    slugs.sort_unstable();
    if slugs.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return Err(Error::integrity_conflict());
    }
    Ok(())
}

/// Says that there is no such schedule.
pub(crate) fn not_found() -> Error {
    Error::not_found_in_words("Schedule not found.")
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use common::model::deployment::DeploymentSchedule;

    use super::*;

    fn changed(change: &str) -> DeploymentSchedule {
        let now = Timestamp::now();
        let mut schedule = DeploymentSchedule {
            id: Uuid::now_v7(),
            created: now,
            updated: now,
            deployment_id: None,
            schedule: Schedule::Cron { cron: "@daily".into(), timezone: None, day_or: true },
            active: true,
            max_scheduled_runs: Some(2),
            parameters: Object::from_iter([("p".to_owned(), 1.into())]),
            slug: Some("kept".into()),
        };
        serde_json::from_str::<ScheduleUpdate>(change).unwrap().apply_to(&mut schedule, now);
        schedule
    }

    #[test]
    fn what_a_change_does_not_name_stays() {
        let paused = changed(r#"{"active": false}"#);
        assert!(!paused.active);
        assert_eq!((paused.parameters["p"].as_i64(), paused.slug.as_deref()), (Some(1), Some("kept")));
        assert_eq!(paused.max_scheduled_runs, Some(2));
        assert!(changed(r#"{"parameters": {}}"#).parameters.is_empty());
    }
}
