//! Pauses and resumes a work pool.

use domain::model::automation::OfWorkPool;
use serde_json::json;

use super::{Acting, Carried, Failed, Report, Switch};
use crate::work_pool_update::WorkPoolUpdate;

pub(super) async fn act(
    acting: &Acting<'_>,
    of: &OfWorkPool,
    switch: Switch,
    report: &mut Report,
) -> Result<Carried, Failed> {
    let id = acting.id(of.selected(), "work pool")?;
    let store = &acting.app.store;
    let found = store.work_pool_by_id(id).await?;
    let pool = found.ok_or_else(|| Failed::For(format!("Work pool {id} not found")))?.record.pool;
    report.relate(&json!({
        "prefect.resource.id": format!("prefect.work-pool.{id}"),
        "prefect.resource.name": pool.name,
        "prefect.resource.role": "target",
    }));
    report.status(204);
    let (note, beside) = acting.note_beside(report)?;
    let update = WorkPoolUpdate::pausing(switch == Switch::Pause);
    let change = |pool: &mut _, is_served| update.apply(pool, is_served, acting.app.now());
    let outcome = store.update_work_pool(&pool.name, |pool| update.resumes(pool), change, &beside).await;
    outcome.map(|()| Carried::Noted(note)).map_err(|error| acting.refused(error, report))
}
