//! `POST /deployments/{id}/schedule`: makes the runs of a deployment's schedules, in the past too.

use axum::{extract::State, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Path, Route, extract::Id},
    model::{DeploymentId, Timestamp},
    scheduler::{self, Limits},
};
use serde::Deserialize;

/// The contract's `schedule_deployment`.
pub static ROUTE: Route = Route::post("schedule_deployment", "/deployments/{id}/schedule", || post(schedule));

#[derive(Debug, Deserialize)]
struct Scheduled {
    start_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    min_time: Option<f64>,
    min_runs: Option<i64>,
    max_runs: Option<i64>,
}

impl Scheduled {
    /// Puts what the client sent over what the settings say.
    fn limits(&self, app: &App) -> Limits {
        let settings = Limits::new(&app.settings.scheduler, self.start_time.unwrap_or_else(|| app.now()));
        let count = |count: i64| usize::try_from(count).unwrap_or(0);
        Limits {
            start: settings.start,
            end: self.end_time.unwrap_or(settings.end),
            min_time: self.min_time.unwrap_or(settings.min_time),
            min_runs: self.min_runs.map_or(settings.min_runs, count),
            max_runs: self.max_runs.map_or(settings.max_runs, count),
        }
    }
}

async fn schedule(
    State(app): State<App>,
    Path(path): Path<Id<DeploymentId>>,
    Body(body): Body<Scheduled>,
) -> Result<Json<()>> {
    scheduler::schedule_runs(&app, path.id, body.limits(&app)).await?;
    Ok(Json(()))
}
