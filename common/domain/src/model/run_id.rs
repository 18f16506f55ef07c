//! Ids of runs, from which the ids of their states follow, so that a state is found without an index.

use uuid::Uuid;

use super::StateId;

/// How many states of a run have ids of their run at most.
const MOST_STATES: u32 = 1 << 8;

/// Declares the typed id of runs of a kind.
macro_rules! run_id {
    ($(#[$doc:meta])* $name:ident) => {
        $crate::model::id::id_type! {
            $(#[$doc])*
            $name
        }

        impl $name {
            /// Makes a time-ordered id (UUID version 7), from which the ids of the run's states follow.
            pub fn new() -> Self {
                Self($crate::model::run_id::new())
            }

            /// Returns a new id of the `number`th state of the run, from 1, by which [`Self::of_state`] finds the run.
            ///
            /// Two ids of the same number are as a rule different, and ids of different numbers always. A run whose id
            /// was made elsewhere, and one that enters very many states, has states with ids like any other.
            pub fn state_id(self, number: u32) -> $crate::model::StateId {
                $crate::model::run_id::of_next_state(self.0, number)
            }

            /// Returns the run whose state has the id, if that was made by [`Self::state_id`].
            pub fn of_state(state: $crate::model::StateId) -> Self {
                Self($crate::model::run_id::of_run(state))
            }
        }
    };
}

pub(crate) use run_id;

/// Makes the id of a run.
pub(super) fn new() -> Uuid {
    with_low_bits(Uuid::now_v7(), 0)
}

/// Makes the id of a run's `number`th state.
pub(super) fn of_next_state(run: Uuid, number: u32) -> StateId {
    let salt = u32::from(Uuid::new_v4().as_bytes()[0]);
    match u16::try_from((number.min(MOST_STATES) << 8) | salt) {
        Ok(place) if (1..MOST_STATES).contains(&number) && with_low_bits(run, 0) == run => {
            StateId(with_low_bits(run, place))
        }
        _ => StateId::new(),
    }
}

/// Returns the id of the run whose state has the id.
pub(super) fn of_run(state: StateId) -> Uuid {
    with_low_bits(state.0, 0)
}

/// Replaces the last 16 bits by what follows from the others and `place`.
///
/// They look as random as the others, so that records are spread over shards by them.
fn with_low_bits(id: Uuid, place: u16) -> Uuid {
    let mut bytes = *id.as_bytes();
    let [upper @ .., _, _] = &bytes;
    let mixed = upper
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    #[allow(clippy::cast_possible_truncation, reason = "16 bits of it are wanted")]
    let low = ((mixed >> 24) as u16).wrapping_add(place);
    [bytes[14], bytes[15]] = low.to_be_bytes();
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::FlowRunId, *};

    #[test]
    fn the_id_of_a_state_tells_its_run() {
        let run = FlowRunId::new();
        let ids: Vec<StateId> = (1..MOST_STATES).map(|number| run.state_id(number)).collect();
        assert!(ids.iter().all(|id| FlowRunId::of_state(*id) == run && id.0 != run.0));
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
        assert!(ids.iter().all(|id| id.0.get_version_num() == 7));
        assert_ne!(FlowRunId::of_state(run.state_id(MOST_STATES)), run, "then it is one like any other");
        let elsewhere = FlowRunId(Uuid::nil());
        assert_ne!(FlowRunId::of_state(elsewhere.state_id(1)), elsewhere);
    }
}
