//! `POST /deployments/{id}/branch`: makes a deployment of the same flow from another one, for a branch of its code.
//!
//! An operation of our own: the open-source server lacks it. The new deployment is called `<name>@<branch>`, is like the old
//! one but for what is overridden, and has a limit of its own where the old one has.

use axum::{Json, extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Path, Route, Sent, extract::Id},
    model::{
        Deployment, DeploymentId,
        deployment::{Branch, DeploymentResponse},
    },
    store::{CommitError, commit::retry_on_conflict},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    responses,
    schedules::ScheduleUpdate,
    update::{DeploymentUpdate, changed},
};

/// Our operation `create_deployment_branch`.
pub static ROUTE: Route = Route::post("create_deployment_branch", "/deployments/{id}/branch", || post(branch));

/// What becomes of the schedules.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ScheduleHandling {
    Keep,
    Remove,
    Inactive,
}

#[derive(Debug, Deserialize)]
struct Branching {
    branch: String,
    options: Option<Options>,
    overrides: Option<WithSchedules>,
}

#[derive(Debug, Deserialize)]
struct Options {
    schedule_handling: ScheduleHandling,
}

#[derive(Debug, Deserialize)]
struct WithSchedules {
    schedules: Vec<ScheduleUpdate>,
}

#[derive(Debug, Deserialize)]
struct Overriding {
    overrides: Option<DeploymentUpdate>,
}

async fn branch(
    State(app): State<App>,
    Path(path): Path<Id<DeploymentId>>,
    Sent(sent): Sent<Overriding>,
    Body(body): Body<Branching>,
) -> Result<(StatusCode, Json<DeploymentResponse>)> {
    let id = DeploymentId::new();
    let made = retry_on_conflict(|| make(&app, path.id, id, &body, sent.overrides.as_ref())).await?;
    Ok((StatusCode::CREATED, Json(responses::one(&app, &made).await?)))
}

async fn make(
    app: &App,
    base: DeploymentId,
    id: DeploymentId,
    body: &Branching,
    overrides: Option<&DeploymentUpdate>,
) -> Result<Deployment, CommitError> {
    let base = app.store.deployment(base).await?.ok_or_else(|| Error::not_found("Deployment"))?.record;
    let mut new = branched(&base, id, body, app);
    if let Some(there) = app.store.deployment_by_name(new.flow_id, &new.name).await? {
        // With our id, the write before was carried out, only its answer was lost.
        if there.record.id == id {
            return Ok(there.record);
        }
        return Err(Error::Conflict(format!("The deployment {} is there already.", new.name)).into());
    }
    let own_limit = match new.concurrency_limit_id {
        Some(limit) => app.store.concurrency_limit(limit).await?.map(|found| found.record),
        None => None,
    };
    let own_limit = own_limit.filter(|limit| limit.name == format!("deployment:{}", base.id));
    if own_limit.is_some() {
        new.concurrency_limit_id = None;
    }
    let mut beside = Vec::new();
    if let Some(overrides) = overrides {
        let schedules = body.overrides.as_ref().filter(|_| overrides.has_schedules()).map(|body| &*body.schedules);
        (new, beside) = changed(app, &new, overrides, schedules).await?;
    }
    let limits_itself = overrides.is_some_and(DeploymentUpdate::has_limit);
    if let Some(limit) = own_limit.filter(|_| !limits_itself) {
        beside = app.store.limit_deployment(&mut new, Some(limit.limit), app.now()).await?;
    }
    app.store.add_deployment(&new, beside).await?;
    Ok(new)
}

/// Returns the deployment as it is before anything is overridden.
fn branched(base: &Deployment, id: DeploymentId, body: &Branching, app: &App) -> Deployment {
    let now = app.now();
    let branch = body.branch.trim().replace(['/', '%', '&', '>', '<'], "-");
    let handling = body.options.as_ref().map_or(ScheduleHandling::Remove, |options| options.schedule_handling);
    let root = base.branch.as_ref().map_or(base.id, |branch| branch.root);
    let mut new = Deployment {
        id,
        created: now,
        updated: now,
        name: format!("{}@{branch}", base.name),
        branch: Some(Branch { branch: body.branch.clone(), base: base.id, root }),
        ..base.clone()
    };
    for agreement in &mut new.slas {
        agreement.since = Some(now);
    }
    match handling {
        ScheduleHandling::Remove => new.schedules.clear(),
        ScheduleHandling::Keep | ScheduleHandling::Inactive => {
            for schedule in &mut new.schedules {
                schedule.id = Uuid::now_v7();
                schedule.deployment_id = Some(id);
                schedule.created = now;
                schedule.active &= matches!(handling, ScheduleHandling::Keep);
            }
        }
    }
    new
}
