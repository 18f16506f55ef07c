//! `POST /variables/`: makes a variable.

use axum::{extract::State, http::StatusCode, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Route},
    model::{Variable, VariableId},
    python,
};
use serde::Deserialize;
use serde_json::Value;

/// The contract's `create_variable`.
pub static ROUTE: Route = Route::post("create_variable", "/variables/", || post(create));

#[derive(Debug, Deserialize)]
struct VariableCreate {
    name: String,
    value: Value,
    tags: Vec<String>,
}

async fn create(State(app): State<App>, Body(body): Body<VariableCreate>) -> Result<(StatusCode, Json<Variable>)> {
    let now = app.now();
    let VariableCreate { name, value, tags } = body;
    let variable = Variable { id: VariableId::new(), created: now, updated: now, name, value, tags };
    app.store.add(&variable).await.map_err(|error| match error {
        Error::Conflict(_) => {
            let name = python::repr_str(&variable.name);
            Error::Conflict(format!("A variable with the name {name} already exists."))
        }
        other => other,
    })?;
    Ok((StatusCode::CREATED, Json(variable)))
}
