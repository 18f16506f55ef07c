//! What users send in place of plain values: placeholders that are filled in, and JSON Schemas that values must fit.
//!
//! The web interface sends the inputs and parameters of runs so (upstream's `prefect.utilities.schema_tools`).

pub mod hydration;
mod preprocessing;
pub mod python;
mod templates;
pub mod validation;
