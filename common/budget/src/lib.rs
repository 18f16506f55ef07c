//! How much a request may ask for: every bound of what users write as a program, by name.
//!
//! Templates, schemas, recurrence rules, patterns and filters are programs: a few bytes of them can ask for hours, for
//! gigabytes, or for a stack that no thread has. Each is bounded here, by its length, its depth, its steps and its
//! memory; who evaluates one takes what it costs from a [`Meter`] and runs it by [`evaluate`]. What goes beyond a bound
//! is [`Exceeded`], which every request is answered with in the same form.
//!
//! No bound is in seconds, deliberately: the same request always gets the same answer, on whichever machine.

mod bound;
mod evaluation;
mod meter;
mod text;

pub use bound::{Bound, Exceeded};
pub use evaluation::{STACK, evaluate};
pub use meter::Meter;
pub use text::JsonText;
