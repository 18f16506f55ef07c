//! Everything that Proctor's functions share: the model, the orchestration rules, the store and the HTTP plumbing.

pub mod filter;
pub mod model;
