//! `POST /ui/schemas/validate`: says what is wrong with the values of a form.

use axum::{extract::State, routing::post};
use common::{
    App, Error, Result,
    http::{Body, Json, Route},
    model::Object,
    schema_tools::{
        form::{FormErrors, check_form},
        validation::Invalid,
    },
    store::variables,
    workspace_variables::WorkspaceVariables,
};
use serde::Deserialize;

/// The contract's `validate_obj`.
pub static ROUTE: Route =
    Route::post("validate_obj", "/ui/schemas/validate", || post(validate)).accessing(variables::VALUES);

#[derive(Debug, Deserialize)]
struct SchemaAndValues {
    schema: Object,
    values: Object,
}

async fn validate(State(app): State<App>, Body(body): Body<SchemaAndValues>) -> Result<Json<FormErrors>> {
    let variables = WorkspaceVariables::new(&app.store);
    let form = variables.hydrate_form(&body.values).await?;
    Ok(Json(check_form(&form, &body.schema, variables.allowance())?.map_err(refused)?))
}

fn refused(invalid: Invalid) -> Error {
    let why = match invalid {
        Invalid::Circular => "Unable to validate schema with circular references.".to_owned(),
        other => other.to_string(),
    };
    Error::Unprocessable(format!("Invalid schema: {why}"))
}
