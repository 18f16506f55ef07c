"""What goes with a record that is deleted: every reader knows of it once the deletion is answered, without a wait."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY, scheduled
from .side_by_side import Pair

RUNNING = {"type": "RUNNING", "name": "Running"}
LATER = "2099-01-01T00:00:00Z"

Reads = list[tuple[Any, ...]]


def by_name(body: Any) -> Any:
    """Some lists come in no order."""
    return sorted(body, key=lambda item: item.get("name", "")) if isinstance(body, list) else body


def check_all(pair: Pair, reads: Reads) -> None:
    for method, path, *body in reads:
        pair.check(method, path, *body, view=by_name)


def check_states(pair: Pair, kind: str, run: str) -> None:
    pair.check("GET", f"/{kind}_states/", params={f"{kind}_id": run})


def first_state(pair: Pair, kind: str, run: str) -> str:
    return pair.prepare("GET", f"/{kind}_states/", params={f"{kind}_id": run}).at(0, "id")


def add_flow(pair: Pair, name: str) -> str:
    return pair.prepare("POST", "/flows/", {"name": name})["id"]


def add_deployment(pair: Pair, flow: str, name: str, **more: Any) -> str:
    schedule = {"schedule": {"interval": 3600}, "active": False}
    body = {"flow_id": flow, "name": name, "schedules": [schedule], **more}
    return pair.prepare("POST", "/deployments/", body)["id"]


def add_flow_run(pair: Pair, flow: str, **more: Any) -> str:
    return pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "run", **more})["id"]


def add_task_run(pair: Pair, flow_run: str, key: str = "0") -> str:
    body = {"flow_run_id": flow_run, "task_key": "task", "dynamic_key": key, "name": "task", "state": RUNNING}
    return pair.prepare("POST", "/task_runs/", body)["id"]


def of_deployment(id: str, flow: str, flow_name: str, name: str) -> Reads:
    by_id = {"deployments": {"id": {"any_": [id]}}}
    by_name = {"deployments": {"name": {"any_": [name]}}}
    return [
        ("GET", f"/deployments/{id}"),
        ("GET", f"/deployments/name/{flow_name}/{name}"),
        ("GET", f"/deployments/{id}/schedules"),
        ("GET", f"/deployments/{id}/work_queue_check"),
        *(("POST", f"/deployments/{what}", body) for what in ("filter", "count") for body in (by_id, by_name)),
        ("POST", "/deployments/filter", {"flows": {"id": {"any_": [flow]}}}),
        ("POST", "/deployments/filter", {"deployments": {"name": {"like_": name}}}),
        ("POST", "/deployments/paginate", by_name),
        ("POST", "/flow_runs/filter", by_id),
        ("POST", "/flow_runs/filter", by_name),
        ("POST", "/flows/filter", by_name),
        ("POST", "/deployments/get_scheduled_flow_runs", {"deployment_ids": [id]}),
        ("PATCH", f"/deployments/{id}", {"description": "changed"}),
        ("POST", f"/deployments/{id}/pause_deployment"),
        ("POST", f"/deployments/{id}/create_flow_run", {}),
        ("POST", f"/deployments/{id}/schedule", {}),
        ("DELETE", f"/deployments/{id}"),
    ]


def of_flow_run(id: str) -> Reads:
    by_id = {"flow_runs": {"id": {"any_": [id]}}}
    return [
        ("GET", f"/flow_runs/{id}"),
        ("GET", f"/flow_runs/{id}/input/key"),
        ("POST", f"/flow_runs/{id}/input/filter", {"prefix": "key"}),
        ("GET", f"/flow_runs/{id}/graph-v2"),
        ("POST", "/flow_runs/filter", by_id),
        ("POST", "/flow_runs/count", by_id),
        ("POST", "/task_runs/filter", by_id),
        ("POST", "/task_runs/count", by_id),
        ("POST", "/ui/flow_runs/count-task-runs", {"flow_run_ids": [id]}),
        ("POST", f"/flow_runs/{id}/set_state", {"state": {"type": "COMPLETED"}}),
        ("POST", f"/flow_runs/{id}/set_state", {"state": {"type": "COMPLETED"}, "force": True}),
        ("PATCH", f"/flow_runs/{id}", {"name": "changed"}),
        ("PATCH", f"/flow_runs/{id}/labels", {"a": "b"}),
        ("DELETE", f"/flow_runs/{id}"),
    ]


def of_task_run(id: str, flow_run: str) -> Reads:
    by_id = {"task_runs": {"id": {"any_": [id]}}}
    return [
        *(
            ("POST", f"/task_runs/{id}/set_state", {"state": {"type": type}, "force": force})
            for type in ("PENDING", "RUNNING", "COMPLETED")
            for force in (False, True)
        ),
        ("GET", f"/task_runs/{id}"),
        ("POST", "/task_runs/filter", by_id),
        ("POST", "/task_runs/count", by_id),
        ("POST", "/task_runs/filter", {"task_runs": {"flow_run_id": {"any_": [flow_run]}}}),
        ("POST", "/task_runs/count", {"task_runs": {"flow_run_id": {"any_": [flow_run]}}}),
        ("POST", "/flow_runs/filter", by_id),
        ("PATCH", f"/task_runs/{id}", {"name": "changed"}),
        ("DELETE", f"/task_runs/{id}"),
    ]


@pytest.mark.parametrize("is_bulk", [False, True], ids=["one", "bulk"])
def test_flow(pair: Pair, is_bulk: bool) -> None:
    """With a flow go its deployments and its runs with their task runs; a deployment's limit stays."""
    name = f"deleted-{is_bulk}"
    flow = add_flow(pair, name)
    deployments = {f"{name}-{number}": add_deployment(pair, flow, f"{name}-{number}") for number in range(3)}
    limited = add_deployment(pair, flow, f"{name}-limited", concurrency_limit=2)
    limit = pair.prepare("GET", f"/deployments/{limited}").at("global_concurrency_limit", "id")
    deployments[f"{name}-limited"] = limited
    runs = [add_flow_run(pair, flow, state=state) for state in (None, RUNNING, scheduled(LATER))]
    waiting = pair.prepare("POST", f"/deployments/{limited}/create_flow_run", {})["id"]
    pair.prepare("POST", f"/flow_runs/{runs[1]}/input", {"key": "key", "value": "value"})
    state = first_state(pair, "flow_run", runs[1])
    task_runs = [add_task_run(pair, runs[1], str(number)) for number in range(3)]
    parent = add_task_run(pair, runs[0])
    below = add_flow_run(pair, flow, parent_task_run_id=parent)
    other = add_flow(pair, f"{name}-other")
    elsewhere = add_flow_run(pair, other, parent_task_run_id=parent)

    if is_bulk:
        pair.check("POST", "/flows/bulk_delete", {"flows": {"id": {"any_": [flow]}}})
    else:
        pair.check("DELETE", f"/flows/{flow}")
    for name_of_deployment, id in deployments.items():
        check_all(pair, of_deployment(id, flow, name, name_of_deployment))
    for task_run in task_runs:
        check_all(pair, of_task_run(task_run, runs[1]))
        check_states(pair, "task_run", task_run)
    check_all(pair, of_task_run(parent, runs[0]))
    for run in (*runs, waiting, below):
        check_all(pair, of_flow_run(run))
        check_states(pair, "flow_run", run)
    check_all(
        pair,
        [
            ("GET", f"/flow_run_states/{state}"),
            ("GET", f"/flow_runs/{elsewhere}"),
            ("GET", f"/v2/concurrency_limits/{limit}"),
            ("GET", f"/flows/{flow}"),
            ("GET", f"/flows/name/{name}"),
            ("POST", "/flows/filter", {"flows": {"id": {"any_": [flow]}}}),
            ("POST", "/flow_runs/filter", {"flows": {"id": {"any_": [flow]}}}),
            ("POST", "/flow_runs/count", {"flows": {"name": {"any_": [name]}}}),
            ("DELETE", f"/flows/{flow}"),
        ],
    )


