//! The boundary: every request is measured here, and leaves one line in the log.

use std::time::Instant;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use lambda_http::RequestExt;
use uuid::Uuid;

use super::route::Route;
use observation::{self, HttpRequest, Outcome, Report};
use services::App;
use store::cost::{self, Cost};

/// The request header that asks for the explanation headers.
const EXPLAIN: &str = "x-proctor-explain";

/// Runs the request, tells its outcome and cost, and explains the cost to a caller who asks.
///
/// `sole` is the only route that is served, if there is but one: then it is known also of what never reached it.
pub(super) async fn boundary(
    State((app, sole)): State<(App, Option<Route>)>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let explain = request.headers().contains_key(EXPLAIN);
    let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
    let invocation = request.lambda_context_ref().map(|context| context.request_id.clone());
    let ((mut response, cost), mut context) = observation::observed(cost::measured(next.run(request))).await;
    let route = response.extensions().get::<Route>().copied().or(sole);
    context.run =
        context.run.or_else(|| route.and_then(|route| run_of(&route, path.strip_prefix(&app.settings.base_path)?)));
    let status = response.status().as_u16();
    let report = Report {
        request_id: invocation.unwrap_or_else(|| Uuid::new_v4().to_string()),
        operation: route.map_or("none", |route| route.operation),
        request: Some(HttpRequest { method, path, status }),
        outcome: Outcome::of_status(status),
        latency: started.elapsed(),
        cost,
        context,
    };
    report.emit(app.settings.reports, &app.settings.table);
    if explain {
        explain_to(response.headers_mut(), &report.cost);
    }
    response
}

/// Tells the boundary which route answered.
pub(super) async fn name_operation(State(route): State<Route>, mut response: Response) -> Response {
    response.extensions_mut().insert(route);
    response
}

/// Returns the run that a path of `route` names, which is given from behind the base path.
fn run_of(route: &Route, path: &str) -> Option<Uuid> {
    let of_runs = ["/flow_runs/{id}", "/task_runs/{id}"].iter().any(|runs| route.path.starts_with(runs));
    let id = path.split('/').nth(2)?;
    Uuid::try_parse(id).ok().filter(|_| of_runs)
}

fn explain_to(headers: &mut HeaderMap, cost: &Cost) {
    let explained = [
        ("x-proctor-round-trips", cost.round_trips.to_string()),
        ("x-proctor-items-read", cost.items_read.to_string()),
        ("x-proctor-read-units", cost.read_units.to_string()),
        ("x-proctor-write-units", cost.write_units.to_string()),
        ("x-proctor-plan", cost.explained().unwrap_or_default()),
    ];
    for (name, value) in explained {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::MethodRouter;

    use super::*;

    #[test]
    fn a_path_may_name_its_run() {
        let id = "01980000-0000-7000-8000-000000000001";
        let run = |template, path: &str| run_of(&Route::get("x", template, MethodRouter::new), path);
        let found = Uuid::try_parse(id).ok();
        assert_eq!(run("/flow_runs/{id}/set_state", &format!("/flow_runs/{id}/set_state")), found);
        assert_eq!(run("/task_runs/{id}", &format!("/task_runs/{id}")), found);
        assert_eq!(run("/flows/{id}", &format!("/flows/{id}")), None);
        assert_eq!(run("/flow_runs/filter", "/flow_runs/filter"), None);
        assert_eq!(run("/flow_runs/{id}", "/flow_runs/x"), None);
    }
}
