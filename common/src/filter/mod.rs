//! The filter objects of the contract as pure predicates, with what a planner may conclude from them, and the sorts.
//!
//! Every `matches` answers as the oracle's SQL does on SQLite. Where SQL's answer is unknown (a null compared with
//! anything) the record drops out; nothing above a comparison negates it, so unknown and false need no telling apart.
//!
//! A predicate never reads anything. Where it depends on another record, a method whose name starts with `needs_`
//! says so, and the caller passes the fact in. The hints (`ids`, `start_time_bounds`, …) are conditions that every
//! match satisfies; `None` means that nothing is known, and an empty list that nothing can match.

mod like;
mod text_search;

pub mod membership;
pub mod name;
pub mod operator;
pub mod tags;
pub mod time;

pub use operator::Operator;
pub use time::TimeBounds;
