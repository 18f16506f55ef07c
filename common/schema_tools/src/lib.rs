//! What users send in place of plain values: placeholders that are filled in, and JSON Schemas that values must fit.
//!
//! The web interface sends the inputs and parameters of runs so (Prefect's `prefect.utilities.schema_tools`).

pub mod action_parameters;
mod allowance;
mod cost;
pub mod form;
pub mod hydration;
pub mod job_variables;
mod pattern;
mod preprocessing;
pub mod templates;
pub mod validation;

pub use allowance::Allowance;
