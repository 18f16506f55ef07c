//! The workers of a work pool.

pub mod delete;
pub mod filter;
pub mod heartbeat;
