use std::collections::BTreeSet;

use crate::{
    model::{LeaseId, StateType, TaskRun, concurrency_limit::MOST_TOGETHER_WITH_TAGS, lease::TASK_RUN_LEASE_SECONDS},
    orchestration::{
        Attempt, Effect, LeaseHolder, Need, Outcome, Rule, Ruling, Scope, SlotLimit, StateTypes, Transition,
        jitter::{DEFAULT_CLAMPING_FACTOR, clamped_poisson_interval},
    },
};

/// Takes a slot of each limit on the run's tags for a run that starts (Prefect's `SecureTaskConcurrencySlots`).
///
/// Either all limits have a slot, or the client is told to come back later: after about as long as a slot
/// of the fullest limit is taken on average. A limit of 0 tells it to give up. Tags may still have limits of
/// the first generation, which list their holders; those of the second take precedence over them.
pub struct SecureTaskConcurrencySlots;

impl Rule<TaskRun> for SecureTaskConcurrencySlots {
    fn name(&self) -> &'static str {
        "SecureTaskConcurrencySlots"
    }

    fn scope(&self) -> Scope {
        Scope::Between { from: StateTypes::ALL, to: StateTypes::of(&[StateType::Running]) }
    }

    fn needs(&self, transition: &Transition<TaskRun>) -> Vec<Need> {
        tag_limits(&transition.run).into_iter().collect()
    }

    fn before(&self, attempt: &mut Attempt<'_, TaskRun>) -> Ruling {
        let (slots, tag_slots) = (take_slots(attempt), take_tag_slots(attempt.transition));
        match (slots, tag_slots) {
            // Prefect looks at the first generation even where the second has already aborted the run.
            (Err(waiting @ Ruling::Wait { .. }), _) => waiting,
            (_, Err(refusal)) | (Err(refusal), _) => refusal,
            (Ok(lease), Ok(tags)) => {
                lease.into_iter().chain(tags).for_each(|effect| attempt.emit(effect));
                Ruling::Pass
            }
        }
    }

    fn clean_up(&self, outcome: &mut Outcome<'_, TaskRun>) {
        outcome.withdraw_effects();
    }
}

/// Returns the need for the limits on the run's tags, if it has any.
pub(super) fn tag_limits(run: &TaskRun) -> Option<Need> {
    (!run.tags.is_empty()).then(|| Need::TagLimits(run.tags.iter().cloned().collect()))
}

fn deadlock(tag: &str) -> Ruling {
    Ruling::abort(format!(
        "The concurrency limit on tag \"{tag}\" is 0 and will deadlock if the task tries to run again."
    ))
}

/// Returns the taking of a slot of every active second-generation limit, or why that can't be.
fn take_slots(attempt: &Attempt<'_, TaskRun>) -> Result<Option<Effect>, Ruling> {
    let transition = attempt.transition;
    let active = || transition.facts.slot_limits.iter().filter(|limit| limit.active);
    let limits: Vec<&SlotLimit> = active().filter(|limit| limit.limit > 0).collect();
    if limits.len() > MOST_TOGETHER_WITH_TAGS {
        return Err(Ruling::abort(format!(
            "A task run takes slots of at most {MOST_TOGETHER_WITH_TAGS} concurrency limits, and its tags have {}.",
            limits.len()
        )));
    }
    if !limits.iter().all(|limit| limit.has_free_slot()) {
        return Err(wait_for_slots(attempt, &limits));
    }
    // Where several limits are 0, Prefect names the last one.
    if let Some(limit) = active().rfind(|limit| limit.limit == 0) {
        return Err(deadlock(limit.tag()));
    }
    Ok((!limits.is_empty()).then(|| Effect::AcquireSlots {
        lease_id: LeaseId(attempt.mint("lease")),
        limits: limits.iter().map(|limit| limit.id).collect(),
        ttl_seconds: TASK_RUN_LEASE_SECONDS,
        holder: Some(LeaseHolder::TaskRun(transition.run.id)),
    }))
}

fn wait_for_slots(attempt: &Attempt<'_, TaskRun>, limits: &[&SlotLimit]) -> Ruling {
    let longest = attempt.transition.settings.tag_concurrency_slot_wait_seconds;
    // The first one of those that are equally full, as in Python.
    let fullest = limits.iter().rev().max_by(|one, other| one.occupancy().total_cmp(&other.occupancy()));
    let average = fullest.map_or(0.0, |limit| limit.average_occupancy_seconds);
    let average = if average == 0.0 { longest } else { average.min(longest) };
    let delay = clamped_poisson_interval(average, DEFAULT_CLAMPING_FACTOR, attempt.mint("delay"));
    let tags: Vec<_> = limits.iter().map(|limit| limit.tag()).collect();
    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
    let delay_seconds = delay.round_ties_even() as i64;
    Ruling::wait(delay_seconds, format!("Concurrency limit reached for tags: {}", tags.join(", ")))
}

