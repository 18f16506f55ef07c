//! The parameters of the run that an action makes: their templates and placeholders are filled in.

use domain::model::Object;
use schema_tools::{
    action_parameters::{templates_in, upgraded},
    templates::Context,
};
use serde_json::Value;

use super::{Acting, Failed, context};
use crate::workspace_variables::WorkspaceVariables;

/// Fills in the templates and placeholders of an action's parameters.
///
/// # Errors
/// [`Failed::For`] if one can't be filled in.
pub(super) async fn rendered(acting: &Acting<'_>, parameters: Option<&Object>) -> Result<Object, Failed> {
    let parameters = parameters.map(upgraded).unwrap_or_default();
    let templates = templates_in(&parameters);
    let context = if templates.is_empty() { Context::default() } else { context::of(acting, &templates).await? };
    let variables = WorkspaceVariables::new(&acting.app.store);
    let unable = |why: &str| Failed::For(format!("Unable to create flow run from deployment: {why}"));
    match variables.hydrate_with(&parameters, &context).await {
        Ok(Ok(Value::Object(parameters))) => Ok(parameters),
        Ok(Ok(_)) => Err(unable("the parameters are no object")),
        Ok(Err(error)) => {
            tracing::warn!(automation = %acting.automation().id, %error, "the parameters of a run can't be filled in");
            Err(unable(error.repr()))
        }
        Err(error) if error.status().is_client_error() => Err(unable(&error.to_string())),
        Err(error) => Err(error.into()),
    }
}
