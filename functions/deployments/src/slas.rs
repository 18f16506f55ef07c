//! `POST /deployments/{id}/slas`, and the address under which the client knows it: puts service level agreements in the
//! place of a deployment's.
//!
//! An operation of our own: the open-source server lacks it, and the client (`apply_slas_for_deployment`) expects the names
//! of what was made, changed and deleted. `common::service_levels` evaluates them.

use std::collections::HashSet;

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    filter::event::ResourceSpecification,
    http::{Body, Json, Path, Route, extract::Id},
    model::{
        Deployment, DeploymentId, Seconds, Timestamp,
        deployment::{ExpectedEvent, ServiceLevelAgreement, Severity, SlaCondition},
        event::RESOURCE_ID,
    },
};
use serde::{Deserialize, Serialize};

/// Our operation `apply_deployment_slas`.
pub static ROUTE: Route = Route::post("apply_deployment_slas", "/deployments/{id}/slas", || post(apply));

/// Our operation `apply_resource_slas`, which the client calls.
pub static ROUTE_BY_RESOURCE: Route =
    Route::post("apply_resource_slas", "/slas/apply-resource-slas/{resource_id}", || post(apply_by_resource));

#[derive(Clone, Debug, Deserialize)]
struct Asked {
    name: String,
    severity: Severity,
    enabled: Option<bool>,
    duration: Option<i64>,
    stale_after: Option<Seconds>,
    within: Option<Seconds>,
    expected_event: Option<String>,
    resource_match: Option<ResourceSpecification>,
}

#[derive(Debug, Deserialize)]
struct ResourcePath {
    resource_id: String,
}

#[derive(Debug, Serialize)]
struct Merged {
    created: Vec<Name>,
    updated: Vec<Name>,
    deleted: Vec<Name>,
}

#[derive(Debug, Serialize)]
struct Name {
    name: String,
}

async fn apply(
    State(app): State<App>,
    Path(path): Path<Id<DeploymentId>>,
    Body(asked): Body<Vec<Asked>>,
) -> Result<Json<Merged>> {
    replace(&app, path.id, asked).await
}

async fn apply_by_resource(
    State(app): State<App>,
    Path(path): Path<ResourcePath>,
    Body(asked): Body<Vec<Asked>>,
) -> Result<Json<Merged>> {
    let id = path.resource_id.strip_prefix("prefect.deployment.").and_then(|id| id.parse::<uuid::Uuid>().ok());
    let id = id.ok_or_else(|| Error::not_found("Resource"))?;
    replace(&app, id.into(), asked).await
}

async fn replace(app: &App, id: DeploymentId, asked: Vec<Asked>) -> Result<Json<Merged>> {
    let slas = asked.into_iter().map(Asked::agreed).collect::<Result<Vec<_>>>()?;
    let names: HashSet<&str> = slas.iter().map(|sla| sla.name.as_str()).collect();
    if names.len() < slas.len() {
        return Err(Error::Unprocessable("The names of a deployment's SLAs have to be unique.".into()));
    }
    let replace = |deployment: &mut Deployment| {
        let before: HashSet<&str> = deployment.slas.iter().map(|sla| sla.name.as_str()).collect();
        let name = |name: &str| Name { name: name.to_owned() };
        let (updated, created): (Vec<_>, Vec<_>) = slas.iter().partition(|sla| before.contains(sla.name.as_str()));
        let deleted = deployment.slas.iter().filter(|sla| !names.contains(sla.name.as_str()));
        let merged = Merged {
            created: created.iter().map(|sla| name(&sla.name)).collect(),
            updated: updated.iter().map(|sla| name(&sla.name)).collect(),
            deleted: deleted.map(|sla| name(&sla.name)).collect(),
        };
        deployment.slas = slas.iter().map(|sla| made(sla, &deployment.slas, app.now())).collect();
        Ok(merged)
    };
    app.store.update_deployment_silently(id, replace).await.map(Json)
}

/// Returns the agreement with the time since when it is to be kept: that of the one before, if it asks for the same.
fn made(sla: &ServiceLevelAgreement, before: &[ServiceLevelAgreement], now: Timestamp) -> ServiceLevelAgreement {
    let same = before
        .iter()
        .find(|old| old.name == sla.name && old.enabled == sla.enabled && old.condition == sla.condition)
        .and_then(|old| old.since);
    ServiceLevelAgreement { since: Some(same.unwrap_or(now)), ..sla.clone() }
}

impl Asked {
    /// Returns the agreement, which asks for one thing.
    fn agreed(self) -> Result<ServiceLevelAgreement> {
        let refused = |message: &str| Err(Error::Unprocessable(message.into()));
        let condition = match (self.duration, self.stale_after, self.within, self.expected_event) {
            (Some(duration), None, None, None) => SlaCondition::Duration(duration),
            (None, Some(stale_after), None, None) => SlaCondition::StaleAfter(stale_after),
            (None, None, Some(within), None) => SlaCondition::Within(within),
            (None, None, Some(within), Some(event)) => {
                let resource = self.resource_match.unwrap_or_default();
                if !names_resources(&resource) {
                    return refused("The resource_match of an SLA has to name the prefect.resource.id.");
                }
                SlaCondition::ExpectedEvent(ExpectedEvent { event, resource, within })
            }
            _ => return refused("An SLA has one of duration, stale_after and within."),
        };
        let enabled = self.enabled.unwrap_or(true);
        Ok(ServiceLevelAgreement { name: self.name, severity: self.severity, enabled, condition, since: None })
    }
}

/// Says whether the ids of the resources are given: the events of others can't be found without looking at all events.
fn names_resources(resource: &ResourceSpecification) -> bool {
    resource.get(RESOURCE_ID).is_some_and(|ids| {
        let ids = ids.as_slice();
        !ids.is_empty() && ids.iter().all(|id| !id.is_empty() && !id.starts_with('!') && !id.contains(['*', '?']))
    })
}
