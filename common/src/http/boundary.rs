//! The boundary: every request is measured here, and leaves one line in the log.

use std::time::Instant;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};

use super::route::Route;
use crate::store::cost::{self, Cost};

/// The request header that asks for the explanation headers.
const EXPLAIN: &str = "x-proctor-explain";

/// Runs the request, logs its outcome and cost, and explains the cost to a caller who asks.
pub(super) async fn boundary(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let explain = request.headers().contains_key(EXPLAIN);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (mut response, cost) = cost::measured(next.run(request)).await;
    let operation = response.extensions().get::<Route>().map_or("none", |route| route.operation);
    tracing::info!(
        %method,
        path,
        operation,
        status = response.status().as_u16(),
        milliseconds = started.elapsed().as_secs_f64() * 1_000.0,
        store.round_trips = cost.round_trips,
        store.items_read = cost.items_read,
        store.read_units = cost.read_units,
        store.write_units = cost.write_units,
        "request"
    );
    if explain {
        explain_to(response.headers_mut(), &cost);
    }
    response
}

/// Tells the boundary which route answered.
pub(super) async fn name_operation(State(route): State<Route>, mut response: Response) -> Response {
    response.extensions_mut().insert(route);
    response
}

fn explain_to(headers: &mut HeaderMap, cost: &Cost) {
    let explained = [
        ("x-proctor-round-trips", cost.round_trips.to_string()),
        ("x-proctor-items-read", cost.items_read.to_string()),
        ("x-proctor-read-units", cost.read_units.to_string()),
        ("x-proctor-write-units", cost.write_units.to_string()),
    ];
    for (name, value) in explained {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
