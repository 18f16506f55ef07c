//! The events of work pools, queues and the readiness of deployments, which are kept with what they tell of
//! ([`domain::events::work_pools`], [`domain::events::deployments`]).

use domain::model::Event;
use error::Result;
use store::{
    Item, deployment_polling::Readiness, table::Subject, work_pools::StoredWorkPool, work_queues::StoredWorkQueue,
};

/// Returns the events of a change of a pool, queue or readiness; none for any other change.
pub(super) fn events_of(item: &Item) -> Result<Vec<Event>> {
    Ok(match Subject::of(&item.key) {
        Some(Subject::WorkPool(_)) => item.record::<StoredWorkPool>()?.events,
        Some(Subject::WorkQueue(_)) => item.record::<StoredWorkQueue>()?.events,
        Some(Subject::Readiness(_)) => item.record::<Readiness>()?.events,
        _ => Vec::new(),
    })
}
