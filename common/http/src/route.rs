//! Routes: declared once, beside their handlers, and the source of everything that knows about them.
//!
//! From a route come the Lambda binary, the local server, the OpenAPI document, the router of `cargo lambda watch`
//! and the infrastructure's template. Its name is the name of the binary, of the function and of the sample in
//! `events/`; its method and path are the contract's.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::header::UPGRADE,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use tower::{ServiceExt, service_fn};
use tower_http::{
    CompressionLevel,
    compression::{CompressionLayer, predicate::SizeAbove},
};

use super::{
    authentication, boundary,
    contract_layer::{self, Contracted},
    cors, csrf, documents,
    endpoint::Endpoint,
    extract::{MeasuredQueue, ShippedData},
    lossy_path, unrouted,
};
use access::operations;
use contract::{Checks, Mount, Operation, ParameterCheck, TemplateCheck};
use domain::access::{Mode, Role};
use services::App;
use store::{TableAccess, access::Secrets};

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
    pub service: fn() -> MethodRouter<App>,
    /// What it does with the table.
    pub access: TableAccess,
    /// What its requests are validated with besides the contract.
    pub checks: Checks,
    /// Whether it reads what Prefect ships as data, which its function then has beside it.
    pub reads_assets: bool,
    /// Whether it asks the queue how many messages are in it.
    pub measures_queue: bool,
}

impl Route {
    const fn new(
        operation: &'static str,
        method: Method,
        path: &'static str,
        service: fn() -> MethodRouter<App>,
        access: TableAccess,
    ) -> Self {
        let checks = Checks { parameters: None, templates: None };
        Self { operation, method, path, service, access, checks, reads_assets: false, measures_queue: false }
    }

    /// Declares a `GET` route, which reads items by their keys unless it says otherwise.
    pub const fn get(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<App>) -> Self {
        Self::new(operation, Method::Get, path, service, TableAccess::READS)
    }

    /// Declares a `POST` route, which reads and writes items by their keys unless it says otherwise.
    pub const fn post(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<App>) -> Self {
        Self::new(operation, Method::Post, path, service, TableAccess::WRITES)
    }

    /// Declares a `PATCH` route, which reads and writes items by their keys unless it says otherwise.
    pub const fn patch(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<App>) -> Self {
        Self::new(operation, Method::Patch, path, service, TableAccess::WRITES)
    }

    /// Declares a `PUT` route, which reads and writes items by their keys unless it says otherwise.
    pub const fn put(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<App>) -> Self {
        Self::new(operation, Method::Put, path, service, TableAccess::WRITES)
    }

    /// Declares a `DELETE` route, which reads and writes items by their keys unless it says otherwise.
    pub const fn delete(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<App>) -> Self {
        Self::new(operation, Method::Delete, path, service, TableAccess::WRITES)
    }

    /// Declares what else the route does with the table.
    #[must_use]
    pub const fn accessing(self, access: TableAccess) -> Self {
        Self { access, ..self }
    }

    /// Declares what holds parameters against their schema, for an operation whose contract asks for that.
    #[must_use]
    pub const fn checking_parameters(self, check: ParameterCheck) -> Self {
        Self { checks: Checks { parameters: Some(check), ..self.checks }, ..self }
    }

    /// Declares what checks templates, for an operation whose contract asks for that.
    #[must_use]
    pub const fn checking_templates(self, check: TemplateCheck) -> Self {
        Self { checks: Checks { templates: Some(check), ..self.checks }, ..self }
    }

    /// Declares that the route reads what Prefect ships as data ([`super::extract::ShippedData`]).
    #[must_use]
    pub const fn reading_assets(self) -> Self {
        Self { reads_assets: true, ..self }
    }

    /// Declares that the route asks the queue how many messages are in it ([`super::extract::MeasuredQueue`]).
    #[must_use]
    pub const fn measuring_queue(self) -> Self {
        Self { measures_queue: true, ..self }
    }

    /// Returns the contract's operation of this method and path.
    pub fn contract(&self) -> Option<&'static Operation> {
        Operation::find(self.method.as_str(), self.path)
    }
}

/// Makes the service of a Lambda function's routes.
pub fn service<'r>(app: App, routes: impl IntoIterator<Item = &'r Route>) -> Router {
    let routes: Vec<Route> = routes.into_iter().copied().collect();
    let service = guarded(&app, service_of(&app, &routes));
    let sole = <[Route; 1]>::try_from(routes.as_slice()).ok().map(|[route]| route);
    let endpoints: Vec<Endpoint> = routes.iter().map(Endpoint::from).collect();
    let unrouted = unrouted::Unrouted::new(&app.settings.base_path, &endpoints, false);
    around(app, service, sole, unrouted)
}

/// What a server shows to people, beside the API.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Shows the operations at `/docs`, in place of the page that loads its scripts from a CDN, if there is another.
    pub docs: Option<MethodRouter>,
    /// Answers what is asked of neither the API nor a document.
    pub others: Router,
}

/// Makes the service of a whole server: its routes, the documents that describe them, its websockets, and its pages.
pub fn server<'r>(
    app: App,
    routes: impl IntoIterator<Item = &'r Route>,
    websockets: Router<App>,
    pages: Option<Pages>,
) -> Router {
    let routes: Vec<Route> = routes.into_iter().copied().collect();
    let endpoints: Vec<Endpoint> = routes.iter().map(Endpoint::from).collect();
    let operations = service_of(&app, &routes);
    whole(app, operations, &endpoints, websockets, pages)
}

/// Makes the service of what no route takes, for where each route has a service of its own.
///
/// It answers as [`server`] does, and of the operations knows no more than where they are: it redirects to them, names
/// the methods that they allow, and serves the documents that describe them.
pub fn fallback(app: App, pages: Pages) -> Router {
    whole(app, Router::new(), &Endpoint::all(), Router::new(), Some(pages))
}

