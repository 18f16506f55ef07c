//! `GET /csrf-token`: gives a client a token for its writes, and forgets the one before.

use axum::{extract::State, routing::get};
use common::{
    App, Error, Result,
    http::{Json, Query, Route},
    model::CsrfToken,
    store::csrf_tokens,
};
use serde::Deserialize;

/// The contract's `create_csrf_token`.
pub static ROUTE: Route =
    Route::get("create_csrf_token", "/csrf-token", || get(create_csrf_token)).accessing(csrf_tokens::RENEW);

#[derive(Debug, Deserialize)]
struct Asked {
    client: String,
}

async fn create_csrf_token(State(app): State<App>, Query(asked): Query<Asked>) -> Result<Json<CsrfToken>> {
    if !app.settings.csrf_protection_enabled {
        return Err(Error::Unprocessable("CSRF protection is disabled.".into()));
    }
    Ok(Json(app.store.renew_csrf_token(&asked.client, app.now(), app.settings.csrf_token_expiration).await?))
}
