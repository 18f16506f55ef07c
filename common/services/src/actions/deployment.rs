//! Pauses and resumes a deployment.

use domain::model::automation::OfDeployment;

use super::{Acting, Carried, Failed, Report, Switch};
use crate::deployment_pauses;

pub(super) async fn act(
    acting: &Acting<'_>,
    of: &OfDeployment,
    switch: Switch,
    report: &mut Report,
) -> Result<Carried, Failed> {
    let id = acting.id(of.selected(), "deployment")?;
    report.target("deployment", id);
    report.status(200);
    let (note, beside) = acting.note_beside(report)?;
    let outcome = match switch {
        Switch::Pause => deployment_pauses::pause(acting.app, id, &beside).await,
        Switch::Resume => deployment_pauses::resume(acting.app, id, &beside).await,
    };
    outcome.map(|()| Carried::Noted(note)).map_err(|error| acting.refused(error, report))
}