/// Makes a server of the `operations` at the `endpoints`.
fn whole(
    app: App,
    operations: Router<App>,
    endpoints: &[Endpoint],
    websockets: Router<App>,
    pages: Option<Pages>,
) -> Router {
    let (docs, others) = pages.map(|pages| (pages.docs, pages.others)).unzip();
    let docs = docs.flatten();
    let documents = |mount| documents::service(mount, endpoints, docs.as_ref());
    let documented = operations.merge(documents(Mount::App(&app.settings.base_path)));
    let service = guarded(&app, documented);
    let service = match others {
        Some(others) => {
            let state = (Arc::from(app.settings.base_path.as_str()), others);
            service.layer(middleware::from_fn_with_state(state, prefer_pages))
        }
        None => service,
    };
    let service = beside_websockets(service, websockets, &app)
        .merge(documents(Mount::Root).method_not_allowed_fallback(unrouted::method_not_allowed));
    let unrouted = unrouted::Unrouted::new(&app.settings.base_path, endpoints, true);
    around(app, service, None, unrouted)
}

/// Puts `websockets` beside `service`, in front of what authenticates: a websocket does so in its own handshake.
///
/// A path may belong to both, for a worker may be called `connect`: only what asks for a websocket gets there.
fn beside_websockets(service: Router<App>, websockets: Router<App>, app: &App) -> Router<App> {
    let service: Router = service.with_state(app.clone());
    let websockets: Router = websockets.fallback_service(service.clone()).with_state(app.clone());
    Router::new().fallback_service(service_fn(move |request: Request| {
        let asks_for_websocket = request
            .headers()
            .get(UPGRADE)
            .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
        if asks_for_websocket { websockets.clone() } else { service.clone() }.oneshot(request)
    }))
}

/// Sends a request to the pages unless its path is below `base_path`, or that of a document with a slash behind it.
async fn prefer_pages(State((base_path, pages)): State<(Arc<str>, Router)>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_of_api = path.strip_prefix(&*base_path).is_some_and(|rest| rest.starts_with('/'));
    let is_document = path.strip_suffix('/').is_some_and(|path| documents::PATHS.contains(&path));
    if is_of_api || is_document { next.run(request).await } else { pages.oneshot(request).await.into_response() }
}

fn service_of(app: &App, routes: &[Route]) -> Router<App> {
    let have_roles = app.settings.access == Mode::Keys;
    let mut service = Router::new();
    for route in routes {
        let mut handler = (route.service)();
        if let Some(operation) = route.contract() {
            let contracted = Contracted {
                operation,
                page_limit: app.settings.default_limit,
                checks: route.checks,
                hides_data: route.access.secrets == Secrets::Seals,
                reads: operations::required(route.method.as_str(), route.path) == Some(Role::ReadOnly),
            };
            handler = handler.layer(middleware::from_fn_with_state(contracted, contract_layer::validate));
        }
        handler = handler.layer(middleware::from_fn_with_state(route.access, enforce_access));
        if route.reads_assets {
            handler = handler.layer(axum::Extension(ShippedData(app.assets.clone())));
        }
        if route.measures_queue {
            handler = handler.layer(axum::Extension(MeasuredQueue(app.queue.clone())));
        }
        if have_roles {
            let required = operations::required(route.method.as_str(), route.path);
            handler = handler.layer(middleware::from_fn_with_state(required, authentication::authorize));
        }
        let handler = handler
            .layer(middleware::map_response_with_state(*route, boundary::name_operation))
            .layer(middleware::from_fn(unrouted::refuse_head));
        service = service.route(&format!("{}{}", app.settings.base_path, route.path), handler);
    }
    service
}

/// Holds the handler to what its route declares to need.
async fn enforce_access(State(access): State<TableAccess>, request: Request, next: Next) -> Response {
    store::access::within(access, next.run(request)).await
}

/// Puts what every request of the API meets in front of `service`: authentication, compression.
fn guarded(app: &App, service: Router<App>) -> Router<App> {
    let service = service
        .fallback(unrouted::answer)
        .method_not_allowed_fallback(unrouted::method_not_allowed)
        .layer(compression())
        .with_state(app.clone());
    // Around the router as a whole: axum adds `Allow` to what a layer inside of it answers in a route's place.
    let service =
        Router::new().fallback_service(service).layer(middleware::map_response(unrouted::without_needless_allow));
    match &app.settings.access {
        Mode::Open => service,
        Mode::Basic(_) | Mode::Keys => {
            service.layer(middleware::from_fn_with_state(app.clone(), authentication::authenticate))
        }
    }
}

/// Puts what every request meets around `service`: CORS, CSRF protection, the boundary.
fn around(app: App, service: Router<App>, sole: Option<Route>, unrouted: unrouted::Unrouted) -> Router {
    let service = service.layer(axum::Extension(unrouted)).with_state(app.clone());
    let mut service = Router::new()
        .fallback_service(service)
        .layer(middleware::map_request(lossy_path::replace))
        .layer(middleware::from_fn_with_state(cors::Cors::new(&app.settings), cors::share));
    if app.settings.csrf_protection_enabled {
        service = service.layer(middleware::from_fn_with_state(app.clone(), csrf::protect));
    }
    service.layer(middleware::from_fn_with_state((app, sole), boundary::boundary))
}

/// The size from which answers are compressed for clients that take it, in bytes.
const COMPRESSED_FROM: u16 = 500;

/// Compresses the answers that Prefect compresses, at the level that costs the least time.
fn compression() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(COMPRESSED_FROM))
}
