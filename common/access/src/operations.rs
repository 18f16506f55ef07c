//! Which role each operation needs: the one place where that is decided.
//!
//! Every operation of the contract is in exactly one of these lists, or is a `GET`, which reads; a test holds the
//! lists against the contract. What is in none of them is for the administrator.

use super::Role;

/// What load balancers ask without any credentials, as Prefect lets them.
pub const PROBES: [(&str, &str); 2] = [("GET", "/health"), ("GET", "/ready")];

/// What reads and yet is no `GET`, because its filter is sent as a body.
const READS: &[(&str, &str)] = &[
    ("POST", "/flows/count"),
    ("POST", "/flows/filter"),
    ("POST", "/flows/paginate"),
    ("POST", "/flow_runs/count"),
    ("POST", "/flow_runs/lateness"),
    ("POST", "/flow_runs/history"),
    ("POST", "/flow_runs/filter"),
    ("POST", "/flow_runs/paginate"),
    ("POST", "/flow_runs/{id}/input/filter"),
    ("POST", "/task_runs/count"),
    ("POST", "/task_runs/history"),
    ("POST", "/task_runs/filter"),
    ("POST", "/task_runs/paginate"),
    ("POST", "/deployments/filter"),
    ("POST", "/deployments/paginate"),
    ("POST", "/deployments/count"),
    ("POST", "/saved_searches/filter"),
    ("POST", "/logs/filter"),
    ("POST", "/concurrency_limits/filter"),
    ("POST", "/v2/concurrency_limits/filter"),
    ("POST", "/block_types/filter"),
    ("POST", "/block_documents/count"),
    ("POST", "/block_schemas/filter"),
    ("POST", "/work_pools/filter"),
    ("POST", "/work_pools/count"),
    ("POST", "/work_pools/{name}/concurrency_status"),
    ("POST", "/work_pools/{work_pool_name}/queues/filter"),
    ("POST", "/work_pools/{work_pool_name}/workers/filter"),
    ("POST", "/task_workers/filter"),
    ("POST", "/work_queues/filter"),
    ("POST", "/work_queues/{id}/concurrency_status"),
    ("POST", "/artifacts/filter"),
    ("POST", "/artifacts/latest/filter"),
    ("POST", "/artifacts/count"),
    ("POST", "/artifacts/latest/count"),
    ("POST", "/variables/filter"),
    ("POST", "/variables/count"),
    ("POST", "/events/filter"),
    ("POST", "/events/count-by/{countable}"),
    ("POST", "/automations/filter"),
    ("POST", "/automations/count"),
    ("POST", "/templates/validate"),
    ("POST", "/automations/templates/validate"),
    ("POST", "/ui/flows/count-deployments"),
    ("POST", "/ui/flows/next-runs"),
    ("POST", "/ui/flow_runs/history"),
    ("POST", "/ui/flow_runs/count-task-runs"),
    ("POST", "/ui/schemas/validate"),
    ("POST", "/ui/task_runs/dashboard/counts"),
    ("POST", "/ui/task_runs/count"),
];

/// What running flows, and the workers that start them, have to do.
const WORK: &[(&str, &str)] = &[
    ("POST", "/flows/"),
    ("POST", "/flow_runs/"),
    ("PATCH", "/flow_runs/{id}"),
    ("PATCH", "/flow_runs/{id}/labels"),
    ("POST", "/flow_runs/{id}/set_state"),
    ("POST", "/flow_runs/{id}/resume"),
    ("POST", "/flow_runs/{id}/input"),
    ("DELETE", "/flow_runs/{id}/input/{key}"),
    ("POST", "/task_runs/"),
    ("PATCH", "/task_runs/{id}"),
    ("POST", "/task_runs/{id}/set_state"),
    ("POST", "/logs/"),
    ("POST", "/events"),
    ("POST", "/artifacts/"),
    ("PATCH", "/artifacts/{id}"),
    ("POST", "/variables/"),
    ("PATCH", "/variables/{id}"),
    ("PATCH", "/variables/name/{name}"),
    ("POST", "/deployments/{id}/create_flow_run"),
    ("POST", "/deployments/{id}/create_flow_run/bulk"),
    ("POST", "/concurrency_limits/increment"),
    ("POST", "/concurrency_limits/decrement"),
    ("POST", "/v2/concurrency_limits/increment"),
    ("POST", "/v2/concurrency_limits/increment-with-lease"),
    ("POST", "/v2/concurrency_limits/decrement"),
    ("POST", "/v2/concurrency_limits/decrement-with-lease"),
    ("POST", "/v2/concurrency_limits/leases/{lease_id}/renew"),
    // These note who asked and when.
    ("POST", "/deployments/get_scheduled_flow_runs"),
    ("POST", "/work_pools/{name}/get_scheduled_flow_runs"),
    ("POST", "/work_pools/{work_pool_name}/workers/heartbeat"),
    ("POST", "/work_queues/{id}/get_runs"),
    // These answer with secrets when asked to.
    ("GET", "/block_documents/{id}"),
    ("POST", "/block_documents/filter"),
    ("GET", "/block_types/slug/{slug}/block_documents"),
    ("GET", "/block_types/slug/{slug}/block_documents/name/{block_document_name}"),
];

