//! `POST /dead_letters/{id}/redrive`: asks that work that failed be tried again; where it succeeds, its letter is gone.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Json, Path, Route, extract::Id},
    model::{DeadLetter, DeadLetterId},
    store::TableAccess,
};

/// Our own `redrive_dead_letter`.
pub static ROUTE: Route =
    Route::post("redrive_dead_letter", "/dead_letters/{id}/redrive", || post(redrive)).accessing(TableAccess::WRITES);

async fn redrive(State(app): State<App>, Path(path): Path<Id<DeadLetterId>>) -> Result<(StatusCode, Json<DeadLetter>)> {
    Ok((StatusCode::ACCEPTED, Json(app.store.redrive_dead_letter(path.id, app.now()).await?)))
}
