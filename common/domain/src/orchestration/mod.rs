//! The orchestration kernel: what becomes of a run when a state is proposed for it.
//!
//! A client never sets a run's state; it proposes one, and the rules of a [`Policy`] decide: the run enters
//! the proposed state, or another one in its place (REJECT), or none for now (WAIT) or at all (ABORT). A
//! refusal is an answer to the client, not an error.
//!
//! # Rules are pure
//!
//! [`decide`] is a function of the [`Transition`] alone: the run as it was read, the proposed state, the
//! [`Facts`] that the rules asked for ([`Policy::needs`]), the settings and the time. What is to be done
//! beside writing the run is returned as named [`Effect`]s. Three things follow from it that could not be
//! had otherwise:
//!
//! * A transition is one batch of reads and one write. The real server holds a row lock while its rules
//!   query the database one after the other; here the lock is a condition on the version that was read,
//!   and when it fails, the caller loads again and decides again, at no risk: nothing was done yet.
//! * A slot can't leak. Slots are taken by the write that enters the state, not by a rule on the way to
//!   a decision that another rule may still turn down.
//! * A replay decides the same. Nothing is drawn from a clock or from chance: ids and random delays derive
//!   from the proposed state's id, so that a redelivered message writes what is already there.
//!
//! # The order of rules matters
//!
//! Rules are selected by the *intended* pair of states: the run's state as read and the state as proposed.
//! They run in their policy's order, each one only while the pair still is the intended one, so the first
//! refusal that changes the target's type silences everything behind it. That is why a cached result is
//! looked up before a concurrency slot is taken, and why duplicates are told before anything else is
//! judged. Once it is decided, they run again in reverse order:
//!
//! 1. If the rule's own refusal took the target out of the states that the rule is about, nothing happens.
//! 2. If the pair is not the one that the rule saw or made, the rule has fizzled, and cleans up.
//! 3. Otherwise its `after` runs. A refusal of its own does not stop that where the rule is about every
//!    target, none included: so PAUSED → PENDING is rejected and still marks the run as resuming.
//!
//! The bookkeeping ([`bookkeeping`]) runs between the two passes, on the state that was decided on.
//!
//! # What is deliberately absent
//!
//! No rule reads a clock, a setting or a store, and none emits events: state-change events are derived from
//! the table's stream once the write is there, so Prefect's `InstrumentFlowRunStateTransitions` (which
//! every flow policy has, and which changes nothing in the decision) has no counterpart here.

pub mod bookkeeping;
pub mod client;
pub mod decide;
pub mod facts;
pub mod jitter;
pub mod plan;
pub mod policy;
pub mod rule;
pub mod rules;
pub mod transition;

#[cfg(test)]
pub(crate) mod testing;

pub use client::{ApiVersion, Client, ClientVersion};
pub use decide::decide;
pub use facts::{CollisionStrategy, DeploymentConcurrency, EnclosingFlowRun, Facts, Need, SlotLimit, TagLimit};
pub use plan::{Effect, Hook, LeaseHolder, OrchestrationResult, Plan, Status, Step, Verdict};
pub use policy::Policy;
pub use rule::{Attempt, Outcome, Rule, Ruling, Scope, StateTypes};
pub use transition::{Run, Settings, Transition};
