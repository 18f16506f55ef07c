//! Pauses and resumes an automation.

use domain::model::automation::OfAutomation;

use super::{Acting, Carried, Failed, Report, Switch};
use crate::automation_switch;

pub(super) async fn act(
    acting: &Acting<'_>,
    of: &OfAutomation,
    switch: Switch,
    report: &mut Report,
) -> Result<Carried, Failed> {
    let id = acting.id(of.selected(), "automation")?;
    report.target("automation", id);
    report.status(204);
    let (note, beside) = acting.note_beside(report)?;
    let change = automation_switch::switch(Some(switch == Switch::Resume), acting.app.now());
    let outcome = acting.app.store.update_automation(id, change, &beside).await;
    outcome.map(|_| Carried::Noted(note)).map_err(|error| acting.refused(error, report))
}
