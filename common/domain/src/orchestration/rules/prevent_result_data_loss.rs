use serde_json::Value;

use crate::{
    model::{FlowRun, State, StateType},
    orchestration::{Attempt, Rule, Ruling, Scope, StateTypes},
};

/// Why a completed state with a result stays.
pub(super) const REASON: &str =
    "Cannot overwrite a COMPLETED state that carries persisted result data with one that does not.";

/// Keeps a persisted result from being completed away, even by force (Prefect's `PreventResultDataLoss`).
pub struct PreventResultDataLoss;

impl Rule<FlowRun> for PreventResultDataLoss {
    fn name(&self) -> &'static str {
        "PreventResultDataLoss"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::TERMINAL, to: StateTypes::TERMINAL }
    }

    fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
        match attempt.initial() {
            Some(initial) if loses_result(initial, attempt.proposed) => Ruling::reject(REASON),
            _ => Ruling::Pass,
        }
    }
}

/// Returns whether the state completed the run and says where its result is persisted.
///
/// An empty object says nothing, although it would do as the description of a new result.
pub(super) fn is_completed_with_result(state: &State) -> bool {
    let says_something = state.data.as_ref().and_then(Value::as_object).is_some_and(|data| !data.is_empty());
    state.r#type == StateType::Completed && says_something && state.has_persisted_result()
}

/// Returns whether a run that completed with a result is to complete again without one.
pub(super) fn loses_result(initial: &State, proposed: &State) -> bool {
    is_completed_with_result(initial) && proposed.r#type == StateType::Completed && !proposed.has_persisted_result()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        model::StateType::{Completed, Failed},
        orchestration::testing::{check_accepts, check_rejects, flow_run, propose},
    };

    fn completed() -> FlowRun {
        let mut run = flow_run(Completed);
        run.state.as_mut().unwrap().data = Some(json!({"type": "reference"}));
        run
    }

    #[test]
    fn rejects_completing_without_the_result() {
        check_rejects(&PreventResultDataLoss, &propose(completed(), Completed), REASON);
        let mut transition = propose(completed(), Completed);
        transition.proposed.data = Some(json!({"type": "unpersisted"}));
        check_rejects(&PreventResultDataLoss, &transition, REASON);
    }

    #[test]
    fn accepts_another_result_and_another_end() {
        let mut transition = propose(completed(), Completed);
        transition.proposed.data = Some(json!({"type": "reference", "storage_key": "other"}));
        check_accepts(&PreventResultDataLoss, &transition);
        check_accepts(&PreventResultDataLoss, &propose(completed(), Failed));
    }
}
