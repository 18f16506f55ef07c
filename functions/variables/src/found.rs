//! The variable that a path names, by id or by name.

use common::{
    Api, Error, Result,
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
pub(crate) async fn by_id(api: &Api, id: VariableId) -> Result<Versioned<Variable>> {
    api.store.variable(id).await?.ok_or_else(|| Error::NotFound("Variable not found.".into()))
}

/// Reads the variable called `name`.
///
/// # Errors
/// [`Error::NotFound`] without such a variable.
pub(crate) async fn by_name(api: &Api, name: &str) -> Result<Versioned<Variable>> {
    api.store.variable_by_name(name).await?.ok_or_else(|| Error::NotFound("Variable not found.".into()))
}
