//! The kernel: a policy and a transition make a plan.

use crate::model::{State, StateType};

use super::{
    Effect, Hook, Plan, Policy, Rule, Run, Step, Transition, Verdict, bookkeeping,
    rule::{Attempt, Outcome, Ruling, Scope},
};

/// Decides what becomes of a run for which a state is proposed.
///
/// The module documentation of [`super`] says in which order the rules run and why. The same policy and
/// transition always make the same plan.
pub fn decide<R: Run>(policy: &Policy<R>, transition: &Transition<R>) -> Plan<R> {
    let intended = (transition.initial_type(), transition.proposed.r#type);
    let mut decision = Decision {
        transition,
        run: transition.run.clone(),
        proposed: Some(transition.proposed.clone()),
        verdict: Verdict::Accept,
        effects: Vec::new(),
        trace: Vec::new(),
    };
    let entered: Vec<_> = policy.select(intended).filter_map(|rule| decision.enter(rule, intended.1)).collect();
    let mut state = decision.settle();
    for rule in entered.iter().rev() {
        decision.exit(rule, state.as_mut());
    }
    decision.into_plan(state)
}

/// A decision in the making.
struct Decision<'a, R> {
    transition: &'a Transition<R>,
    run: R,
    proposed: Option<State>,
    verdict: Verdict,
    effects: Vec<(&'static str, Effect)>,
    trace: Vec<Step>,
}

/// A rule that takes part, and the type of the state that it saw proposed, or made of it.
struct Entered<R: 'static> {
    rule: &'static dyn Rule<R>,
    target: Option<StateType>,
}