/// Returns the taking of a slot of every first-generation limit, or why that can't be.
///
/// Prefect looks at them only where a tag has no limit of the second generation, but then at all of them;
/// and of several refusals the last one counts.
fn take_tag_slots(transition: &Transition<TaskRun>) -> Result<Vec<Effect>, Ruling> {
    let facts = &transition.facts;
    let superseded: BTreeSet<&str> =
        facts.slot_limits.iter().filter(|limit| limit.active).map(SlotLimit::tag).collect();
    if facts.tag_limits.iter().all(|limit| superseded.contains(limit.tag.as_str())) {
        return Ok(Vec::new());
    }
    let refusal = facts.tag_limits.iter().rev().find_map(|limit| {
        if limit.limit == 0 {
            Some(deadlock(&limit.tag))
        } else if i64::try_from(limit.holders.len()).is_ok_and(|holders| holders < limit.limit) {
            None
        } else {
            #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
            let delay_seconds = transition.settings.tag_concurrency_slot_wait_seconds as i64;
            Some(Ruling::wait(delay_seconds, format!("Concurrency limit for the {} tag has been reached", limit.tag)))
        }
    });
    let task_run_id = transition.run.id;
    let occupy = |tag: &String| Effect::OccupyTagSlot { tag: tag.clone(), task_run_id };
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(facts.tag_limits.iter().map(|limit| occupy(&limit.tag)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            ConcurrencyLimitId, FlowRunId, State,
            StateType::{Pending, Running},
            TaskRunId,
        },
        orchestration::{
            EnclosingFlowRun, TagLimit, Verdict, decide,
            policy::CORE_TASK_POLICY,
            testing::{check_aborts, check_accepts, check_waits, decide_by, now, propose, task_run},
        },
    };

    const RULE: SecureTaskConcurrencySlots = SecureTaskConcurrencySlots;

    fn start(slot_limits: Vec<SlotLimit>, tag_limits: Vec<TagLimit>) -> Transition<TaskRun> {
        let tags = vec!["db".to_owned(), "disk".to_owned()];
        let mut transition = propose(TaskRun { tags, ..task_run(Pending) }, Running);
        transition.facts.slot_limits = slot_limits;
        transition.facts.tag_limits = tag_limits;
        transition
    }

    fn slots(tag: &str, limit: i64, active_slots: i64) -> SlotLimit {
        SlotLimit {
            id: ConcurrencyLimitId::new(),
            name: format!("tag:{tag}"),
            active: true,
            limit,
            active_slots,
            average_occupancy_seconds: 0.0,
        }
    }

    fn holders(tag: &str, limit: i64, holders: usize) -> TagLimit {
        TagLimit { tag: tag.to_owned(), limit, holders: (0..holders).map(|_| TaskRunId::new()).collect() }
    }

    #[test]
    fn asks_for_the_limits_of_its_tags() {
        let tags = ["db".to_owned(), "disk".to_owned()].into();
        assert_eq!(RULE.needs(&start(Vec::new(), Vec::new())), [Need::TagLimits(tags)]);
        assert_eq!(RULE.needs(&propose(task_run(Pending), Running)), []);
    }

    #[test]
    fn takes_a_slot_of_every_limit() {
        let limits = vec![slots("db", 2, 1), slots("disk", 1, 0)];
        let ids: Vec<_> = limits.iter().map(|limit| limit.id).collect();
        let plan = check_accepts(&RULE, &start(limits, Vec::new()));
        let [Effect::AcquireSlots { limits: taken, holder, .. }] = &plan.effects[..] else {
            panic!("{:?}", plan.effects)
        };
        assert_eq!((taken, *holder), (&ids, Some(LeaseHolder::TaskRun(plan.run.id))));
    }

    #[test]
    fn waits_for_all_of_them() {
        let plan = decide_by(&RULE, &start(vec![slots("db", 2, 1), slots("disk", 1, 1)], Vec::new()));
        let Verdict::Wait { delay_seconds, reason } = &plan.verdict else { panic!("{:?}", plan.verdict) };
        assert_eq!(reason, "Concurrency limit reached for tags: db, disk");
        assert!((1..=13).contains(delay_seconds), "{delay_seconds}");
        assert_eq!(plan.effects, []);
    }

    #[test]
    fn gives_up_where_there_will_never_be_a_slot() {
        let reason = "The concurrency limit on tag \"db\" is 0 and will deadlock if the task tries to run again.";
        check_aborts(&RULE, &start(vec![slots("db", 0, 0), slots("disk", 1, 0)], Vec::new()), reason);
        check_aborts(&RULE, &start(Vec::new(), vec![holders("db", 0, 0)]), reason);
    }

    #[test]
    fn passes_over_inactive_limits() {
        let inactive = SlotLimit { active: false, ..slots("db", 0, 0) };
        assert_eq!(check_accepts(&RULE, &start(vec![inactive], Vec::new())).effects, []);
    }

    #[test]
    fn takes_slots_of_the_first_generation() {
        let plan = check_accepts(&RULE, &start(Vec::new(), vec![holders("db", 1, 0)]));
        let expected = Effect::OccupyTagSlot { tag: "db".to_owned(), task_run_id: plan.run.id };
        assert_eq!(plan.effects, [expected]);
        let reason = "Concurrency limit for the db tag has been reached";
        check_waits(&RULE, &start(Vec::new(), vec![holders("db", 1, 1)]), 10, reason);
    }

    #[test]
    fn lets_the_second_generation_take_precedence() {
        let plan = check_accepts(&RULE, &start(vec![slots("db", 1, 0)], vec![holders("db", 1, 1)]));
        assert!(matches!(plan.effects[..], [Effect::AcquireSlots { .. }]));
    }

    #[test]
    fn takes_no_slots_for_a_run_that_has_to_wait() {
        let flow_run_id = FlowRunId::new();
        let mut transition = start(vec![slots("db", 1, 0)], Vec::new());
        transition.run.flow_run_id = Some(flow_run_id);
        let state = Some(State::new(crate::model::StateId::new(), Running, now()));
        transition.facts.flow_run = Some(EnclosingFlowRun { id: flow_run_id, state, run_count: 1 });
        let details = &mut transition.run.state.as_mut().unwrap().state_details;
        details.scheduled_time = Some(now().plus_seconds(60.0));
        let plan = decide(&CORE_TASK_POLICY, &transition);
        assert_eq!(plan.entered(), None);
        assert_eq!(plan.effects, []);
    }
}
