//! `PATCH /v2/concurrency_limits/{id_or_name}`: changes a concurrency limit.

use axum::{extract::State, http::StatusCode, routing::patch};
use common::{
    App, Error, Result,
    http::{Path, Route, Sent},
    store::commit::retry_on_conflict,
};
use serde::Deserialize;

use crate::path::IdOrName;

/// The contract's `update_concurrency_limit_v2`.
pub static ROUTE: Route =
    Route::patch("update_concurrency_limit_v2", "/v2/concurrency_limits/{id_or_name}", || patch(update));

/// What the client sent; a null is no value for any of these.
#[derive(Debug, Deserialize)]
struct LimitUpdate {
    #[serde(default, deserialize_with = "sent")]
    active: Option<Option<bool>>,
    #[serde(default, deserialize_with = "sent")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "sent")]
    limit: Option<Option<i64>>,
    #[serde(default, deserialize_with = "sent")]
    active_slots: Option<Option<i64>>,
    #[serde(default, deserialize_with = "sent")]
    denied_slots: Option<Option<i64>>,
    #[serde(default, deserialize_with = "sent")]
    slot_decay_per_second: Option<Option<f64>>,
}

fn sent<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

async fn update(
    State(app): State<App>,
    Path(path): Path<IdOrName>,
    Sent(sent): Sent<LimitUpdate>,
) -> Result<StatusCode> {
    retry_on_conflict(|| async {
        let found = path.limit(&app).await?;
        let mut limit = found.record.clone();
        set(&mut limit.active, sent.active.as_ref())?;
        set(&mut limit.name, sent.name.as_ref())?;
        set(&mut limit.limit, sent.limit.as_ref())?;
        set(&mut limit.active_slots, sent.active_slots.as_ref())?;
        set(&mut limit.denied_slots, sent.denied_slots.as_ref())?;
        set(&mut limit.slot_decay_per_second, sent.slot_decay_per_second.as_ref())?;
        limit.updated = app.now();
        app.store.update_concurrency_limit(&found.record, &limit, found.version).await
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes over what was sent.
///
/// # Errors
/// [`Error::Conflict`] for a null, which Prefect's database refuses.
fn set<T: Clone>(field: &mut T, sent: Option<&Option<T>>) -> Result<()> {
    match sent {
        None => {}
        Some(Some(value)) => field.clone_from(value),
        Some(None) => return Err(Error::integrity_conflict()),
    }
    Ok(())
}
