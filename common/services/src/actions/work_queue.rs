//! Pauses and resumes a work queue.

use domain::model::automation::OfWorkQueue;
use store::work_queues::{QueueName, Ranks};

use super::{Acting, Carried, Failed, Report, Switch};
use crate::work_queue_update::WorkQueueUpdate;

pub(super) async fn act(
    acting: &Acting<'_>,
    of: &OfWorkQueue,
    switch: Switch,
    report: &mut Report,
) -> Result<Carried, Failed> {
    let id = acting.id(of.selected(), "work queue")?;
    report.target("work-queue", id);
    report.status(204);
    let (note, beside) = acting.note_beside(report)?;
    let update = WorkQueueUpdate::pausing(switch == Switch::Pause);
    let change = |queue: &mut _| update.apply(queue, acting.app.now());
    let outcome = acting.app.store.update_work_queue(QueueName::Id(id), Ranks::Shared, change, &beside).await;
    outcome.map(|()| Carried::Noted(note)).map_err(|error| acting.refused(error, report))
}
