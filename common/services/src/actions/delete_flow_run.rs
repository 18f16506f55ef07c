//! Deletes the flow run that the event is about.

use error::Error;
use store::table;

use super::{Acting, Carried, Failed, Report};
use crate::jobs::removals;

pub(super) async fn act(acting: &Acting<'_>, report: &mut Report) -> Result<Carried, Failed> {
    let app = acting.app;
    let id = acting.flow_run()?;
    report.target("flow-run", id);
    report.status(204);
    let (note, beside) = acting.note_beside(report)?;
    let deleted = app.store.delete_flow_run_with(id, app.now(), app.settings.longest_waits, &beside).await;
    match deleted {
        Ok(true) => {
            removals::within_request(app, [table::flow_run(id)]).await;
            Ok(Carried::Noted(note))
        }
        Ok(false) => Err(acting.refused(Error::missing("flow-run"), report)),
        Err(error) => Err(acting.refused(error, report)),
    }
}
