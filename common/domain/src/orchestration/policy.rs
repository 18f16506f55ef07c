//! Policies: which rules decide, in which order.
//!
//! Each policy is Prefect's of the same name, in Prefect's order, with one rule of our own
//! (`PreventSchedulingWithoutDeployment`). The order is part of the behaviour;
//! see the module documentation of [`super`].

use std::collections::BTreeSet;

use crate::model::{FlowRun, State, StateType, TaskRun};

use super::{
    Need, Rule, Run, Transition,
    rules::{
        BypassCancellingFlowRunsWithNoInfra, CacheInsertion, CacheRetrieval, CopyScheduledTime, CopyTaskParametersId,
        EnforceCancellingToCancelledTransition, EnforceDeploymentConcurrencyOnLate, EnqueueScheduledTasks,
        EnsureOnlyScheduledFlowsMarkedLate, HandleFlowTerminalStateTransitions, HandlePausingFlows,
        HandleResumingPausedFlows, HandleTaskTerminalStateTransitions, PreserveDeploymentConcurrencyLeaseId,
        PreventDuplicateTransitions, PreventPendingTransitions, PreventResultDataLoss,
        PreventRunningTasksFromStoppedFlows, PreventSchedulingWithoutDeployment, ReleaseFlowConcurrencySlots,
        ReleaseTaskConcurrencySlots, RemoveDeploymentConcurrencyLeaseForOldClientVersions, RenameReruns,
        RetryFailedFlows, RetryFailedTasks, SecureFlowConcurrencySlots, SecureTaskConcurrencySlots,
        UpdateFlowRunTrackerOnTasks, ValidateDeploymentConcurrencyAtRunning, WaitForScheduledTime,
    },
};

/// An ordered list of rules for one kind of run.
pub struct Policy<R: 'static> {
    /// The policy's name, which is Prefect's.
    pub name: &'static str,
    /// The rules, in the order in which they judge.
    pub rules: &'static [&'static dyn Rule<R>],
}

impl<R: Run> Policy<R> {
    /// Returns the rules that take part in a transition between the two types, in order.
    pub(super) fn select(
        &self,
        (from, to): (Option<StateType>, StateType),
    ) -> impl Iterator<Item = &'static dyn Rule<R>> {
        self.rules.iter().copied().filter(move |rule| rule.scope().contains(from, Some(to)))
    }

    /// Returns what its rules have to know in order to decide on the transition; its facts are not looked at.
    pub fn needs(&self, transition: &Transition<R>) -> BTreeSet<Need> {
        let intended = (transition.initial_type(), transition.proposed.r#type);
        self.select(intended).flat_map(|rule| rule.needs(transition)).collect()
    }
}

/// What decides on a flow run's states.
pub const CORE_FLOW_POLICY: Policy<FlowRun> = Policy {
    name: "CoreFlowPolicy",
    rules: &[
        &PreserveDeploymentConcurrencyLeaseId,
        &PreventDuplicateTransitions,
        &HandleFlowTerminalStateTransitions,
        &PreventSchedulingWithoutDeployment,
        &EnforceCancellingToCancelledTransition,
        &BypassCancellingFlowRunsWithNoInfra,
        &PreventPendingTransitions,
        &ValidateDeploymentConcurrencyAtRunning,
        &SecureFlowConcurrencySlots,
        &RemoveDeploymentConcurrencyLeaseForOldClientVersions,
        &EnsureOnlyScheduledFlowsMarkedLate,
        &HandlePausingFlows,
        &HandleResumingPausedFlows,
        &CopyScheduledTime,
        &WaitForScheduledTime,
        &RetryFailedFlows,
        &ReleaseFlowConcurrencySlots,
    ],
};

/// What decides on a flow run's states that are forced, or that come with the run's creation.
pub const MINIMAL_FLOW_POLICY: Policy<FlowRun> = Policy {
    name: "MinimalFlowPolicy",
    rules: &[
        &PreserveDeploymentConcurrencyLeaseId,
        &PreventResultDataLoss,
        &PreventSchedulingWithoutDeployment,
        &BypassCancellingFlowRunsWithNoInfra,
        &ReleaseFlowConcurrencySlots,
    ],
};

/// What decides when the late-runs service marks a flow run as late.
pub const MARK_LATE_RUNS_POLICY: Policy<FlowRun> = Policy {
    name: "MarkLateRunsPolicy",
    rules: &[&EnsureOnlyScheduledFlowsMarkedLate, &EnforceDeploymentConcurrencyOnLate],
};

