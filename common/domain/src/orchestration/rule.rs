//! Rules: one discrete piece of the orchestration logic each.

use uuid::Uuid;

use crate::model::{LeaseId, State, StateId, StateType, Timestamp};

use super::{Effect, Need, Run, Transition, Verdict};

/// A set of state types, to which "no state" may belong too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTypes(u16);

impl StateTypes {
    const NO_STATE: u16 = 1 << StateType::ALL.len();

    /// Every state type, and no state.
    pub const ALL: Self = Self((Self::NO_STATE << 1) - 1);

    /// The types of the states that end a run.
    pub const TERMINAL: Self =
        Self::of(&[StateType::Completed, StateType::Failed, StateType::Cancelled, StateType::Crashed]);

    /// Returns the set of the types listed.
    pub const fn of(types: &[StateType]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < types.len() {
            bits |= 1 << types[index] as u16;
            index += 1;
        }
        Self(bits)
    }

    /// Returns what is in this set and not in `other`.
    #[must_use]
    pub const fn except(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether the type, or no state, belongs to the set.
    pub fn contains(self, state_type: Option<StateType>) -> bool {
        let bit = state_type.map_or(Self::NO_STATE, |state_type| 1 << state_type as u16);
        self.0 & bit != 0
    }
}

/// Which transitions a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those from one of the initial types to one of the proposed types (Prefect's orchestration rules).
    Between {
        /// The types of initial states.
        from: StateTypes,
        /// The types of proposed states.
        to: StateTypes,
    },
    /// Every one that enters a state, whatever other rules made of it (Prefect's universal transforms).
    Universal,
}

impl Scope {
    /// Returns whether the rule takes part in a transition between the two types.
    pub fn contains(self, from: Option<StateType>, to: Option<StateType>) -> bool {
        match self {
            Self::Between { from: initial, to: proposed } => initial.contains(from) && proposed.contains(to),
            Self::Universal => true,
        }
    }
}

/// What a rule says to the state that is proposed.
#[derive(Clone, Debug, PartialEq)]
pub enum Ruling {
    /// The rule has nothing against it.
    Pass,
    /// The run enters another state, or stays in its state if there is none.
    Reject {
        /// The state to enter instead.
        state: Option<Box<State>>,
        /// What the client is told.
        reason: String,
    },
    /// The run stays in its state, and the client is to try again.
    Wait {
        /// After how many seconds.
        delay_seconds: i64,
        /// What the client is told.
        reason: String,
    },
    /// The run stays in its state, and the client is to give up.
    Abort {
        /// What the client is told.
        reason: String,
    },
}

impl Ruling {
    /// The run stays in its state.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject { state: None, reason: reason.into() }
    }

    /// The run enters `state` instead.
    pub fn replace(state: State, reason: impl Into<String>) -> Self {
        Self::Reject { state: Some(Box::new(state)), reason: reason.into() }
    }

    /// The client is to try again in `delay_seconds`.
    pub fn wait(delay_seconds: i64, reason: impl Into<String>) -> Self {
        Self::Wait { delay_seconds, reason: reason.into() }
    }

    /// The client is to give up.
    pub fn abort(reason: impl Into<String>) -> Self {
        Self::Abort { reason: reason.into() }
    }
}

/// A transition before it is decided, as a rule sees it and may change it.
pub struct Attempt<'a, R> {
    pub(super) rule: &'static str,
    /// All that there is to look at.
    pub transition: &'a Transition<R>,
    /// The run as it will be written, whatever the verdict.
    pub run: &'a mut R,
    /// The state as it is proposed by now.
    pub proposed: &'a mut State,
    pub(super) effects: &'a mut Vec<(&'static str, Effect)>,
}