impl<R: Run> Decision<'_, R> {
    fn proposed_type(&self) -> Option<StateType> {
        self.proposed.as_ref().map(|state| state.r#type)
    }

    /// Lets the rule judge, unless the proposed type is no longer the intended one; returns it if it takes part.
    fn enter(&mut self, rule: &'static dyn Rule<R>, intended: StateType) -> Option<Entered<R>> {
        let is_universal = rule.scope() == Scope::Universal;
        if !is_universal && self.proposed_type() != Some(intended) {
            return None;
        }
        if let Some(proposed) = self.proposed.as_mut() {
            let ruling = rule.before(&mut Attempt {
                rule: rule.name(),
                transition: self.transition,
                run: &mut self.run,
                proposed,
                effects: &mut self.effects,
            });
            self.trace.push(Step { rule: rule.name(), hook: Hook::Before });
            self.apply(ruling);
        }
        Some(Entered { rule, target: self.proposed_type() })
    }

    fn apply(&mut self, ruling: Ruling) {
        let (proposed, verdict) = match ruling {
            Ruling::Pass => return,
            Ruling::Reject { state, reason } => (state.map(|state| *state), Verdict::Reject { reason }),
            Ruling::Wait { delay_seconds, reason } => (None, Verdict::Wait { delay_seconds, reason }),
            Ruling::Abort { reason } => (None, Verdict::Abort { reason }),
        };
        self.proposed = proposed;
        self.verdict = verdict;
    }

    /// Enters what is proposed by now, if anything, and returns the state to answer.
    fn settle(&mut self) -> Option<State> {
        match self.proposed.clone() {
            Some(state) => Some(bookkeeping::enter(&mut self.run, state, self.transition, &mut self.effects)),
            None => self.run.state().cloned(),
        }
    }

    /// Lets the rule follow up what was decided, or clean up after itself.
    fn exit(&mut self, entered: &Entered<R>, state: Option<&mut State>) {
        let Entered { rule, target } = entered;
        let hook = match rule.scope() {
            Scope::Universal if self.proposed.is_none() => return,
            Scope::Universal => Hook::After,
            Scope::Between { to, .. } if !to.contains(*target) => return,
            Scope::Between { .. } if self.proposed_type() == *target => Hook::After,
            Scope::Between { .. } => Hook::CleanUp,
        };
        let mut outcome = Outcome {
            rule: rule.name(),
            transition: self.transition,
            run: &mut self.run,
            state,
            verdict: &self.verdict,
            effects: &mut self.effects,
        };
        if hook == Hook::After {
            rule.after(&mut outcome);
        } else {
            rule.clean_up(&mut outcome);
        }
        self.trace.push(Step { rule: rule.name(), hook });
    }

    fn into_plan(mut self, state: Option<State>) -> Plan<R> {
        let entered = self.proposed.is_some();
        let is_changed = entered || self.run != self.transition.run;
        if is_changed {
            *self.run.books().updated = self.transition.now;
        }
        Plan {
            verdict: self.verdict,
            state,
            run: self.run,
            is_changed,
            effects: self.effects.into_iter().map(|(_, effect)| effect).collect(),
            trace: self.trace,
            entered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            FlowRun,
            StateType::{Cancelled, Completed, Failed, Pending, Running},
        },
        orchestration::{
            StateTypes,
            testing::{flow_run, propose},
        },
    };

    /// A rule that rules as it is told.
    struct Told {
        name: &'static str,
        scope: Scope,
        ruling: fn(&Attempt<'_, FlowRun>) -> Ruling,
    }

    impl Rule<FlowRun> for Told {
        fn name(&self) -> &'static str {
            self.name
        }

        fn scope(&self) -> Scope {
            self.scope
        }

        fn before(&self, attempt: &mut Attempt<'_, FlowRun>) -> Ruling {
            (self.ruling)(attempt)
        }
    }

    const fn about(to: StateTypes) -> Scope {
        Scope::Between { from: StateTypes::ALL, to }
    }

    const PASSES: Told = Told { name: "passes", scope: about(StateTypes::ALL), ruling: |_| Ruling::Pass };
    const REJECTS: Told =
        Told { name: "rejects", scope: about(StateTypes::ALL), ruling: |_| Ruling::reject("as told") };
    const REJECTS_TARGET: Told = Told {
        name: "rejects its target",
        scope: about(StateTypes::of(&[Running])),
        ruling: |_| Ruling::reject("as told"),
    };
    const FAILS: Told = Told {
        name: "fails",
        scope: about(StateTypes::ALL),
        ruling: |attempt| Ruling::replace(attempt.state(Failed), "as told"),
    };
    const RENAMES: Told = Told {
        name: "renames",
        scope: about(StateTypes::ALL),
        ruling: |attempt| {
            Ruling::replace(attempt.proposed.clone().named(&format!("{} again", attempt.proposed.name)), "as told")
        },
    };
    const UNIVERSAL: Told = Told { name: "universal", scope: Scope::Universal, ruling: |_| Ruling::Pass };

    fn trace(rules: &'static [&'static dyn Rule<FlowRun>]) -> (Plan<FlowRun>, Vec<(&'static str, Hook)>) {
        let plan = decide(&Policy { name: "as told", rules }, &propose(flow_run(Pending), Running));
        let trace = plan.trace.iter().map(|step| (step.rule, step.hook)).collect();
        (plan, trace)
    }

    #[test]
    fn runs_rules_in_order_and_then_in_reverse_order() {
        let (plan, trace) = trace(&[&UNIVERSAL, &PASSES]);
        assert_eq!(plan.verdict, Verdict::Accept);
        let expected = [
            ("universal", Hook::Before),
            ("passes", Hook::Before),
            ("passes", Hook::After),
            ("universal", Hook::After),
        ];
        assert_eq!(trace, expected);
    }

    #[test]
    fn silences_the_rules_behind_a_refusal_and_has_those_before_it_clean_up() {
        let (plan, trace) = trace(&[&PASSES, &FAILS, &REJECTS, &UNIVERSAL]);
        assert_eq!(plan.entered().map(|state| state.r#type), Some(Failed));
        let expected = [
            ("passes", Hook::Before),
            ("fails", Hook::Before),
            ("universal", Hook::Before),
            ("universal", Hook::After),
            ("fails", Hook::After),
            ("passes", Hook::CleanUp),
        ];
        assert_eq!(trace, expected);
    }

    #[test]
    fn follows_up_a_rule_that_is_about_no_state_too() {
        let (plan, trace) = trace(&[&REJECTS, &UNIVERSAL]);
        assert_eq!(plan.entered(), None);
        assert_eq!(trace, [("rejects", Hook::Before), ("rejects", Hook::After)]);
    }

    #[test]
    fn forgets_a_rule_whose_target_is_gone() {
        let (_, trace) = trace(&[&REJECTS_TARGET]);
        assert_eq!(trace, [("rejects its target", Hook::Before)]);
    }

    #[test]
    fn goes_on_where_a_refusal_keeps_the_type() {
        let (plan, trace) = trace(&[&RENAMES, &RENAMES]);
        assert_eq!(plan.run.state_name.as_deref(), Some("Running again again"));
        assert_eq!(trace.len(), 4);
    }

    #[test]
    fn leaves_rules_out_that_are_about_other_transitions() {
        const ELSEWHERE: Told = Told {
            name: "elsewhere",
            scope: about(StateTypes::of(&[Completed, Cancelled])),
            ruling: |_| Ruling::reject("never"),
        };
        let (plan, trace) = trace(&[&ELSEWHERE]);
        assert_eq!((plan.verdict, trace), (Verdict::Accept, Vec::new()));
    }
}
