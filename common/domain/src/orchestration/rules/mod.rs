//! The rules, one file each; [`super::policy`] puts them in order.
//!
//! A new rule is a file here with its tests, a line in the list below, and a place in a policy. What it has
//! to know it asks for in `needs`; if no [`super::Need`] fits, it takes a new one, and a fact to answer it.

macro_rules! rules {
    ($($module:ident: $rule:ident),+ $(,)?) => {
        $(mod $module;)+
        $(pub use $module::$rule;)+
    };
}

rules! {
    bypass_cancelling_flow_runs_with_no_infra: BypassCancellingFlowRunsWithNoInfra,
    cache_insertion: CacheInsertion,
    cache_retrieval: CacheRetrieval,
    copy_scheduled_time: CopyScheduledTime,
    copy_task_parameters_id: CopyTaskParametersId,
    enforce_cancelling_to_cancelled_transition: EnforceCancellingToCancelledTransition,
    enforce_deployment_concurrency_on_late: EnforceDeploymentConcurrencyOnLate,
    enqueue_scheduled_tasks: EnqueueScheduledTasks,
    ensure_only_scheduled_flows_marked_late: EnsureOnlyScheduledFlowsMarkedLate,
    handle_flow_terminal_state_transitions: HandleFlowTerminalStateTransitions,
    handle_pausing_flows: HandlePausingFlows,
    handle_resuming_paused_flows: HandleResumingPausedFlows,
    handle_task_terminal_state_transitions: HandleTaskTerminalStateTransitions,
    preserve_deployment_concurrency_lease_id: PreserveDeploymentConcurrencyLeaseId,
    prevent_duplicate_transitions: PreventDuplicateTransitions,
    prevent_pending_transitions: PreventPendingTransitions,
    prevent_result_data_loss: PreventResultDataLoss,
    prevent_running_tasks_from_stopped_flows: PreventRunningTasksFromStoppedFlows,
    prevent_scheduling_without_deployment: PreventSchedulingWithoutDeployment,
    release_flow_concurrency_slots: ReleaseFlowConcurrencySlots,
    release_task_concurrency_slots: ReleaseTaskConcurrencySlots,
    remove_deployment_concurrency_lease_for_old_client_versions: RemoveDeploymentConcurrencyLeaseForOldClientVersions,
    rename_reruns: RenameReruns,
    retry_failed_flows: RetryFailedFlows,
    retry_failed_tasks: RetryFailedTasks,
    secure_flow_concurrency_slots: SecureFlowConcurrencySlots,
    secure_task_concurrency_slots: SecureTaskConcurrencySlots,
    update_flow_run_tracker_on_tasks: UpdateFlowRunTrackerOnTasks,
    validate_deployment_concurrency_at_running: ValidateDeploymentConcurrencyAtRunning,
    wait_for_scheduled_time: WaitForScheduledTime,
}
