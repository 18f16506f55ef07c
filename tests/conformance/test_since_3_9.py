"""What 3.9 answers that 3.8 did not, where no other file asks for it by itself."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair

PAST = "2021-01-01T00:00:00Z"
FUTURE = "2031-01-01T00:00:00Z"
LARGE = (2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, -(10**100))


def run_of(pair: Pair, flow: str, **body: Any) -> str:
    id = pair.prepare("POST", "/flows/", {"name": flow})["id"]
    return str(pair.prepare("POST", "/flow_runs/", {"flow_id": id, "name": flow, **body})["id"])


def set_state(pair: Pair, run: str, type: str, *, force: bool = False, **details: Any) -> None:
    body = {"state": {"type": type, "state_details": details}, "force": force}
    pair.check("POST", f"/flow_runs/{run}/set_state", body)


def test_a_pause_forgets_what_was_said_to_an_earlier_attempt(pair: Pair) -> None:
    run = run_of(pair, "since-pause")
    keyset = {"schema": "one-schema", "response": "one-response", "description": "NOT A KEY"}
    for key in ("one-schema", "one-response", "another"):
        pair.prepare("POST", f"/flow_runs/{run}/input", {"key": key, "value": "1", "sender": None})
    set_state(pair, run, "RUNNING")
    set_state(pair, run, "PAUSED", pause_key="one", pause_timeout=FUTURE, run_input_keyset=keyset)
    pair.check("POST", f"/flow_runs/{run}/input/filter", {"prefix": ""})
    pair.prepare("POST", f"/flow_runs/{run}/input", {"key": "one-response", "value": "2", "sender": None})
    set_state(pair, run, "RUNNING")
    # A pause that has fired already is refused, and forgets nothing.
    set_state(pair, run, "PAUSED", pause_key="one", pause_timeout=FUTURE, run_input_keyset=keyset)
    pair.check("POST", f"/flow_runs/{run}/input/filter", {"prefix": ""})


@pytest.mark.parametrize("version", ["0.8.3", "0.8.4", None])
@pytest.mark.parametrize("reschedule", [True, False])
@pytest.mark.parametrize("force", [True, False])
def test_a_blocking_pause_that_is_scheduled_starts_anew(
    pair: Pair, version: str | None, reschedule: bool, force: bool
) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "since-anew"})["id"]
    deployment = pair.prepare("POST", "/deployments/", {"name": "since-anew", "flow_id": flow}, name="since-anew")["id"]
    run = pair.prepare("POST", f"/deployments/{deployment}/create_flow_run", {"name": "since-anew"})["id"]
    headers = {"x-prefect-api-version": version} if version else {}

    def propose(type: str, force: bool = False, **details: Any) -> None:
        body = {"state": {"type": type, "state_details": details}, "force": force}
        pair.check("POST", f"/flow_runs/{run}/set_state", body, headers=headers)

    pause = {"pause_key": "one", "pause_timeout": FUTURE, "pause_reschedule": reschedule}
    for type, details in (("PENDING", {}), ("RUNNING", {}), ("PAUSED", pause)):
        propose(type, **details)
    propose("SCHEDULED", force, scheduled_time=PAST)
    for type, details in (("PENDING", {}), ("RUNNING", {}), ("PAUSED", pause)):
        propose(type, **details)
        pair.check("GET", f"/flow_runs/{run}")


@pytest.mark.parametrize("names", [[], ["a"], ["a"] * 200, ["a"] * 201], ids=len)
def test_bounds_of_names(pair: Pair, names: list[str]) -> None:
    for operation in ("increment", "decrement", "increment-with-lease"):
        body = {"names": names, "slots": 1, "occupancy_seconds": 0.0}
        pair.check("POST", f"/v2/concurrency_limits/{operation}", body)


@pytest.mark.parametrize("count", [0, 1, 200, 201])
def test_bounds_of_ids(pair: Pair, count: int) -> None:
    pair.check("POST", "/ui/flow_runs/count-task-runs", {"flow_run_ids": [NOBODY] * count})
    pair.check("POST", "/ui/flows/count-deployments", {"flow_ids": [NOBODY] * count})
    pair.check("POST", "/ui/flows/next-runs", {"flow_ids": [NOBODY] * count})


@pytest.mark.parametrize("number", LARGE, ids=str)
def test_integers_are_exact(pair: Pair, number: int) -> None:
    parameters = {"n": number, "list": [number, {str(number): number}], "text": str(number)}
    run = run_of(pair, f"since-{number}", parameters=parameters, labels={"n": number})
    pair.check("GET", f"/flow_runs/{run}")
    within = {"flow_runs": {"id": {"any_": [run]}}}
    pair.check("POST", "/flow_runs/filter", within)
    pair.check("POST", "/flow_runs/paginate", within)
    body = {"state": {"type": "COMPLETED", "data": {"n": number}}}
    pair.check("POST", f"/flow_runs/{run}/set_state", body)
    pair.check("PATCH", f"/flow_runs/{run}/labels", {"n": -number, "m": 1})
    pair.check("GET", f"/flow_runs/{run}")


@pytest.mark.parametrize("number", LARGE, ids=str)
def test_deployments_keep_integers(pair: Pair, number: int) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "since-deployment"})["id"]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    body = {"name": f"since{number}", "flow_id": flow, "parameters": {"n": number}, "parameter_openapi_schema": schema}
    deployment = pair.check("POST", "/deployments/", body)["id"]
    pair.check("POST", f"/deployments/{deployment}/create_flow_run", {"name": "x", "parameters": {"n": number}})
    pair.check("POST", f"/deployments/{deployment}/create_flow_run", {"name": "x", "parameters": {"n": [number]}})


def test_task_runs_by_duration(pair: Pair) -> None:
    run = run_of(pair, "since-duration")
    for number in range(5):
        body = {
            "flow_run_id": run,
            "task_key": f"task-{number}",
            "dynamic_key": "0",
            "name": f"task-{number}",
            "state": {"type": "SCHEDULED", "state_details": {"scheduled_time": f"2021-01-0{number + 1}T00:00:00Z"}},
        }
        pair.prepare("POST", "/task_runs/", body)
    within = {"flow_runs": {"id": {"any_": [run]}}}
    for sort in ("DURATION_ASC", "DURATION_DESC"):
        for window in ({}, {"limit": 2}, {"limit": 2, "offset": 1}):
            pair.check("POST", "/task_runs/filter", {**within, "sort": sort, **window})
    pair.check("POST", "/task_runs/filter", {**within, "sort": "DURATION"})


@pytest.mark.parametrize("number", LARGE, ids=str)
def test_a_form_takes_integers(pair: Pair, number: int) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    pair.check("POST", "/ui/schemas/validate", {"json_schema": schema, "values": {"n": number}})
