//! JSON as Python's `json` module reads it, and as pydantic writes it.
//!
//! Integers are exact, whatever their size: [`large_integer`] says how those beyond 64 bits are held between [`parse`]
//! and [`to_vec`].

pub mod large_integer;
mod read;
mod write;

pub use read::{Unreadable, loads, parse};
pub use write::{to_string, to_string_pretty, to_vec};
