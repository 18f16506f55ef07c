//! `POST /artifacts/`: makes an artifact, which becomes the latest of its key.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Result,
    http::{Body, Json, Route},
    model::{Artifact, ArtifactId, FlowRunId, TaskRunId, artifact::Metadata},
};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// The contract's `create_artifact`.
pub static ROUTE: Route = Route::post("create_artifact", "/artifacts/", || post(create));

#[derive(Debug, Deserialize)]
struct ArtifactCreate {
    key: Option<String>,
    r#type: Option<String>,
    description: Option<String>,
    data: Option<Value>,
    metadata_: Option<Metadata>,
    flow_run_id: Option<FlowRunId>,
    task_run_id: Option<TaskRunId>,
}

async fn create(State(app): State<App>, Body(body): Body<ArtifactCreate>) -> Result<(StatusCode, Json<Artifact>)> {
    let now = app.now();
    let artifact = Artifact {
        key: body.key,
        r#type: body.r#type,
        description: body.description,
        data: body.data,
        metadata: body.metadata_.map(Metadata::shortened),
        flow_run_id: body.flow_run_id,
        task_run_id: body.task_run_id,
        ..Artifact::new(ArtifactId::at(now, Uuid::new_v4()), now)
    };
    app.store.add_artifact(&artifact).await?;
    Ok((StatusCode::CREATED, Json(artifact)))
}
