//! The events that the server emits by itself, made of records alone.

pub mod deployments;
pub mod work_pools;
