"""Records that are larger than an item of DynamoDB: made, changed, listed, told of and deleted."""

from __future__ import annotations

import random
from typing import Any
from uuid import uuid4

import pytest

from .blocks import Kind
from .events import event, related, send, task_run_event
from .side_by_side import Pair
from .sockets import AUTH, talk

RANDOM = random.Random(17)
KILOBYTE = 1_000


def noise(size: int) -> str:
    """A text that can't be compressed to less than half."""
    return RANDOM.randbytes(size // 2 + 1).hex()[:size]


MESSAGES = {
    "500,000 characters": "x" * 500_000,
    "noise": noise(500 * KILOBYTE),
    "100,000 CJK characters": "語" * 100_000,
    "150,000 CJK characters": "語" * 150_000,
    "200,000 control characters": "\u0001" * 200_000,
}


def make_run(pair: Pair, **body: Any) -> str:
    flow = pair.prepare("POST", "/flows/", {"name": "large"})
    return pair.prepare("POST", "/flow_runs/", {"flow_id": flow["id"], "name": "large", **body})["id"]


def check_told(pair: Pair, name: str, run: str) -> None:
    """Waits for the event of a state, and compares it."""
    filter = {"event": {"name": [name]}, "resource": {"id": [f"prefect.flow-run.{run}"]}}
    pair.eventually("POST", "/events/filter", {"filter": filter}, until=lambda found: len(found["events"]) == 1)


@pytest.mark.parametrize("beside", [0, 300 * KILOBYTE])
@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_messages_of_states(pair: Pair, message: str, beside: int) -> None:
    run = make_run(pair, parameters={"text": noise(beside)})
    pair.check("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}})
    pair.check("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "FAILED", "message": message}})
    pair.check("GET", f"/flow_runs/{run}")
    pair.check("GET", "/flow_run_states/", params={"flow_run_id": run})
    check_told(pair, "prefect.flow-run.Failed", run)


def test_runs_that_complete_beside_a_large_one(pair: Pair) -> None:
    large, others = make_run(pair, parameters={"text": noise(500 * KILOBYTE)}), [make_run(pair) for _ in range(12)]
    for place, run in enumerate(others):
        if place == 6:
            state = {"type": "FAILED", "message": "語" * 100_000}
            pair.prepare("POST", f"/flow_runs/{large}/set_state", {"state": state, "force": True})
        pair.prepare("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
    for run in others:
        check_told(pair, "prefect.flow-run.Completed", run)
    check_told(pair, "prefect.flow-run.Failed", large)


@pytest.mark.parametrize("size", [406_550, 450_000, 524_000])
def test_parameters_and_a_failure(pair: Pair, size: int) -> None:
    run = make_run(pair, parameters={"text": noise(size)})
    pair.check("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}})
    state = {"type": "FAILED", "message": "it failed", "data": {"type": "reference", "storage_key": noise(size)}}
    pair.check("POST", f"/flow_runs/{run}/set_state", {"state": state})
    pair.check("GET", f"/flow_runs/{run}")
    pair.check("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    pair.check("DELETE", f"/flow_runs/{run}")
    pair.check("GET", f"/flow_runs/{run}")


@pytest.mark.parametrize("size", [1_000 * KILOBYTE, 5_000 * KILOBYTE])
def test_data_of_states(pair: Pair, size: int) -> None:
    run = make_run(pair)
    state = {"type": "COMPLETED", "data": {"type": "reference", "storage_key": noise(size)}}
    pair.check("POST", f"/flow_runs/{run}/set_state", {"state": state, "force": True})
    pair.check("GET", f"/flow_runs/{run}")


def test_inputs_of_a_task_in_an_event(pair: Pair) -> None:
    run, task = make_run(pair, state={"type": "RUNNING"}), str(uuid4())
    inputs = {"all": [{"input_type": "task_run", "id": str(uuid4())} for _ in range(6_000)]}
    send(pair, task_run_event(task, run, 1, "COMPLETED", task={"task_inputs": inputs}))
    pair.eventually("GET", f"/task_runs/{task}", until=lambda found: found["state_name"] == "Completed")


@pytest.mark.parametrize("size", [157 * KILOBYTE, 1_000 * KILOBYTE])
def test_a_deployment_that_is_deployed_again(pair: Pair, size: int) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "large"})
    properties = {f"p{place}": {"title": noise(KILOBYTE), "type": "string"} for place in range(size // KILOBYTE)}
    name = f"of-{size}"
    for title in ("one", "two"):
        properties["p0"]["title"] = title
        schema = {"type": "object", "properties": properties}
        body = {"name": name, "flow_id": flow["id"], "parameter_openapi_schema": schema}
        made = pair.check("POST", "/deployments/", body)
    pair.check("GET", f"/deployments/{made['id']}")
    pair.check("PATCH", f"/deployments/{made['id']}", {"description": noise(size)})
    pair.check("GET", f"/deployments/{made['id']}")
    pair.check("DELETE", f"/deployments/{made['id']}")


def found(pair: Pair, resource: str) -> None:
    filter = {"resource": {"id": [resource]}}
    pair.eventually("POST", "/events/filter", {"filter": filter}, until=lambda found: len(found["events"]) == 1)


def test_an_event_by_http_and_by_websocket(pair: Pair) -> None:
    large = {"text": noise(600 * KILOBYTE)}
    send(pair, event(1, "large", "large.http", payload=large))
    found(pair, "large.http")
    told = event(2, "large", "large.socket", payload=large, related=[related("large.other", "other")])
    for server in (pair.oracle, pair.subject):
        talk(server, "/events/in", ["prefect"], [AUTH, told], reads=1)
    found(pair, "large.socket")


@pytest.mark.parametrize("size", [500 * KILOBYTE, 1_000 * KILOBYTE, 5_000 * KILOBYTE])
def test_artifacts(pair: Pair, size: int) -> None:
    made = pair.check("POST", "/artifacts/", {"key": f"large-{size}", "data": noise(size)})
    pair.check("GET", f"/artifacts/{made['id']}")
    pair.check("GET", f"/artifacts/large-{size}/latest")
    pair.check("PATCH", f"/artifacts/{made['id']}", {"data": noise(size)})
    pair.check("POST", "/artifacts/filter", {"artifacts": {"id": {"any_": [made["id"]]}}})
    pair.check("DELETE", f"/artifacts/{made['id']}")
    pair.check("GET", f"/artifacts/{made['id']}")


@pytest.mark.parametrize("size", [500 * KILOBYTE, 4_000 * KILOBYTE])
def test_block_documents(pair: Pair, size: int) -> None:
    kind = Kind(pair, ["x"])
    id = kind.make({"x": noise(size), "plain": noise(100 * KILOBYTE)})
    kind.check(id)
    pair.check("PATCH", f"/block_documents/{id}", {"data": {"x": noise(size)}})
    kind.check(id)
    pair.check("DELETE", f"/block_documents/{id}")


def test_lines_of_logs(pair: Pair) -> None:
    run = make_run(pair)
    line = {"name": "n", "level": 20, "timestamp": "2026-01-01T00:00:00Z", "flow_run_id": run}
    messages = [noise(1_000 * KILOBYTE), "short", "語" * 300_000]
    pair.check("POST", "/logs/", [{**line, "message": message} for message in messages])
    logs = {"logs": {"flow_run_id": {"any_": [run]}}}
    pair.check("POST", "/logs/filter", logs, view=lambda lines: sorted(line["message"] for line in lines))


def test_inputs_of_runs(pair: Pair) -> None:
    run = make_run(pair)
    pair.check("POST", f"/flow_runs/{run}/input", {"key": "large", "value": noise(1_000 * KILOBYTE)})
    pair.check("GET", f"/flow_runs/{run}/input/large")


def test_job_templates_of_pools(pair: Pair) -> None:
    variables = {"properties": {"x": {"title": noise(500 * KILOBYTE)}}}
    template = {"job_configuration": {"x": "{{ x }}"}, "variables": variables}
    pair.check("POST", "/work_pools/", {"name": "large", "base_job_template": template})
    pair.check("GET", "/work_pools/large")
    pair.check("DELETE", "/work_pools/large")
