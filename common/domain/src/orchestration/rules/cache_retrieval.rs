use crate::{
    model::{State, StateId, StateType, TaskRun},
    orchestration::{Attempt, Need, Rule, Ruling, Scope, StateTypes, Transition},
};

/// Completes a task run by a cached state instead of running it (Prefect's `CacheRetrieval`).
///
/// A state that has expired is passed over even if it was found: a store may delete it later than it expires.
pub struct CacheRetrieval;

impl Rule<TaskRun> for CacheRetrieval {
    fn name(&self) -> &'static str {
        "CacheRetrieval"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::of(&[StateType::Running]) }
    }

    fn needs(&self, transition: &Transition<TaskRun>) -> Vec<Need> {
        let details = &transition.proposed.state_details;
        match &details.cache_key {
            Some(cache_key) if !cache_key.is_empty() && details.refresh_cache != Some(true) => {
                vec![Need::CachedState { cache_key: cache_key.clone() }]
            }
            _ => Vec::new(),
        }
    }

    fn before(&self, attempt: &mut Attempt<'_, TaskRun>) -> Ruling {
        let is_fresh =
            |cached: &&State| cached.state_details.cache_expiration.is_none_or(|expiration| expiration > attempt.now());
        match attempt.transition.facts.cached_state.as_ref().filter(is_fresh) {
            Some(cached) if !self.needs(attempt.transition).is_empty() => {
                let state = cached.fresh_copy(StateId(attempt.mint("state")), attempt.now()).named("Cached");
                Ruling::replace(state, "Retrieved state from cache")
            }
            _ => Ruling::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        model::StateType::{Completed, Pending, Running},
        orchestration::testing::{check_accepts, check_replaces, now, propose, state_at, task_run},
    };

    fn run_with_key() -> Transition<TaskRun> {
        let mut transition = propose(task_run(Pending), Running);
        transition.proposed.state_details.cache_key = Some("key".to_owned());
        let mut cached = state_at(Completed, -3600.0);
        cached.data = Some(json!({"type": "reference"}));
        transition.facts.cached_state = Some(cached);
        transition
    }

    #[test]
    fn completes_by_the_cached_state() {
        let transition = run_with_key();
        assert_eq!(CacheRetrieval.needs(&transition), [Need::CachedState { cache_key: "key".to_owned() }]);
        let plan = check_replaces(&CacheRetrieval, &transition, (Completed, "Cached"), "Retrieved state from cache");
        let entered = plan.entered().unwrap();
        assert_eq!(entered.timestamp, now());
        assert_eq!(entered.data, Some(json!({"type": "reference"})));
        assert_eq!(entered.state_details.task_run_id, Some(transition.run.id));
    }

    #[test]
    fn runs_where_nothing_is_cached() {
        let mut transition = run_with_key();
        transition.facts.cached_state = None;
        check_accepts(&CacheRetrieval, &transition);
    }

    #[test]
    fn passes_over_an_expired_state() {
        let mut transition = run_with_key();
        let cached = transition.facts.cached_state.as_mut().unwrap();
        cached.state_details.cache_expiration = Some(now());
        check_accepts(&CacheRetrieval, &transition);
    }

    #[test]
    fn runs_when_the_cache_is_to_be_refreshed() {
        let mut transition = run_with_key();
        transition.proposed.state_details.refresh_cache = Some(true);
        assert_eq!(CacheRetrieval.needs(&transition), []);
        check_accepts(&CacheRetrieval, &transition);
    }
}
