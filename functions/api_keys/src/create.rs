//! `POST /api_keys`: makes an API key, which is in the answer and never shown again.

use axum::{
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderName},
    },
    routing::post,
};
use common::{
    App, Error, Result,
    domain::access::{Mode, Role},
    http::{Body, Json, Route},
    model::ApiKey,
    store::TableAccess,
};
use serde::{Deserialize, Serialize};

use crate::response::ApiKeyResponse;

/// Our own `create_api_key`.
pub static ROUTE: Route = Route::post("create_api_key", "/api_keys", || post(create)).accessing(TableAccess::WRITES);

#[derive(Debug, Deserialize)]
struct ApiKeyCreate {
    name: String,
    role: Role,
    /// For how many seconds it works; without, until it is revoked.
    expires_in: Option<u32>,
}

/// A key with its secret. It has no `Debug`, so that no log has it.
#[derive(Serialize)]
struct NewApiKey {
    #[serde(flatten)]
    record: ApiKeyResponse,
    key: String,
}

/// No proxy and no browser stores the answer.
const NOT_STORED: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

async fn create(
    State(app): State<App>,
    Body(body): Body<ApiKeyCreate>,
) -> Result<(StatusCode, [(HeaderName, &'static str); 1], Json<NewApiKey>)> {
    // Where everybody is an administrator, or everybody who knows the one password, a key would open nothing now, and
    // everything to whoever made it once the server asks for keys.
    if app.settings.access != Mode::Keys {
        return Err(Error::Conflict("This server asks for no API keys, so a key would open nothing".into()));
    }
    let now = app.now();
    let expiration = body.expires_in.map(|seconds| now.plus_seconds(seconds.into()));
    let (record, key) = ApiKey::mint(body.name, body.role, expiration, now)?;
    app.store.add_api_key(&record).await?;
    Ok((StatusCode::CREATED, NOT_STORED, Json(NewApiKey { record: ApiKeyResponse::new(record, now), key })))
}
