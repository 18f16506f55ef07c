//! `PATCH /block_types/{id}`: changes how a block type is shown, also one that is protected.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Result,
    http::{Path, Route, Sent, extract::Id},
    model::{BlockType, BlockTypeId, Timestamp, block_type::unescaped},
    patch::Patch,
};
use serde::Deserialize;

/// The contract's `update_block_type`.
pub static ROUTE: Route = Route::patch("update_block_type", "/block_types/{id}", || patch(update));

/// What the client sent (contract schema `BlockTypeUpdate`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BlockTypeUpdate {
    logo_url: Patch<String>,
    documentation_url: Patch<String>,
    description: Patch<String>,
    code_example: Patch<String>,
}

async fn update(
    State(app): State<App>,
    Path(path): Path<Id<BlockTypeId>>,
    Sent(body): Sent<BlockTypeUpdate>,
) -> Result<StatusCode> {
    let now = app.now();
    app.store.update_if_changed(path.id, |block_type| body.apply(block_type, now)).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl BlockTypeUpdate {
    /// Changes `block_type` at `now`, unless it is so already.
    ///
    /// A text that was escaped when the type was made is the same as the text that was sent then: each client that saves a
    /// block sends the texts of its type along.
    #[allow(clippy::unnecessary_wraps, reason = "the store's update takes changes that may fail")]
    fn apply(&self, block_type: &mut BlockType, now: Timestamp) -> Result<()> {
        let before = block_type.clone();
        self.logo_url.set_or_clear(&mut block_type.logo_url);
        self.documentation_url.set_or_clear(&mut block_type.documentation_url);
        set_text(&self.description, &mut block_type.description);
        set_text(&self.code_example, &mut block_type.code_example);
        if *block_type != before {
            block_type.updated = now;
        }
        Ok(())
    }
}

fn set_text(sent: &Patch<String>, text: &mut Option<String>) {
    let is_the_same = sent.value().zip(text.as_ref()).is_some_and(|(sent, text)| unescaped(sent) == unescaped(text));
    if !is_the_same {
        sent.set_or_clear(text);
    }
}
