"""What a server does with flow runs by itself: late runs, expired pauses, cancellations and what goes with them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from .conftest import asked_side_by_side
from .library import scheduled
from .side_by_side import Pair, sorted_by

SETTINGS = {
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "0.5",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "0.5",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "0.5",
}
PAST = "2021-01-01T00:00:00Z"
FUTURE = "2041-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def busy_servers() -> Iterator[Pair]:
    """Both servers with the services that the other tests do without, all of them in a hurry."""
    with asked_side_by_side(SETTINGS) as pair:
        yield pair


@pytest.fixture
def busy(busy_servers: Pair, request: pytest.FixtureRequest) -> Pair:
    busy_servers.test = request.node.nodeid
    return busy_servers


def add_run(pair: Pair, *states: dict[str, Any], **body: Any) -> str:
    flow = pair.prepare("POST", "/flows/", {"name": "served"})
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow["id"], "name": "served", **body})
    for state in states:
        pair.prepare("POST", f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    return run["id"]


def becomes(pair: Pair, run: str, name: str) -> None:
    """Waits until the run is in the state, and compares it with its history."""
    pair.eventually("GET", f"/flow_runs/{run}", until=lambda found: found["state_name"] == name)
    pair.check("GET", "/flow_run_states/", params={"flow_run_id": run})


def test_a_run_that_nobody_starts_is_late(busy: Pair) -> None:
    late = add_run(busy, state=scheduled(PAST))
    others = [
        add_run(busy, state=scheduled(FUTURE)),
        add_run(busy, state=scheduled(PAST, name="AwaitingRetry")),
        add_run(busy, {"type": "RUNNING"}, state=scheduled(PAST)),
    ]
    becomes(busy, late, "Late")
    for run in others:
        busy.check("GET", f"/flow_runs/{run}")


def test_a_run_is_late_some_time_after_it_was_to_start(busy: Pair) -> None:
    soon = scheduled((datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    parent = add_run(busy, {"type": "RUNNING"})
    task = busy.prepare("POST", "/task_runs/", {"flow_run_id": parent, "task_key": "calling", "dynamic_key": "0"})
    runs = [add_run(busy, state=soon), add_run(busy, state=soon, parent_task_run_id=task["id"])]
    started = add_run(busy, {"type": "RUNNING"}, state=soon)
    for run in runs:
        becomes(busy, run, "Late")
    busy.check("GET", f"/flow_runs/{started}")


def test_a_late_run_can_start(busy: Pair) -> None:
    run = add_run(busy, state=scheduled(PAST))
    becomes(busy, run, "Late")
    for type in ("PENDING", "RUNNING", "COMPLETED"):
        busy.check("POST", f"/flow_runs/{run}/set_state", {"state": {"type": type}})
    busy.check("GET", f"/flow_runs/{run}")


@pytest.mark.parametrize("reschedule", [False, True])
def test_a_pause_expires(busy: Pair, reschedule: bool) -> None:
    details = {"pause_timeout": PAST, "pause_reschedule": reschedule}
    run = add_run(busy, {"type": "RUNNING"}, {"type": "PAUSED", "state_details": details})
    endless = add_run(busy, {"type": "RUNNING"}, {"type": "PAUSED", "state_details": {"pause_timeout": FUTURE}})
    becomes(busy, run, "Failed")
    busy.check("GET", f"/flow_runs/{endless}")


def test_a_cancellation_ends(busy: Pair) -> None:
    run = add_run(busy, {"type": "RUNNING"})
    busy.check("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
    becomes(busy, run, "Cancelled")


def test_a_cancelled_run_takes_its_children_along(busy: Pair) -> None:
    parent = add_run(busy, {"type": "RUNNING"})
    tasks = {}
    for key, state in (("going-on", "RUNNING"), ("done", "COMPLETED"), ("calling", "RUNNING")):
        body = {"flow_run_id": parent, "task_key": key, "dynamic_key": "0", "name": key, "state": {"type": state}}
        tasks[key] = busy.prepare("POST", "/task_runs/", body)["id"]
    child = add_run(busy, {"type": "RUNNING"}, parent_task_run_id=tasks["calling"])
    busy.check("POST", f"/flow_runs/{parent}/set_state", {"state": {"type": "CANCELLED"}, "force": True})
    becomes(busy, child, "Cancelled")
    wanted = {"task_runs": {"flow_run_id": {"any_": [parent]}}, "sort": "NAME_ASC"}
    busy.eventually(
        "POST",
        "/task_runs/filter",
        wanted,
        until=lambda runs: [run["state_type"] for run in runs] == ["CANCELLED", "COMPLETED", "CANCELLED"],
        view=sorted_by("name"),
    )