@pytest.mark.parametrize("is_bulk", [False, True], ids=["one", "bulk"])
def test_flow_run(pair: Pair, is_bulk: bool) -> None:
    """With a flow run go its task runs, its states and its inputs; the subflow runs stay."""
    flow = add_flow(pair, "deleted-runs")
    run = add_flow_run(pair, flow, state=RUNNING)
    pair.prepare("POST", f"/flow_runs/{run}/input", {"key": "key", "value": "value"})
    task_runs = [add_task_run(pair, run, str(number)) for number in range(12)]
    below = add_flow_run(pair, flow, parent_task_run_id=task_runs[0])
    state = first_state(pair, "task_run", task_runs[0])
    if is_bulk:
        pair.check("POST", "/flow_runs/bulk_delete", {"flow_runs": {"id": {"any_": [run]}}})
    else:
        pair.check("DELETE", f"/flow_runs/{run}")
    for task_run in task_runs:
        check_all(pair, of_task_run(task_run, run))
        check_states(pair, "task_run", task_run)
    check_states(pair, "flow_run", run)
    check_all(
        pair,
        [
            *of_flow_run(run),
            ("GET", f"/task_run_states/{state}"),
            ("GET", f"/flow_runs/{below}"),
            ("POST", "/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}),
            ("POST", "/flow_runs/filter", {"flow_runs": {"parent_task_run_id": {"any_": [task_runs[0]]}}}),
        ],
    )


def test_task_run(pair: Pair) -> None:
    """With a task run go its states; a subflow run has no parent any more."""
    flow = add_flow(pair, "deleted-task-runs")
    run = add_flow_run(pair, flow, state=RUNNING)
    task_run = add_task_run(pair, run)
    below = add_flow_run(pair, flow, parent_task_run_id=task_run)
    state = first_state(pair, "task_run", task_run)
    pair.check("DELETE", f"/task_runs/{task_run}")
    check_all(pair, [*of_task_run(task_run, run), ("GET", f"/task_run_states/{state}"), ("GET", f"/flow_runs/{below}")])


@pytest.mark.parametrize("is_bulk", [False, True], ids=["one", "bulk"])
def test_deployment(pair: Pair, is_bulk: bool) -> None:
    """With a deployment go its limit and the runs that never ran; the others keep its id."""
    name = f"deleted-deployment-{is_bulk}"
    flow = add_flow(pair, name)
    deployment = add_deployment(pair, flow, name, concurrency_limit=1)
    limit = pair.prepare("GET", f"/deployments/{deployment}").at("global_concurrency_limit", "id")
    create = f"/deployments/{deployment}/create_flow_run"
    waiting = [pair.prepare("POST", create, {"state": scheduled(LATER)})["id"] for _ in range(20)]
    started = pair.prepare("POST", create, {"state": {"type": "PENDING"}})["id"]
    if is_bulk:
        pair.check("POST", "/deployments/bulk_delete", {"deployments": {"id": {"any_": [deployment]}}})
    else:
        pair.check("DELETE", f"/deployments/{deployment}")
    for run in waiting[:10]:
        check_all(pair, [("GET", f"/flow_runs/{run}")])
    for run in waiting[-2:]:
        check_all(pair, of_flow_run(run))
    check_all(
        pair,
        [
            *of_deployment(deployment, flow, name, name),
            ("GET", f"/flow_runs/{started}"),
            ("POST", "/flow_runs/count", {"flow_runs": {"deployment_id": {"any_": [deployment]}}}),
            ("POST", "/flow_runs/filter", {"flow_runs": {"deployment_id": {"any_": [deployment]}}}),
            ("GET", f"/v2/concurrency_limits/{limit}"),
        ],
    )


def test_concurrency_limit(pair: Pair) -> None:
    """A deployment has no limit any more when the one that it points to is deleted."""
    limit = pair.prepare("POST", "/v2/concurrency_limits/", {"name": "deleted-limit", "limit": 1})["id"]
    flow = add_flow(pair, "deleted-limits")
    deployment = add_deployment(pair, flow, "deleted-limit", global_concurrency_limit_id=limit)
    run = pair.prepare("POST", f"/deployments/{deployment}/create_flow_run", {})["id"]
    pair.check("DELETE", f"/v2/concurrency_limits/{limit}")
    check_all(
        pair,
        [
            ("GET", f"/deployments/{deployment}"),
            ("POST", "/deployments/filter", {"deployments": {"id": {"any_": [deployment]}}}),
            ("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}}),
            ("GET", f"/v2/concurrency_limits/{limit}"),
        ],
    )


PLACES = ["pool", "queue of pool", "queue"]


@pytest.mark.parametrize("deleted", PLACES)
def test_work_pool_and_queue(pair: Pair, deleted: str) -> None:
    """With a pool go its queues and workers; deployments and runs that were in a queue are in none."""
    name = f"deleted {deleted}".replace(" ", "-")
    pair.prepare("POST", "/work_pools/", {"name": name, "type": "process"})
    queue = pair.prepare("POST", f"/work_pools/{name}/queues", {"name": "q"})["id"]
    pair.prepare("POST", f"/work_pools/{name}/workers/heartbeat", {"name": "w"})
    flow = add_flow(pair, name)
    deployment = add_deployment(pair, flow, name, work_pool_name=name, work_queue_name="q")
    create = f"/deployments/{deployment}/create_flow_run"
    states = (scheduled(LATER), {"type": "PENDING"}, {"type": "CANCELLING"})
    runs = [pair.prepare("POST", create, {"state": state, "name": state["type"]})["id"] for state in states]
    path = {"pool": f"/work_pools/{name}", "queue of pool": f"/work_pools/{name}/queues/q", "queue": f"/work_queues/{queue}"}
    pair.check("DELETE", path[deleted])
    in_pool, in_queue = {"work_pools": {"name": {"any_": [name]}}}, {"work_pool_queues": {"id": {"any_": [queue]}}}
    check_all(
        pair,
        [
            *(("GET", f"/flow_runs/{run}") for run in runs),
            ("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": runs}}, "sort": "NAME_ASC"}),
            ("GET", f"/deployments/{deployment}"),
            ("GET", f"/deployments/{deployment}/work_queue_check"),
            ("POST", "/deployments/filter", {"deployments": {"id": {"any_": [deployment]}}}),
            ("GET", f"/work_queues/{queue}"),
            ("GET", f"/work_queues/{queue}/status"),
            ("POST", f"/work_queues/{queue}/get_runs", {}),
            ("POST", "/work_queues/filter", {"work_queues": {"id": {"any_": [queue]}}}),
            ("GET", f"/work_pools/{name}"),
            ("GET", f"/work_pools/{name}/queues/q"),
            ("POST", f"/work_pools/{name}/queues/filter", {}),
            ("POST", f"/work_pools/{name}/workers/filter", {}),
            ("POST", f"/work_pools/{name}/get_scheduled_flow_runs", {}),
            ("POST", "/work_pools/filter", in_pool),
            *(
                ("POST", f"/{what}", body)
                for what in ("flow_runs/filter", "flow_runs/count", "deployments/filter", "deployments/count")
                for body in (in_pool, in_queue)
            ),
        ],
    )


