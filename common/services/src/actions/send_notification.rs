//! Notifies somebody.

use domain::model::automation::SendNotification;
use error::Error;

use super::{Acting, Carried, Failed, Report, block, context, outward};

/// The capability of blocks that notify.
pub(super) const NOTIFY: &str = "notify";

pub(super) async fn act(
    acting: &Acting<'_>,
    notification: &SendNotification,
    report: &mut Report,
) -> Result<Carried, Failed> {
    let found = block::load(acting, notification.block_document_id, report).await?;
    if !found.block_schema.capabilities.iter().any(|capability| capability == NOTIFY) {
        return Err(Failed::For("The referenced block was not a notification block".into()));
    }
    block::relate(acting, &found, report).await?;
    let templates = [notification.subject.as_str(), notification.body.as_str()];
    let [subject, body] = context::rendered(acting, templates, report).await?;
    let invocation = acting.triggered.invocation();
    let sent = match &acting.app.outward {
        Some(outward) => outward.notify(&found.block_type.slug, &found.data, &subject, &body, invocation).await,
        None => Err(outward::nobody()),
    };
    match sent {
        Ok(()) => Ok(Carried::Done),
        Err(failed) if block::is_tried_again(acting, &failed) => {
            Err(Failed::Later(Error::Unavailable(format!("a notification can't be sent: {}", failed.reason))))
        }
        Err(failed) => {
            report.detail("notification_log", failed.reason);
            Err(Failed::For("Notification failed".into()))
        }
    }
}
