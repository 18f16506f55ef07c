//! Routes: declared once, beside their handlers, and the source of everything that knows about them.
//!
//! From a route come the Lambda binary, the local server, the OpenAPI document, the router of `cargo lambda watch`
//! and the infrastructure's template. Its name is the name of the binary, of the function and of the sample in
//! `events/`; its method and path are the contract's.

use axum::{Router, middleware, routing::MethodRouter};

use super::{LARGEST_BODY, PREFIX, boundary, contract_layer, csrf, unrouted};
use crate::{api::Api, contract::Operation};

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
    /// The path template under [`PREFIX`], as the contract writes it.
    pub path: &'static str,
    /// Makes the service that carries the operation out.
    pub service: fn() -> MethodRouter<Api>,
}

impl Route {
    /// Declares a `GET` route.
    pub const fn get(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Get, path, service }
    }

    /// Declares a `POST` route.
    pub const fn post(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Post, path, service }
    }

    /// Declares a `PATCH` route.
    pub const fn patch(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Patch, path, service }
    }

    /// Declares a `PUT` route.
    pub const fn put(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Put, path, service }
    }

    /// Declares a `DELETE` route.
    pub const fn delete(operation: &'static str, path: &'static str, service: fn() -> MethodRouter<Api>) -> Self {
        Self { operation, method: Method::Delete, path, service }
    }

    /// Returns the contract's operation of this method and path.
    pub fn contract(&self) -> Option<&'static Operation> {
        Operation::find(self.method.as_str(), self.path)
    }
}

/// Makes the service of `routes`: of one in a Lambda function, of all in the local server.
pub fn service<'r>(api: Api, routes: impl IntoIterator<Item = &'r Route>) -> Router {
    let mut templates = Vec::new();
    let mut service = Router::new();
    for route in routes {
        templates.push(*route);
        let mut handler = (route.service)();
        if let Some(operation) = route.contract() {
            handler = handler.layer(middleware::from_fn_with_state(operation, contract_layer::validate));
        }
        service = service.route(&format!("{PREFIX}{}", route.path), handler.layer(axum::Extension(*route)));
    }
    let unrouted = unrouted::Unrouted::new(templates);
    let mut service = service
        .fallback(unrouted::answer)
        .method_not_allowed_fallback(unrouted::method_not_allowed)
        .layer(axum::Extension(unrouted))
        .layer(axum::extract::DefaultBodyLimit::max(LARGEST_BODY));
    if api.settings.csrf_protection_enabled {
        service = service.layer(middleware::from_fn_with_state(api.clone(), csrf::protect));
    }
    service.layer(middleware::from_fn(boundary::boundary)).with_state(api)
}
