//! Authentication: nobody gets further without what the server asks for; and authorization, where keys have roles.

use axum::{
    extract::{Request, State},
    http::header::AUTHORIZATION,
    middleware::Next,
    response::{IntoResponse, Response},
};

use access::{Caller, operations::PROBES};
use domain::access::Role;
use error::Error;
use services::App;

/// Refuses what is asked of the API without the right credentials.
pub(super) async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path().strip_prefix(&app.settings.base_path).filter(|path| path.starts_with('/'));
    let Some(path) = path else { return next.run(request).await };
    if PROBES.contains(&(request.method().as_str(), path)) {
        return next.run(request).await;
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    match app.gate().caller_of_header(header).await {
        Ok(Some(caller)) => {
            observation::annotate(|notes| notes.caller = caller.key);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Ok(None) => unauthorized(),
        Err(error) => error.into_response(),
    }
}

/// Refuses an operation that needs a more powerful role than the caller's.
pub(super) async fn authorize(State(required): State<Option<Role>>, request: Request, next: Next) -> Response {
    let Some(required) = required else { return next.run(request).await };
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.role >= required => next.run(request).await,
        Some(caller) => {
            let message = format!("This needs an API key with the role {required}; yours has {}", caller.role);
            Error::Forbidden(message).into_response()
        }
        None => unauthorized(),
    }
}

fn unauthorized() -> Response {
    Error::Unauthorized("Unauthorized".into()).into_response()
}
