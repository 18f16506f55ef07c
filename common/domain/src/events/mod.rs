//! The events that the server emits by itself, made of records alone.

pub mod deployments;
pub mod lifecycle;
pub mod work_pools;

pub use lifecycle::Lifecycle;