impl<'a, R: Run> Attempt<'a, R> {
    /// Returns the state that the run is in.
    pub fn initial(&self) -> Option<&'a State> {
        self.transition.initial()
    }

    /// Returns the time of the decision.
    pub fn now(&self) -> Timestamp {
        self.transition.now
    }

    /// Returns an id for `purpose` that derives from the proposed state and the rule.
    pub fn mint(&self, purpose: &str) -> Uuid {
        mint(self.transition, self.rule, purpose)
    }

    /// Makes a state to propose instead; it has the type's default name, entered now.
    pub fn state(&self, state_type: StateType) -> State {
        State::new(StateId(self.mint("state")), state_type, self.now())
    }

    /// Asks for `effect` to be done with the transition.
    pub fn emit(&mut self, effect: Effect) {
        self.effects.push((self.rule, effect));
    }
}

/// A transition once it is decided, as a rule sees it and may follow it up.
pub struct Outcome<'a, R> {
    pub(super) rule: &'static str,
    /// All that there is to look at.
    pub transition: &'a Transition<R>,
    /// The run as it will be written.
    pub run: &'a mut R,
    /// The state that the client is answered: the one entered, or else the one that the run stays in.
    pub state: Option<&'a mut State>,
    /// What was decided.
    pub verdict: &'a Verdict,
    pub(super) effects: &'a mut Vec<(&'static str, Effect)>,
}

impl<R: Run> Outcome<'_, R> {
    /// Asks for `effect` to be done with the transition.
    pub fn emit(&mut self, effect: Effect) {
        self.effects.push((self.rule, effect));
    }

    /// Returns the lease that the transition takes, if it takes one.
    pub fn acquired_lease(&self) -> Option<LeaseId> {
        self.effects.iter().find_map(|(_, effect)| match effect {
            Effect::AcquireSlots { lease_id, .. } => Some(*lease_id),
            _ => None,
        })
    }

    /// Takes back the effects that the rule itself asked for, and returns whether there were any.
    pub fn withdraw_effects(&mut self) -> bool {
        let count = self.effects.len();
        self.effects.retain(|(rule, _)| *rule != self.rule);
        self.effects.len() < count
    }
}

/// Returns an id for `purpose` of `rule`, the same one each time that the state is proposed.
pub(super) fn mint<R>(transition: &Transition<R>, rule: &str, purpose: &str) -> Uuid {
    Uuid::new_v5(&transition.proposed.id.0, format!("{rule}/{purpose}").as_bytes())
}

/// A discrete piece of orchestration logic: a pure function in three parts.
///
/// The module documentation of [`super`] says when each part runs. A rule is a unit struct, so that
/// policies can be constants; whatever it has to remember between its parts, it finds again in the
/// transition.
pub trait Rule<R: Run>: Sync {
    /// Returns the rule's name, which is Prefect's.
    fn name(&self) -> &'static str;

    /// Returns which transitions the rule is about.
    fn scope(&self) -> Scope;

    /// Returns what the rule has to know in order to judge the transition.
    fn needs(&self, transition: &Transition<R>) -> Vec<Need> {
        let _ = transition;
        Vec::new()
    }

    /// Judges the proposed state, and may change it.
    fn before(&self, attempt: &mut Attempt<'_, R>) -> Ruling {
        let _ = attempt;
        Ruling::Pass
    }

    /// Follows up a transition that is the one that the rule saw or made.
    fn after(&self, outcome: &mut Outcome<'_, R>) {
        let _ = outcome;
    }

    /// Undoes what `before` did, the transition having become another one.
    fn clean_up(&self, outcome: &mut Outcome<'_, R>) {
        let _ = outcome;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_every_type_and_no_state() {
        for state_type in StateType::ALL {
            assert!(StateTypes::ALL.contains(Some(state_type)));
            assert_eq!(StateTypes::TERMINAL.contains(Some(state_type)), state_type.is_terminal());
        }
        assert!(StateTypes::ALL.contains(None));
        assert!(!StateTypes::TERMINAL.contains(None));
    }

    #[test]
    fn takes_types_out() {
        let rest = StateTypes::ALL.except(StateTypes::of(&[StateType::Cancelled]));
        assert!(!rest.contains(Some(StateType::Cancelled)));
        assert!(rest.contains(Some(StateType::Cancelling)) && rest.contains(None));
    }
}
