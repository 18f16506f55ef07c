//! Resumes the flow run that the event is about.

use domain::{
    model::Object,
    orchestration::{Client, Verdict},
};
use error::Error;

use super::{Acting, Carried, Failed, Report};
use crate::flow_run_resumption::{self, Resumption};

pub(super) async fn act(acting: &Acting<'_>, report: &mut Report) -> Result<Carried, Failed> {
    let id = acting.flow_run()?;
    report.target("flow-run", id);
    let (note, beside) = acting.note_beside(report)?;
    let resumption = flow_run_resumption::resume(acting.app, id, Object::new(), Client::default(), beside).await;
    let resumption = match resumption {
        // Prefect tells of nothing here: its worker meets an exception.
        Err(error @ Error::NoSuchRun(_)) => return Err(acting.refused(error, &mut Report::default())),
        outcome => outcome.map_err(|error| acting.refused(error, report))?,
    };
    let verdict = match &resumption {
        Resumption::Refused { details, .. } => details,
        Resumption::Proposed(outcome) => &outcome.verdict,
    };
    match verdict {
        Verdict::Accept => Ok(Carried::Noted(note)),
        Verdict::Reject { reason } | Verdict::Abort { reason } | Verdict::Wait { reason, .. } => {
            Err(Failed::For(format!("Failed to resume flow run: {reason}")))
        }
    }
}
