use crate::{
    model::{StateType, TaskRun},
    orchestration::{Effect, Need, Outcome, Rule, Scope, Transition, rules::secure_task_concurrency_slots::tag_limits},
};

/// Frees the slots of a task run that no longer runs (Prefect's `ReleaseTaskConcurrencySlots`).
///
/// Every policy has it, so that slots are freed however the run ends.
pub struct ReleaseTaskConcurrencySlots;

impl Rule<TaskRun> for ReleaseTaskConcurrencySlots {
    fn name(&self) -> &'static str {
        "ReleaseTaskConcurrencySlots"
    }

    fn scope(&self) -> Scope {
        Scope::Universal
    }

    fn needs(&self, transition: &Transition<TaskRun>) -> Vec<Need> {
        match tag_limits(&transition.run) {
            Some(limits) => vec![limits, Need::LeasesHeldBy(transition.run.id)],
            None => Vec::new(),
        }
    }

    fn after(&self, outcome: &mut Outcome<'_, TaskRun>) {
        let Some(entered) = outcome.state.as_deref() else {
            return;
        };
        if matches!(entered.r#type, StateType::Running | StateType::Cancelling) {
            return;
        }
        let (facts, task_run_id) = (&outcome.transition.facts, outcome.run.id);
        for &lease_id in &facts.held_leases {
            outcome.emit(Effect::ReleaseLease { lease_id });
        }
        for limit in facts.tag_limits.iter().filter(|limit| limit.holders.contains(&task_run_id)) {
            outcome.emit(Effect::VacateTagSlot { tag: limit.tag.clone(), task_run_id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            LeaseId,
            StateType::{Cancelling, Completed, Running},
        },
        orchestration::{
            TagLimit,
            testing::{check_accepts, propose, task_run},
        },
    };

    const RULE: ReleaseTaskConcurrencySlots = ReleaseTaskConcurrencySlots;

    fn leave(proposed: StateType) -> Transition<TaskRun> {
        let mut transition = propose(TaskRun { tags: vec!["db".to_owned()], ..task_run(Running) }, proposed);
        transition.facts.held_leases.push(LeaseId::new());
        transition.facts.tag_limits.push(TagLimit { tag: "db".to_owned(), limit: 1, holders: vec![transition.run.id] });
        transition
    }

    #[test]
    fn frees_what_the_run_holds() {
        let transition = leave(Completed);
        let (lease_id, task_run_id) = (transition.facts.held_leases[0], transition.run.id);
        let expected = [Effect::ReleaseLease { lease_id }, Effect::VacateTagSlot { tag: "db".to_owned(), task_run_id }];
        assert_eq!(check_accepts(&RULE, &transition).effects, expected);
    }

    #[test]
    fn keeps_the_slots_while_the_run_may_be_running() {
        for proposed in [Running, Cancelling] {
            assert_eq!(check_accepts(&RULE, &leave(proposed)).effects, []);
        }
    }

    #[test]
    fn asks_only_for_tagged_runs() {
        assert_eq!(RULE.needs(&leave(Completed)).len(), 2);
        assert_eq!(RULE.needs(&propose(task_run(Running), Completed)), []);
    }
}
