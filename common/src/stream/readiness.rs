//! In which queue the runs of a deployment wait, noted for those who poll the queue ([`crate::store::readiness`]).

use super::Failures;
use crate::{
    api::Api,
    error::Result,
    model::Deployment,
    store::{Item, table::Subject},
};

/// Notes the queues of the deployments in `written`.
pub(super) async fn follow(api: &Api, written: &[(usize, &Item)], failures: &mut Failures) {
    for (place, item) in written {
        let is_deployment = matches!(Subject::of(&item.key), Some(Subject::Deployment(_)));
        if is_deployment
            && item.has_new_state()
            && let Err(error) = follow_one(api, item).await
        {
            failures.add(*place, error);
        }
    }
}

async fn follow_one(api: &Api, item: &Item) -> Result<()> {
    let deployment: Deployment = item.record()?;
    api.store.place_deployment(deployment.id, deployment.work_queue_id).await
}
