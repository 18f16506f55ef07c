//! How automations are evaluated: which events their triggers cover, when these fire, and what a firing is.
//!
//! A trigger looks at events by the time at which they occurred, and not by when it hears of them. So what comes late or in
//! another order makes it fire as if it had come in time, wherever the window of that time is still known.

mod composite;
mod coverage;
mod firing;
mod glob;
mod tree;
mod window;

pub use composite::{ChildFirings, child_fired};
pub use coverage::Coverage;
pub use firing::{Firing, FiringOfTrigger, TriggeredAction};
pub use tree::{Node, TriggerTree};
pub use window::{Fired, Held, LOOKBACK, Seen, Window, elapse, is_stateless, take};
