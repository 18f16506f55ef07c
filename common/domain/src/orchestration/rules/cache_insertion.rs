use crate::{
    model::{StateType, TaskRun},
    orchestration::{Attempt, Effect, Outcome, Rule, Ruling, Scope, StateTypes},
};

/// Caches a completed task run's state under its cache key (Prefect's `CacheInsertion`).
///
/// A key that is too long is rejected in words only: the run completes, and its state is cached. That is
/// what the real server does.
pub struct CacheInsertion;

impl Rule<TaskRun> for CacheInsertion {
    fn name(&self) -> &'static str {
        "CacheInsertion"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::of(&[StateType::Completed]) }
    }

    fn before(&self, attempt: &mut Attempt<'_, TaskRun>) -> Ruling {
        let longest = attempt.transition.settings.max_cache_key_length;
        match &attempt.proposed.state_details.cache_key {
            Some(cache_key) if cache_key.chars().count() > longest => Ruling::replace(
                attempt.proposed.clone(),
                format!("Cache key exceeded maximum allowed length of {longest} characters."),
            ),
            _ => Ruling::Pass,
        }
    }

    fn after(&self, outcome: &mut Outcome<'_, TaskRun>) {
        let Some(state) = outcome.state.as_deref() else {
            return;
        };
        let (state_id, cache_expiration) = (state.id, state.state_details.cache_expiration);
        if let Some(cache_key) = state.state_details.cache_key.clone().filter(|cache_key| !cache_key.is_empty()) {
            outcome.emit(Effect::CacheState { cache_key, cache_expiration, state_id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::StateType::{Completed, Running},
        orchestration::{
            Status, Transition,
            testing::{check_accepts, decide_by, now, propose, task_run},
        },
    };

    fn complete(cache_key: &str) -> Transition<TaskRun> {
        let mut transition = propose(task_run(Running), Completed);
        transition.proposed.state_details.cache_key = Some(cache_key.to_owned());
        transition.proposed.state_details.cache_expiration = Some(now());
        transition
    }

    #[test]
    fn caches_the_state() {
        let transition = complete("key");
        let expected = Effect::CacheState {
            cache_key: "key".to_owned(),
            cache_expiration: Some(now()),
            state_id: transition.proposed.id,
        };
        assert_eq!(check_accepts(&CacheInsertion, &transition).effects, [expected]);
    }

    #[test]
    fn caches_nothing_without_a_key() {
        assert_eq!(check_accepts(&CacheInsertion, &propose(task_run(Running), Completed)).effects, []);
        assert_eq!(check_accepts(&CacheInsertion, &complete("")).effects, []);
    }

    #[test]
    fn rejects_a_long_key_and_completes_all_the_same() {
        assert_eq!(check_accepts(&CacheInsertion, &complete(&"ü".repeat(2000))).effects.len(), 1);
        let plan = decide_by(&CacheInsertion, &complete(&"ü".repeat(2001)));
        assert_eq!(plan.verdict.status(), Status::Reject);
        assert_eq!(plan.entered().map(|state| state.r#type), Some(Completed));
        assert_eq!(plan.effects.len(), 1);
    }
}