/// What changes what others rely on: deployments, pools, limits, blocks, automations; and what deletes records.
const ADMINISTRATION: &[(&str, &str)] = &[
    ("PATCH", "/flows/{id}"),
    ("DELETE", "/flows/{id}"),
    ("POST", "/flows/bulk_delete"),
    ("DELETE", "/flow_runs/{id}"),
    ("POST", "/flow_runs/bulk_delete"),
    ("POST", "/flow_runs/bulk_set_state"),
    ("DELETE", "/task_runs/{id}"),
    ("POST", "/deployments/"),
    ("PATCH", "/deployments/{id}"),
    ("DELETE", "/deployments/{id}"),
    ("POST", "/deployments/bulk_delete"),
    ("POST", "/deployments/{id}/schedule"),
    ("POST", "/deployments/{id}/resume_deployment"),
    ("POST", "/deployments/{id}/pause_deployment"),
    ("POST", "/deployments/{id}/schedules"),
    ("PATCH", "/deployments/{id}/schedules/{schedule_id}"),
    ("DELETE", "/deployments/{id}/schedules/{schedule_id}"),
    ("PUT", "/saved_searches/"),
    ("DELETE", "/saved_searches/{id}"),
    ("POST", "/concurrency_limits/"),
    ("DELETE", "/concurrency_limits/{id}"),
    ("DELETE", "/concurrency_limits/tag/{tag}"),
    ("POST", "/concurrency_limits/tag/{tag}/reset"),
    ("POST", "/v2/concurrency_limits/"),
    ("PATCH", "/v2/concurrency_limits/{id_or_name}"),
    ("DELETE", "/v2/concurrency_limits/{id_or_name}"),
    ("POST", "/block_types/"),
    ("PATCH", "/block_types/{id}"),
    ("DELETE", "/block_types/{id}"),
    ("POST", "/block_types/install_system_block_types"),
    ("POST", "/block_documents/"),
    ("PATCH", "/block_documents/{id}"),
    ("DELETE", "/block_documents/{id}"),
    ("POST", "/block_schemas/"),
    ("DELETE", "/block_schemas/{id}"),
    ("POST", "/work_pools/"),
    ("PATCH", "/work_pools/{name}"),
    ("DELETE", "/work_pools/{name}"),
    ("POST", "/work_pools/{work_pool_name}/queues"),
    ("PATCH", "/work_pools/{work_pool_name}/queues/{name}"),
    ("DELETE", "/work_pools/{work_pool_name}/queues/{name}"),
    ("DELETE", "/work_pools/{work_pool_name}/workers/{name}"),
    ("POST", "/work_queues/"),
    ("PATCH", "/work_queues/{id}"),
    ("DELETE", "/work_queues/{id}"),
    ("DELETE", "/artifacts/{id}"),
    ("DELETE", "/variables/{id}"),
    ("DELETE", "/variables/name/{name}"),
    ("POST", "/automations/"),
    ("PUT", "/automations/{id}"),
    ("PATCH", "/automations/{id}"),
    ("DELETE", "/automations/{id}"),
    ("DELETE", "/automations/owned-by/{resource_id}"),
    // They hold what the work was about, parameters among it.
    ("GET", "/dead_letters"),
    ("DELETE", "/dead_letters/{id}"),
    ("POST", "/dead_letters/{id}/redrive"),
    ("DELETE", "/operations/{id}"),
    // Who may call is told, and decided, by nobody else.
    ("GET", "/api_keys"),
    ("POST", "/api_keys"),
    ("POST", "/api_keys/{id}/revoke"),
    ("POST", "/deployments/{id}/branch"),
    ("POST", "/deployments/{id}/slas"),
    ("POST", "/slas/apply-resource-slas/{resource_id}"),
    ("PUT", "/admin/storage"),
    ("DELETE", "/admin/storage"),
];

/// Returns the role that `method` (upper case) on `path`, a template of the contract, needs; none for a probe.
pub fn required(method: &str, path: &str) -> Option<Role> {
    let operation = &(method, path);
    if PROBES.contains(operation) {
        None
    } else if WORK.contains(operation) {
        Some(Role::Worker)
    } else if ADMINISTRATION.contains(operation) {
        Some(Role::Admin)
    } else if method == "GET" || READS.contains(operation) {
        Some(Role::ReadOnly)
    } else {
        Some(Role::Admin)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use contract::Operation;

    #[test]
    fn every_operation_has_one_decision() {
        let lists = [&PROBES[..], READS, WORK, ADMINISTRATION];
        for operation in Operation::all() {
            let operation = (operation.method(), operation.path());
            let decisions = lists.iter().filter(|list| list.contains(&operation)).count();
            let reads_by_its_method = operation.0 == "GET";
            assert!(decisions == 1 || (decisions == 0 && reads_by_its_method), "{operation:?}: {decisions} decisions");
        }
    }

    #[test]
    fn only_operations_of_the_contract_are_decided_on_and_only_once() {
        let decided: Vec<_> = [&PROBES[..], READS, WORK, ADMINISTRATION].concat();
        assert_eq!(decided.iter().collect::<BTreeSet<_>>().len(), decided.len());
        for (method, path) in decided {
            assert!(Operation::find(method, path).is_some(), "{method} {path}");
        }
    }

    #[test]
    fn a_reader_changes_nothing_and_sees_no_secrets() {
        for operation in Operation::all() {
            if required(operation.method(), operation.path()) == Some(Role::ReadOnly) {
                assert!(matches!(operation.method(), "GET" | "POST"), "{}", operation.id());
                let is_about_blocks = operation.path().contains("block_documents");
                assert!(!is_about_blocks || operation.path().ends_with("/count"), "{}", operation.id());
            }
        }
    }

    #[test]
    fn what_nobody_decided_on_is_for_the_administrator() {
        assert_eq!(required("POST", "/nowhere"), Some(Role::Admin));
    }
}
