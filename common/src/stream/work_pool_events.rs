//! The events of work pools, queues and the readiness of deployments, which are kept with what they tell of
//! ([`crate::work_pool_events`], [`crate::deployment_events`]).

use crate::{
    error::Result,
    model::Event,
    store::{
        Item,
        readiness::Readiness,
        table::Subject,
        work_pools::{KeptWorkPool, LastEvents},
        work_queues::KeptWorkQueue,
    },
};

/// Returns the events of a change of a pool, queue or readiness; none for any other change.
pub(super) fn events_of(item: &Item) -> Result<Vec<Event>> {
    Ok(match Subject::of(&item.key) {
        Some(Subject::WorkPool(_)) => item.record::<KeptWorkPool>()?.events,
        Some(Subject::WorkQueue(_)) => item.record::<KeptWorkQueue>()?.events,
        Some(Subject::DeletedWorkPool(_) | Subject::DeletedWorkQueue(_)) => item.record::<LastEvents>()?.events,
        Some(Subject::Readiness(_)) => item.record::<Readiness>()?.events,
        _ => Vec::new(),
    })
}
