//! What an update of a deployment does with its schedules: those with slugs are changed one by one, others replaced.

use std::collections::HashSet;

use common::{
    Error, Result,
    model::{Deployment, Timestamp, deployment::DeploymentSchedule},
};

use super::{NewSchedule, ScheduleUpdate, add, replace, with_ids};

/// What is done with the schedules of a deployment.
#[derive(Clone, Debug)]
pub(crate) enum Changes {
    /// Nothing.
    Nothing,
    /// All are replaced by these.
    Replaced(Vec<NewSchedule>),
    /// Those with the named slugs are changed, and some are added.
    BySlug {
        /// The changes, each with the slug that the schedule had before.
        changed: Vec<(String, ScheduleUpdate)>,
        /// What is added.
        added: Vec<NewSchedule>,
    },
}

impl Changes {
    /// Decides what becomes of the schedules `there` when an update has sent `sent`.
    ///
    /// # Errors
    /// [`Error::Unprocessable`] if it can't be told which schedules are meant, or a new one doesn't say when runs are due.
    pub(crate) fn new(there: &[DeploymentSchedule], sent: Option<&[ScheduleUpdate]>) -> Result<Self> {
        let slugs: Option<HashSet<&str>> = there.iter().map(|schedule| schedule.slug.as_deref()).collect();
        let Some(slugs) = slugs.filter(|slugs| !slugs.is_empty()) else {
            let Some(sent) = sent else { return Ok(Self::Nothing) };
            return sent.iter().map(made_of).collect::<Result<_>>().map(Self::Replaced);
        };
        let sent = sent.unwrap_or_default();
        if sent.iter().any(|schedule| schedule.slug.is_none()) {
            return Err(Error::Unprocessable(
                "Please provide a slug for each schedule in your request to ensure schedules are updated correctly."
                    .into(),
            ));
        }
        check_renames(&slugs, sent)?;
        let (mut changed, mut added) = (Vec::new(), Vec::new());
        for schedule in sent {
            let target = replaced_by(schedule).or(schedule.slug.as_deref()).unwrap_or_default();
            if slugs.contains(target) {
                changed.push((target.to_owned(), schedule.clone()));
            } else {
                added.push(made_of(schedule)?);
            }
        }
        Ok(Self::BySlug { changed, added })
    }

    /// Makes the changes at `now`.
    pub(crate) fn apply_to(self, deployment: &mut Deployment, now: Timestamp) {
        match self {
            Self::Nothing => {}
            Self::Replaced(new) => replace(deployment, new, now),
            Self::BySlug { changed, added } => {
                let places: Vec<(usize, ScheduleUpdate)> = changed
                    .into_iter()
                    .filter_map(|(slug, change)| {
                        let is_meant = |schedule: &DeploymentSchedule| schedule.slug.as_ref() == Some(&slug);
                        Some((deployment.schedules.iter().position(is_meant)?, change))
                    })
                    .collect();
                for (place, change) in places {
                    if let Some(schedule) = deployment.schedules.get_mut(place) {
                        change.apply_to(schedule, now);
                    }
                }
                add(deployment, with_ids(added), now);
            }
        }
    }
}

/// Returns the schedule that `sent` makes.
///
/// # Errors
/// [`Error::Unprocessable`] if it doesn't say when runs are due. Prefect leaves it out where it replaces schedules without
/// slugs, so that one that was only to be paused would be deleted.
fn made_of(sent: &ScheduleUpdate) -> Result<NewSchedule> {
    sent.as_new().ok_or_else(|| {
        Error::Unprocessable("Unable to create new deployment schedules without a schedule configuration.".into())
    })
}

/// Returns the slug that a schedule says to replace; an empty one counts for none.
fn replaced_by(schedule: &ScheduleUpdate) -> Option<&str> {
    schedule.replaces.as_deref().filter(|slug| !slug.is_empty())
}

/// Checks that no two schedules replace the same one, and that none takes the slug of one that stays.
fn check_renames(slugs: &HashSet<&str>, sent: &[ScheduleUpdate]) -> Result<()> {
    let mut replaced = HashSet::new();
    for target in sent.iter().filter_map(replaced_by) {
        if !replaced.insert(target) {
            let message = format!("Multiple schedules have 'replaces' targeting the same slug: {target}");
            return Err(Error::Unprocessable(message));
        }
    }
    for schedule in sent {
        let (Some(old), Some(new)) = (replaced_by(schedule), schedule.slug.as_deref()) else { continue };
        if !new.is_empty() && slugs.contains(new) && !replaced.contains(new) {
            return Err(Error::Unprocessable(format!(
                "Cannot rename schedule from '{old}' to '{new}': a schedule with slug '{new}' already exists."
            )));
        }
    }
    Ok(())
}
