//! The block by which an action calls a webhook or notifies somebody.

use domain::model::{BlockDocumentId, BlockDocumentResponse, Event};
use error::{Error, Result};
use serde_json::json;

use super::{Acting, Failed, Report, outward::CallFailed};
use crate::{
    blocks::answers::{self, Show},
    event_ingestion,
};

/// For how many seconds after the firing a call that failed for a passing reason is made again.
const TRIED_AGAIN_FOR: f64 = 120.0;

/// Reads a block with its secrets, and tells that it was loaded, as Prefect does.
///
/// # Errors
/// [`Failed::For`] if there is none.
pub(super) async fn load(
    acting: &Acting<'_>,
    id: BlockDocumentId,
    report: &mut Report,
) -> Result<BlockDocumentResponse, Failed> {
    match answers::one(acting.app, id, Show::Secrets).await {
        Ok(block) => Ok(block),
        // Only here Prefect tells no status.
        Err(error @ Error::NotFound(_)) => Err(acting.refused(error, &mut report.clone())),
        Err(error) => Err(acting.refused(error, report)),
    }
}

/// Relates the events to a block, and tells that it was loaded.
pub(super) async fn relate(acting: &Acting<'_>, block: &BlockDocumentResponse, report: &mut Report) -> Result<()> {
    let (id, slug) = (block.id, &block.block_type.slug);
    let resource =
        json!({"prefect.resource.id": format!("prefect.block-document.{id}"), "prefect.resource.name": block.name});
    let block_type =
        json!({"prefect.resource.id": format!("prefect.block-type.{slug}"), "prefect.resource.role": "block-type"});
    report.relate(&json!({
        "prefect.resource.id": format!("prefect.block-document.{id}"),
        "prefect.resource.role": "block",
        "prefect.resource.name": block.name,
    }));
    report.relate(&block_type);
    let loaded: Event = serde_json::from_value(json!({
        "occurred": acting.app.now(),
        "event": format!("prefect.block.{slug}.loaded"),
        "resource": resource,
        "related": [block_type],
        "payload": {},
        "id": acting.triggered.told_by("block loaded"),
    }))?;
    event_ingestion::keep(acting.app, &[loaded.receive(acting.app.now())]).await
}

/// Says whether a call that failed is made again later.
pub(super) fn is_tried_again(acting: &Acting<'_>, failed: &CallFailed) -> bool {
    let since = acting.app.now().seconds_since(acting.triggered.firing.firing.triggered);
    failed.is_passing && since < TRIED_AGAIN_FOR
}
