"""A state's data is its result artifact's: what is changed or deleted there is so wherever the state is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from .side_by_side import Pair, sorted_by


@pytest.fixture
def flow(pair: Pair) -> Iterator[str]:
    flow = pair.prepare("POST", "/flows/", {"name": "results"})["id"]
    yield flow
    pair.prepare("DELETE", f"/flows/{flow}")


def add_run(pair: Pair, kind: str, flow: str, **more: Any) -> str:
    body = {"flow_id": flow} if kind == "flow" else {"task_key": "t", "dynamic_key": str(uuid4()), "flow_run_id": None}
    return pair.prepare("POST", f"/{kind}_runs/", {**body, "name": "resulting", **more})["id"]


def enter(pair: Pair, kind: str, run: str, **state: Any) -> None:
    pair.check("POST", f"/{kind}_runs/{run}/set_state", {"state": state, "force": True})


def results(pair: Pair, kind: str, run: str) -> list[str]:
    """Compares the artifacts of the run, and returns their ids as the states were entered."""
    wanted = {"artifacts": {f"{kind}_run_id": {"any_": [run]}}, "sort": "CREATED_DESC"}
    found = pair.check("POST", "/artifacts/filter", wanted)
    return [found.at(place, "id") for place in reversed(range(len(found.json)))]


def compare(pair: Pair, kind: str, run: str) -> None:
    found = pair.check("GET", f"/{kind}_runs/{run}")
    pair.check("GET", f"/{kind}_run_states/", params={f"{kind}_run_id": run}, view=sorted_by("timestamp"))
    pair.check("GET", f"/{kind}_run_states/{found['state_id']}")
    pair.check("POST", f"/{kind}_runs/filter", {f"{kind}_runs": {"id": {"any_": [run]}}})


@pytest.mark.parametrize("kind", ["flow", "task"])
@pytest.mark.parametrize("data", [{"a": {"b": 1}}, "text", 0], ids=str)
def test_a_changed_result(pair: Pair, flow: str, kind: str, data: Any) -> None:
    run = add_run(pair, kind, flow)
    enter(pair, kind, run, type="COMPLETED", data=data)
    [artifact] = results(pair, kind, run)
    for changed in ({"type": "unpersisted", "x": 1}, "other", None, 5):
        pair.check("PATCH", f"/artifacts/{artifact}", {"data": changed})
        compare(pair, kind, run)
    pair.check("PATCH", f"/artifacts/{artifact}", {"description": "told"})
    compare(pair, kind, run)
    pair.check("GET", f"/artifacts/{artifact}")


@pytest.mark.parametrize("kind", ["flow", "task"])
def test_a_deleted_result(pair: Pair, flow: str, kind: str) -> None:
    run = add_run(pair, kind, flow)
    enter(pair, kind, run, type="COMPLETED", data={"a": 1})
    [artifact] = results(pair, kind, run)
    pair.check("DELETE", f"/artifacts/{artifact}")
    compare(pair, kind, run)
    enter(pair, kind, run, type="FAILED", data={"b": 1})
    compare(pair, kind, run)


def test_the_result_of_a_state_that_was_left(pair: Pair, flow: str) -> None:
    run = add_run(pair, "flow", flow)
    enter(pair, "flow", run, type="RUNNING", data={"running": 1})
    enter(pair, "flow", run, type="COMPLETED", data={"completed": 1})
    running, completed = results(pair, "flow", run)
    pair.check("PATCH", f"/artifacts/{running}", {"data": "changed"})
    compare(pair, "flow", run)
    pair.check("DELETE", f"/artifacts/{running}")
    compare(pair, "flow", run)
    pair.check("DELETE", f"/artifacts/{completed}")
    compare(pair, "flow", run)


def test_an_artifact_that_is_no_result(pair: Pair, flow: str) -> None:
    run = add_run(pair, "flow", flow)
    enter(pair, "flow", run, type="COMPLETED", data={"a": 1})
    made = pair.prepare("POST", "/artifacts/", {"type": "result", "data": 1, "flow_run_id": run})["id"]
    pair.check("PATCH", f"/artifacts/{made}", {"data": 2})
    compare(pair, "flow", run)
    pair.check("DELETE", f"/artifacts/{made}")
    compare(pair, "flow", run)


def test_a_subflow_run_and_the_task_run_that_stands_for_it(pair: Pair, flow: str) -> None:
    parent = add_run(pair, "flow", flow)
    task_run = add_run(pair, "task", flow, flow_run_id=parent)
    child = add_run(pair, "flow", flow, parent_task_run_id=task_run)
    enter(pair, "flow", child, type="COMPLETED", data={"a": 1})
    for kind, run in (("task", task_run), ("flow", child)):
        [artifact] = results(pair, kind, run)
        pair.check("PATCH", f"/artifacts/{artifact}", {"data": f"of the {kind} run"})
        compare(pair, "flow", child)
        compare(pair, "task", task_run)


def test_a_cached_state(pair: Pair, flow: str) -> None:
    parent = add_run(pair, "flow", flow)
    enter(pair, "flow", parent, type="RUNNING")
    details = {"cache_key": f"results {parent}"}
    first, second = (add_run(pair, "task", flow, flow_run_id=parent) for _ in range(2))
    for state in ({"type": "RUNNING"}, {"type": "COMPLETED", "data": {"a": 1}, "state_details": details}):
        pair.check("POST", f"/task_runs/{first}/set_state", {"state": state})
    [artifact] = results(pair, "task", first)
    pair.check("PATCH", f"/artifacts/{artifact}", {"data": {"a": 2}})
    started = {"state": {"type": "RUNNING", "state_details": details}}
    assert pair.check("POST", f"/task_runs/{second}/set_state", started).json["status"] == "REJECT"
    pair.check("DELETE", f"/artifacts/{artifact}")
    for run in (first, second):
        compare(pair, "task", run)
