//! What can be said of actions before anything happens: when their automation is saved.
//!
//! Prefect's server finds out when the action is due. Here an action that can never be carried out is refused.

use domain::model::{BlockDocument, BlockDocumentId, BlockSchema, BlockType, automation::Action};
use error::{Error, Result};

use super::{call_webhook::WEBHOOK, send_notification::NOTIFY};
use crate::App;

/// Checks the blocks by which `actions` notify and call.
///
/// A block that is not there is let through, as is one that may notify and that this server can't send by; the log
/// tells.
///
/// # Errors
/// [`Error::Unprocessable`] for a block that can neither here nor in Prefect do what it is for, and those of the store.
pub async fn check(app: &App, actions: &[&Action]) -> Result<()> {
    for action in actions {
        match action {
            Action::SendNotification(notification) => check_notification(app, notification.block_document_id).await?,
            Action::CallWebhook(call) => check_webhook(app, call.block_document_id).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn check_notification(app: &App, id: BlockDocumentId) -> Result<()> {
    let Some((document, slug)) = block(app, id).await? else { return Ok(()) };
    let schema = app.store.find::<BlockSchema>(document.block_schema_id).await?;
    let Some(schema) = schema else { return Ok(()) };
    if !schema.record.capabilities.iter().any(|capability| capability == NOTIFY) {
        return Err(refused(&document, &slug, "send notifications"));
    }
    if app.outward.as_ref().is_some_and(|outward| !outward.can_notify(&slug)) {
        tracing::warn!(block = %id, slug, "an automation notifies by a block that needs Python");
    }
    Ok(())
}

async fn check_webhook(app: &App, id: BlockDocumentId) -> Result<()> {
    match block(app, id).await? {
        Some((document, slug)) if slug != WEBHOOK => Err(refused(&document, &slug, "be called as a webhook")),
        _ => Ok(()),
    }
}

/// Reads a block, without its data, and its type's slug.
async fn block(app: &App, id: BlockDocumentId) -> Result<Option<(BlockDocument, String)>> {
    let Some(document) = app.store.find::<BlockDocument>(id).await? else {
        tracing::warn!(block = %id, "an automation has an action by a block that is not there");
        return Ok(None);
    };
    let document = document.record;
    let block_type = app.store.find::<BlockType>(document.block_type_id).await?;
    Ok(block_type.map(|found| (document, found.record.slug)))
}

fn refused(document: &BlockDocument, slug: &str, what: &str) -> Error {
    let name = &document.name;
    Error::Unprocessable(format!("Error creating automation: the block '{name}' of the type '{slug}' can't {what}."))
}
