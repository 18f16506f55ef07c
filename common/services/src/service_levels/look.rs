//! Looks whether agreements are kept to, tells what is found, and sets the watch for the next look.

use serde_json::json;

use super::{
    GRACE, Verdict, enabled,
    events::{self, Party},
    frequency, freshness, lateness, time_to_completion, watches_deployment,
};
use domain::events::Lifecycle;
use domain::model::{
    Deployment, DeploymentId, FlowRun, FlowRunId, Seconds, StateType, Timestamp,
    deployment::{ServiceLevelAgreement, SlaCondition},
};
use error::Result;
use store::{
    CommitError, Versioned, Write,
    commit::retry_on_conflict,
    table,
    watches::{DeploymentWatch, FlowRunWatch},
};

use crate::{App, event_ingestion, stream::flow_run_events};

/// Looks at a flow run and the agreements of its deployment as they are now.
///
/// A run that has completed is noted for those agreements that runs keep to together.
pub async fn look_at_run(app: &App, id: FlowRunId) -> Result<()> {
    retry_on_conflict(|| Box::pin(look_at_run_once(app, id))).await
}

async fn look_at_run_once(app: &App, id: FlowRunId) -> Result<(), CommitError> {
    // First, so that its version tells of everybody who has seen a newer state of the run.
    let before = app.store.get::<FlowRunWatch>(&table::flow_run_watch(id)).await?;
    let run = app.store.flow_run(id).await?.map(|found| found.record);
    let deployment = match run.as_ref().and_then(|run| run.deployment_id) {
        Some(id) => app.store.deployment(id).await?.map(|found| found.record),
        None => None,
    };
    let Some((run, deployment)) = run.zip(deployment) else {
        return app.store.commit(vec![Write::Delete(table::flow_run_watch(id))]).await;
    };
    let due = judge_run(app, &run, &deployment).await?;
    if let Some(completed) = completion(&run) {
        note_completion(app, &deployment, completed).await?;
    }
    if before.is_none() && due.is_none() {
        return Ok(());
    }
    app.store.rewatch(before, &FlowRunWatch { flow_run: id, due }).await
}

/// Tells what `run` violates, and returns when to look at it again.
async fn judge_run(app: &App, run: &FlowRun, deployment: &Deployment) -> Result<Option<Timestamp>> {
    let now = app.now();
    let (mut due, mut violated) = (None, Vec::new());
    for agreement in enabled(deployment) {
        let made = agreement.since;
        let verdict = match agreement.condition {
            SlaCondition::Duration(seconds) => time_to_completion::verdict(run, seconds, made, now),
            SlaCondition::Within(within) => lateness::verdict(run, within, made, now),
            SlaCondition::StaleAfter(_) | SlaCondition::ExpectedEvent(_) => Verdict::Kept,
        };
        match verdict {
            Verdict::Kept => {}
            Verdict::Open { deadline } => due = Some(earliest(due, deadline)),
            Verdict::Violated { .. } | Verdict::Resolved { .. } => violated.push((agreement, verdict)),
        }
    }
    if !violated.is_empty() {
        let related = json!(flow_run_events::related_to(app, run).await?);
        let party = Party { kind: "flow-run", id: run.id.0, name: run.name.clone(), related };
        let told = violated.into_iter().map(|(agreement, verdict)| events::of(agreement, &party, "", verdict));
        event_ingestion::receive(app, told.collect::<Result<Vec<_>>>()?.concat()).await?;
    }
    Ok(due)
}

