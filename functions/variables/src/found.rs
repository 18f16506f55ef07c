//! The variable that a path names, by id or by name.

use common::{
    App, Error, Result,
    model::{Variable, VariableId},
    store::Versioned,
};
use serde::Deserialize;

/// The path of an operation on the variable of a name.
#[derive(Debug, Deserialize)]
pub(crate) struct Name {
    pub(crate) name: String,
}

/// Reads the variable `id`.
///
/// # Errors
/// [`Error::NotFound`] without such a variable.
pub(crate) async fn by_id(app: &App, id: VariableId) -> Result<Versioned<Variable>> {
    app.store.variable(id).await?.ok_or_else(|| Error::NotFound("Variable not found.".into()))
}

/// Reads the variable called `name`.
///
/// # Errors
/// [`Error::NotFound`] without such a variable.
pub(crate) async fn by_name(app: &App, name: &str) -> Result<Versioned<Variable>> {
    app.store.variable_by_name(name).await?.ok_or_else(|| Error::NotFound("Variable not found.".into()))
}