/// What decides on a task run's states.
pub const CORE_TASK_POLICY: Policy<TaskRun> = Policy {
    name: "CoreTaskPolicy",
    rules: &[
        &CacheRetrieval,
        &HandleTaskTerminalStateTransitions,
        &PreventRunningTasksFromStoppedFlows,
        &SecureTaskConcurrencySlots,
        &CopyScheduledTime,
        &WaitForScheduledTime,
        &RetryFailedTasks,
        &RenameReruns,
        &UpdateFlowRunTrackerOnTasks,
        &CacheInsertion,
        &ReleaseTaskConcurrencySlots,
    ],
};

/// What decides on a task run's states where the client orchestrates: the core policy without slots of tags.
///
/// Prefect's server has it and never uses it; its clients do.
pub const CLIENT_SIDE_TASK_ORCHESTRATION_POLICY: Policy<TaskRun> = Policy {
    name: "ClientSideTaskOrchestrationPolicy",
    rules: &[
        &CacheRetrieval,
        &HandleTaskTerminalStateTransitions,
        &PreventRunningTasksFromStoppedFlows,
        &CopyScheduledTime,
        &WaitForScheduledTime,
        &RetryFailedTasks,
        &RenameReruns,
        &UpdateFlowRunTrackerOnTasks,
        &CacheInsertion,
        &ReleaseTaskConcurrencySlots,
    ],
};

/// What decides on the states of a background task run, which task workers execute.
pub const BACKGROUND_TASK_POLICY: Policy<TaskRun> = Policy {
    name: "BackgroundTaskPolicy",
    rules: &[
        &PreventPendingTransitions,
        &CacheRetrieval,
        &HandleTaskTerminalStateTransitions,
        &CopyScheduledTime,
        &CopyTaskParametersId,
        &WaitForScheduledTime,
        &RetryFailedTasks,
        &RenameReruns,
        &UpdateFlowRunTrackerOnTasks,
        &CacheInsertion,
        &ReleaseTaskConcurrencySlots,
        &EnqueueScheduledTasks,
    ],
};

/// What decides on a task run's states that are forced, or that come with the run's creation.
pub const MINIMAL_TASK_POLICY: Policy<TaskRun> =
    Policy { name: "MinimalTaskPolicy", rules: &[&ReleaseTaskConcurrencySlots] };

/// Returns the policy that decides on a state proposed for a flow run through the API.
///
/// Forcing a state leaves out the rules that would judge it, but not what protects results and frees slots.
/// Creating a run with a state forces it.
pub fn flow_policy(is_forced: bool) -> &'static Policy<FlowRun> {
    if is_forced { &MINIMAL_FLOW_POLICY } else { &CORE_FLOW_POLICY }
}

/// Returns the policy that decides on a state proposed for a task run through the API.
///
/// A background task run's states are judged even when they are forced, as Prefect does it. Creating a
/// run with a state forces it.
pub fn task_policy(proposed: &State, is_forced: bool) -> &'static Policy<TaskRun> {
    if proposed.state_details.deferred == Some(true) {
        &BACKGROUND_TASK_POLICY
    } else if is_forced {
        &MINIMAL_TASK_POLICY
    } else {
        &CORE_TASK_POLICY
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{StateId, Timestamp};

    use super::*;

    fn names<R: Run>(policy: &Policy<R>) -> Vec<&'static str> {
        policy.rules.iter().map(|rule| rule.name()).collect()
    }

    #[test]
    fn has_the_client_side_policy_differ_by_slots_only() {
        let core: Vec<_> =
            names(&CORE_TASK_POLICY).into_iter().filter(|name| *name != "SecureTaskConcurrencySlots").collect();
        assert_eq!(names(&CLIENT_SIDE_TASK_ORCHESTRATION_POLICY), core);
    }

    #[test]
    fn looks_up_the_cache_before_it_takes_slots() {
        let names = names(&CORE_TASK_POLICY);
        let position = |wanted| names.iter().position(|name| *name == wanted);
        assert!(position("CacheRetrieval") < position("SecureTaskConcurrencySlots"));
    }

    #[test]
    fn judges_background_task_runs_even_when_forced() {
        let mut state = State::new(StateId::new(), StateType::Scheduled, Timestamp::now());
        assert_eq!(task_policy(&state, true).name, "MinimalTaskPolicy");
        assert_eq!(task_policy(&state, false).name, "CoreTaskPolicy");
        state.state_details.deferred = Some(true);
        assert_eq!(task_policy(&state, true).name, "BackgroundTaskPolicy");
    }
}