def test_artifact(pair: Pair) -> None:
    """With the latest artifact of a key the one before it becomes the latest."""
    ids = [pair.prepare("POST", "/artifacts/", {"key": "deleted", "data": number})["id"] for number in range(2)]
    for id in reversed(ids):
        pair.check("DELETE", f"/artifacts/{id}")
        check_all(
            pair,
            [
                ("GET", f"/artifacts/{id}"),
                ("GET", "/artifacts/deleted/latest"),
                ("POST", "/artifacts/filter", {"artifacts": {"key": {"any_": ["deleted"]}}}),
                ("POST", "/artifacts/latest/filter", {"artifacts": {"key": {"any_": ["deleted"]}}}),
            ],
        )


def test_variable(pair: Pair) -> None:
    id = pair.prepare("POST", "/variables/", {"name": "deleted", "value": 1})["id"]
    pair.check("DELETE", f"/variables/{id}")
    check_all(
        pair,
        [
            ("GET", f"/variables/{id}"),
            ("GET", "/variables/name/deleted"),
            ("POST", "/variables/filter", {"variables": {"name": {"any_": ["deleted"]}}}),
            ("POST", "/variables/count", {"variables": {"name": {"any_": ["deleted"]}}}),
        ],
    )


def test_saved_search(pair: Pair) -> None:
    id = pair.prepare("PUT", "/saved_searches/", {"name": "deleted"})["id"]
    pair.check("DELETE", f"/saved_searches/{id}")
    check_all(
        pair,
        [
            ("GET", f"/saved_searches/{id}"),
            ("DELETE", f"/saved_searches/{id}"),
            ("PUT", "/saved_searches/", {"name": "deleted"}),
            ("GET", f"/saved_searches/{id}"),
        ],
    )


def test_nothing(pair: Pair) -> None:
    """What isn't there takes nothing along."""
    for path in ("flows", "flow_runs", "task_runs", "deployments", "work_queues", "artifacts", "variables", "saved_searches"):
        pair.check("DELETE", f"/{path}/{NOBODY}")
    for what in ("flows", "flow_runs", "deployments"):
        pair.check("POST", f"/{what}/bulk_delete", {what: {"id": {"any_": [NOBODY]}}})
