//! Automations that act: what the triggers make of events, and what follows.
//!
//! Events reach the triggers through the table's stream ([`follow`]), the ends of windows through timers ([`look`]). Which
//! triggers an event may concern is [`Remembered`]. What they make of it is decided in [`domain::automations`], and written
//! in one transaction with the note that the event was taken in ([`evaluation`]): so an event counts once, and a firing
//! happens once, whatever is delivered again. A firing is an item; the event that tells of it and the messages for its actions
//! follow from that, through the stream ([`firings`]).

mod evaluation;
pub mod firings;
pub mod follow;
pub mod look;
mod remembered;

pub use remembered::{Evaluated, Interested, Remembered};
