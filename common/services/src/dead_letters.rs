//! What becomes of work that fails.
//!
//! What fails for a passing reason (the store is throttled, or its disk is full) waits and is tried again, however long that
//! takes. What fails for good is put aside as a dead letter, with its content and the reason, and keeps nothing else from
//! being done. Somebody looks at it, and has it tried again or deletes it.

use error::{Error, Result};
use serde_json::{Value, json};

use domain::model::{DeadLetter, DeadLetterId, dead_letter::DeadLetterKind};
use observation::annotate;
use store::Item;

use crate::{
    App,
    jobs::{
        self,
        queue::{Message, Queue},
    },
    stream::{self, Change},
};

/// Puts a message aside that failed for good.
///
/// # Errors
/// Those of the store; the message is not lost, as long as it is not acknowledged.
pub async fn put_message_aside(app: &App, message: &Message, reason: &str) -> Result<()> {
    let letter = DeadLetter::new(DeadLetterKind::Message, serde_json::to_value(message)?, reason, app.now());
    put_aside(app, letter).await
}

/// Puts a text aside that came as a message and is none.
///
/// # Errors
/// Those of the store; the message is not lost, as long as it is not acknowledged.
pub async fn put_text_aside(app: &App, text: &str, reason: &str) -> Result<()> {
    put_aside(app, DeadLetter::new(DeadLetterKind::Message, text.into(), reason, app.now())).await
}

/// Puts a change aside that failed for good: the item before and after it, or what fits of that.
///
/// # Errors
/// Those of the store; the change is not lost, as long as it is not acknowledged.
pub async fn put_change_aside(app: &App, change: &Change, reason: &str) -> Result<()> {
    let Change { key, before, after } = change;
    // Without its images a change is read from the table again when it is tried again.
    for content in [
        json!({ "key": key, "before": before, "after": after }),
        json!({ "key": key, "after": after }),
        json!({ "key": key, "is_cut": true, "removed": after.is_none() }),
    ] {
        let letter = DeadLetter::new(DeadLetterKind::Change, content, reason, app.now());
        if app.store.fits(&letter)? {
            return put_aside(app, letter).await;
        }
    }
    Err(Error::Internal("a key is larger than an item".into()))
}

async fn put_aside(app: &App, letter: DeadLetter) -> Result<()> {
    let (id, kind, reason) = (letter.id, letter.kind, letter.reason.clone());
    app.store.put_aside(letter).await?;
    annotate(|context| context.dead_letters += 1);
    tracing::error!(%id, ?kind, reason, "work failed for good and is put aside");
    Ok(())
}

/// Does the work of the dead letter `id` again, if somebody asked for that; where it succeeds, the letter is gone.
///
/// # Errors
/// Those that pass; where it fails for good again, the letter says why and stays.
pub async fn redrive(app: &App, queue: &Queue, id: DeadLetterId) -> Result<()> {
    let Some(found) = app.store.dead_letter(id).await? else { return Ok(()) };
    if found.record.redrive.is_none() {
        return Ok(());
    }
    let done = redo(app, queue, found.record.kind, found.record.content.clone()).await;
    match done {
        Ok(()) => app.store.settle_dead_letter(&found).await,
        Err(error) if error.is_passing() => Err(error),
        Err(error) => {
            let DeadLetter { kind, content, created, .. } = found.record;
            let again = DeadLetter::new(kind, content, &error.to_string(), app.now());
            app.store.put_aside(DeadLetter { id, created, ..again }).await
        }
    }
}

async fn redo(app: &App, queue: &Queue, kind: DeadLetterKind, content: Value) -> Result<()> {
    match kind {
        DeadLetterKind::Message => {
            let message: Message = serde_json::from_value(content)?;
            if let Message::BulkStep { operation, part, .. } = &message {
                jobs::bulk::take_up(app, *operation, *part).await?;
            }
            jobs::carry_out(app, queue, &message).await
        }
        DeadLetterKind::Change => stream::consume_alone(app, queue, &change(app, content).await?).await,
    }
}

/// Reads the change that is the content of a dead letter.
async fn change(app: &App, mut content: Value) -> Result<Change> {
    let key = serde_json::from_value(content["key"].take())?;
    let image = |image: Value| Ok::<Option<Item>, Error>(serde_json::from_value(image)?);
    let (before, mut after) = (image(content["before"].take())?, image(content["after"].take())?);
    if content["is_cut"] == true && content["removed"] != true {
        after = app.store.get_item(&key).await?;
    }
    Ok(Change { key, before, after })
}
