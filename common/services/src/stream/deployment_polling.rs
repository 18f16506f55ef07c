//! In which queue the runs of a deployment wait, noted for those who poll the queue ([`store::deployment_polling`]).

use super::Failures;
use domain::model::Deployment;
use error::Result;
use store::{Item, table::Subject};

use crate::App;

/// Notes the queues of the deployments in `written`.
pub(super) async fn follow(app: &App, written: &[(usize, &Item)], failures: &mut Failures) {
    for (place, item) in written {
        let is_deployment = matches!(Subject::of(&item.key), Some(Subject::Deployment(_)));
        if is_deployment
            && item.is_announced()
            && let Err(error) = follow_one(app, item).await
        {
            failures.add(*place, error);
        }
    }
}

async fn follow_one(app: &App, item: &Item) -> Result<()> {
    let deployment: Deployment = item.record()?;
    app.store.place_deployment(deployment.id, deployment.work_queue_id).await
}
