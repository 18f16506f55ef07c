//! `POST /deployments/{id}/branch`: makes a deployment of the same flow from another one, for a branch of its code.
//!
//! An operation of our own: the open-source server lacks it. The new deployment is called `<name>@<branch>`, is like the old
//! one but for what is overridden, and has a limit of its own where the old one has.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result, deployment_responses,
    http::{Body, Json, Path, Route, Sent, extract::Id},
    model::{
        Deployment, DeploymentId, Timestamp,
        deployment::{Branch, DeploymentResponse},
    },
    patch::Patch,
    store::deployments::{DeploymentChange, Named},
};
use serde::Deserialize;
use uuid::Uuid;

use crate::update::{DeploymentUpdate, changed};

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
}

#[derive(Debug, Deserialize)]
struct Options {
    schedule_handling: ScheduleHandling,
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
    let base = app.store.read_one::<Deployment>(path.id).await?.record;
    let mut new = branched(&base, &body, app.now());
    let limit = own_limit(&app, &base).await?;
    if limit.is_some() {
        new.concurrency_limit_id = None;
    }
    let overrides = sent.overrides.as_ref();
    let (made, _) = app.store.put_deployment(&new, |named| made(&app, named, limit, overrides)).await?;
    Ok((StatusCode::CREATED, Json(deployment_responses::one(&app, &made).await?)))
}

/// Returns how many slots the limit has that is the deployment's own; nothing if it has none, or one that is shared.
async fn own_limit(app: &App, deployment: &Deployment) -> Result<Option<i64>> {
    let Some(id) = deployment.concurrency_limit_id else { return Ok(None) };
    let found = app.store.concurrency_limit(id).await?.map(|found| found.record);
    let own = found.filter(|limit| limit.name == format!("deployment:{}", deployment.id));
    Ok(own.map(|limit| limit.limit))
}

/// Returns the new deployment with what is overridden, and with a limit of as many slots as that of its base.
async fn made(
    app: &App,
    named: Named,
    limit: Option<i64>,
    overrides: Option<&DeploymentUpdate>,
) -> Result<DeploymentChange> {
    let deployment = match named {
        Named::New(deployment) => deployment,
        Named::There(there) => {
            return Err(Error::Conflict(format!("The deployment {} is there already.", there.name)));
        }
    };
    let limit = limit.map_or(Patch::Absent, Patch::Value);
    match overrides {
        None => Ok(DeploymentChange { deployment, limit }),
        Some(overrides) => {
            let change = changed(app, deployment, overrides).await?;
            Ok(if overrides.has_limit() { change } else { DeploymentChange { limit, ..change } })
        }
    }
}

/// Returns the deployment as it is before anything is overridden.
fn branched(base: &Deployment, body: &Branching, now: Timestamp) -> Deployment {
    let id = DeploymentId::new();
    let branch = body.branch.trim().replace(['/', '%', '&', '>', '<'], "-");
    let handling = body.options.as_ref().map_or(ScheduleHandling::Remove, |options| options.schedule_handling);
    let root = base.branch.as_ref().map_or(base.id, |branch| branch.root);
    let mut new = Deployment {
        id,
        created: now,
        updated: now,
        name: format!("{}@{branch}", base.name),
        branch: Some(Branch { branch: body.branch.clone(), base: base.id, root }),
        void_runs: None,
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
