//! Routes: declared once, beside their handlers, and the source of everything that knows about them.
//!
//! From a route come the Lambda binary, the local server, the OpenAPI document, the router of `cargo lambda watch`
//! and the infrastructure's template. Its name is the name of the binary, of the function and of the sample in
//! `events/`; its method and path are the contract's.

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::MethodRouter,
};

use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, predicate::SizeAbove},
};

use super::{LARGEST_BODY, authentication, boundary, contract_layer, cors, csrf, documents, unrouted};
use crate::{
    access,
    api::Api,
    contract::{Mount, Operation},
    store::{Needs, needs},
};

/// An HTTP method of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Method {
    Delete,
    Get,
    Patch,
    Post,
    Put,
}

impl Method {
    /// Returns the method's name in upper case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// An operation of the API and the handler that carries it out.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The operation's name: that of its binary, its function and its sample event.
    pub operation: &'static str,
    /// The method.
    pub method: Method,
    /// The path template under the API's base path ([`super::PREFIX`]), as the contract writes it.
    pub path: &'static str,
    /// Makes the service that carries the operation out.
    pub service: fn() -> MethodRouter<Api>,
    /// What it does with the table.
    pub needs: Needs,
}

impl Route {
    /// Declares a `GET` route, which reads items by their keys unless it says otherwise.
    pub const fn get(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Get, path, service, needs: Needs::READS }
    }

    /// Declares a `POST` route, which reads and writes items by their keys unless it says otherwise.
    pub const fn post(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Post, path, service, needs: Needs::WRITES }
    }

    /// Declares a `PATCH` route, which reads and writes items by their keys unless it says otherwise.
    pub const fn patch(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Patch, path, service, needs: Needs::WRITES }
    }

    /// Declares a `PUT` route, which reads and writes items by their keys unless it says otherwise.
    pub const fn put(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Put, path, service, needs: Needs::WRITES }
    }

    /// Declares a `DELETE` route, which reads and writes items by their keys unless it says otherwise.
    pub const fn delete(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Delete, path, service, needs: Needs::WRITES }
    }

    /// Declares what else the route does with the table.
    #[must_use]
    pub const fn needing(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// Returns the contract's operation of this method and path.
    pub fn contract(&self) -> Option<&'static Operation> {
        Operation::find(self.method.as_str(), self.path)
    }
}

/// Makes the service of a Lambda function's routes.
pub fn service<'r>(api: Api, routes: impl IntoIterator<Item = &'r Route>) -> Router {
    let routes: Vec<Route> = routes.into_iter().copied().collect();
    let service = guarded(&api, operations(&api, &routes));
    let sole = <[Route; 1]>::try_from(routes.as_slice()).ok().map(|[route]| route);
    let unrouted = unrouted::Unrouted::new(&api.settings.base_path, routes, false);
    around(api, service, sole, unrouted)
}

/// Makes the service of a whole server: its routes, the documents that describe them, and its websockets.
pub fn server<'r>(api: Api, routes: impl IntoIterator<Item = &'r Route>, websockets: Router<Api>) -> Router {
    let routes: Vec<Route> = routes.into_iter().copied().collect();
    let documented = operations(&api, &routes).merge(documents::service(Mount::Api(&api.settings.base_path), &routes));
    let service = guarded(&api, documented)
        // A websocket authenticates in its own handshake, after it is open.
        .merge(websockets)
        .merge(documents::service(Mount::Root, &routes).method_not_allowed_fallback(unrouted::method_not_allowed));
    let unrouted = unrouted::Unrouted::new(&api.settings.base_path, routes, true);
    around(api, service, None, unrouted)
}

fn operations(api: &Api, routes: &[Route]) -> Router<Api> {
    let have_roles = api.settings.access == access::Mode::Keys;
    let mut service = Router::new();
    for route in routes {
        let mut handler = (route.service)();
        if let Some(operation) = route.contract() {
            let state = (operation, api.settings.default_limit);
            handler = handler.layer(middleware::from_fn_with_state(state, contract_layer::validate));
        }
        handler = handler.layer(middleware::from_fn_with_state(route.needs, hold_to));
        if have_roles {
            let required = access::operations::required(route.method.as_str(), route.path);
            handler = handler.layer(middleware::from_fn_with_state(required, authentication::authorize));
        }
        let handler = handler
            .layer(middleware::map_response_with_state(*route, boundary::name_operation))
            .layer(middleware::from_fn(unrouted::refuse_head));
        service = service.route(&format!("{}{}", api.settings.base_path, route.path), handler);
    }
    service
}

/// Holds the handler to what its route declares to need.
async fn hold_to(State(needs): State<Needs>, request: Request, next: Next) -> Response {
    needs::within(needs, next.run(request)).await
}

/// Puts what every request of the API meets in front of `service`: authentication, the limit of a body, compression.
fn guarded(api: &Api, service: Router<Api>) -> Router<Api> {
    let service = service
        .fallback(unrouted::answer)
        .method_not_allowed_fallback(unrouted::method_not_allowed)
        .layer(axum::extract::DefaultBodyLimit::max(LARGEST_BODY))
        .layer(compression())
        .with_state(api.clone());
    // Around the router as a whole: axum adds `Allow` to what a layer inside of it answers in a route's place.
    let service = Router::new().fallback_service(service);
    match &api.settings.access {
        access::Mode::Open => service,
        access::Mode::Basic(_) | access::Mode::Keys => {
            service.layer(middleware::from_fn_with_state(api.clone(), authentication::authenticate))
        }
    }
}

/// Puts what every request meets around `service`: CORS, CSRF protection, the boundary.
fn around(api: Api, service: Router<Api>, sole: Option<Route>, unrouted: unrouted::Unrouted) -> Router {
    let service = service.layer(axum::Extension(unrouted)).with_state(api.clone());
    let mut service = Router::new()
        .fallback_service(service)
        .layer(middleware::from_fn_with_state(cors::Cors::new(&api.settings), cors::share));
    if api.settings.csrf_protection_enabled {
        service = service.layer(middleware::from_fn_with_state(api.clone(), csrf::protect));
    }
    service.layer(middleware::from_fn_with_state((api, sole), boundary::boundary))
}

/// The size from which answers are compressed for clients that take it, in bytes.
const COMPRESSED_FROM: u16 = 500;

/// Compresses the answers that upstream compresses, at the level that costs the least time.
fn compression() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(COMPRESSED_FROM))
}