fn completion(run: &FlowRun) -> Option<Timestamp> {
    run.state.as_ref().filter(|state| state.r#type == StateType::Completed).map(|state| state.timestamp)
}

fn earliest(due: Option<Timestamp>, other: Timestamp) -> Timestamp {
    due.map_or(other, |due| due.min(other))
}

/// Looks at the agreements that the runs of a deployment keep to together.
pub async fn look_at_deployment(app: &App, id: DeploymentId) -> Result<()> {
    retry_on_conflict(|| Box::pin(look_at_deployment_once(app, id))).await
}

async fn look_at_deployment_once(app: &App, id: DeploymentId) -> Result<(), CommitError> {
    let before = app.store.get::<DeploymentWatch>(&table::deployment_watch(id)).await?;
    let Some(deployment) = app.store.deployment(id).await?.map(|found| found.record) else {
        return app.store.commit(vec![Write::Delete(table::deployment_watch(id))]).await;
    };
    if before.is_none() && !watches_deployment(&deployment) {
        return Ok(());
    }
    let (now, party) = (app.now(), party(&deployment));
    let mut after = watch(before.as_ref(), id);
    let (mut due, mut told) = (None, Vec::new());
    let mut seen = std::mem::take(&mut after.seen);
    for agreement in enabled(&deployment) {
        match &agreement.condition {
            SlaCondition::Duration(_) | SlaCondition::Within(_) => {}
            SlaCondition::StaleAfter(stale_after) => {
                let waited = now.plus_seconds(-GRACE);
                match frequency::verdict(after.completed, None, *stale_after, agreement.since, waited) {
                    Verdict::Open { deadline } => due = Some(earliest(due, deadline.plus_seconds(GRACE))),
                    verdict => told.extend(events::of(agreement, &party, &case(&after, agreement), verdict)?),
                }
            }
            SlaCondition::ExpectedEvent(expected) => {
                let last = seen.remove(&agreement.name);
                if let Some((last, next)) = freshness::look(app, agreement, expected, &party, last, now).await? {
                    after.seen.insert(agreement.name.clone(), last);
                    due = Some(earliest(due, next));
                }
            }
        }
    }
    event_ingestion::receive(app, told).await?;
    after.due = due;
    app.store.rewatch(before, &after).await
}

/// Notes that a run of `deployment` has completed at `completed`, and tells which violations that ends.
async fn note_completion(app: &App, deployment: &Deployment, completed: Timestamp) -> Result<()> {
    let agreements: Vec<(&ServiceLevelAgreement, Seconds)> = enabled(deployment)
        .filter_map(|agreement| match agreement.condition {
            SlaCondition::StaleAfter(stale_after) => Some((agreement, stale_after)),
            _ => None,
        })
        .collect();
    if agreements.is_empty() {
        return Ok(());
    }
    let party = party(deployment);
    retry_on_conflict(|| {
        Box::pin(async {
            let before = app.store.get::<DeploymentWatch>(&table::deployment_watch(deployment.id)).await?;
            let mut after = watch(before.as_ref(), deployment.id);
            if after.completed >= Some(completed) {
                return Ok(());
            }
            let (mut due, mut told) = (None, Vec::new());
            for (agreement, stale_after) in &agreements {
                let last = after.completed;
                let verdict = frequency::verdict(last, Some(completed), *stale_after, agreement.since, app.now());
                told.extend(events::of(agreement, &party, &case(&after, agreement), verdict)?);
                due = Some(earliest(due, completed.plus_seconds(stale_after.as_f64() + GRACE)));
            }
            event_ingestion::receive(app, told).await?;
            after.completed = Some(completed);
            // A watch that is set stays where it is: looking too early costs less than moving it with each run.
            after.due = after.due.or(due);
            app.store.rewatch(before, &after).await
        })
    })
    .await
}

fn watch(before: Option<&Versioned<DeploymentWatch>>, id: DeploymentId) -> DeploymentWatch {
    before.map_or_else(|| DeploymentWatch::new(id), |before| before.record.clone())
}

/// Returns what tells one wait for a completion from the others: when it began.
fn case(watch: &DeploymentWatch, agreement: &ServiceLevelAgreement) -> String {
    watch.completed.max(agreement.since).map(Timestamp::sortable).unwrap_or_default()
}

fn party(deployment: &Deployment) -> Party {
    Party {
        kind: "deployment",
        id: deployment.id.0,
        name: deployment.name.clone(),
        related: json!(deployment.related()),
    }
}
