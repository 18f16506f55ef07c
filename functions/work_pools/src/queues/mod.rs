//! The queues of a work pool.

pub mod create;
pub mod delete;
pub mod filter;
pub mod read;
pub mod update;
