"""Setting the state of a flow run: every pair of states, retries, pauses, schedules, payloads."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .library import NOBODY, scheduled
from .side_by_side import Answer, Pair, Request

STATE_TYPES = (
    "SCHEDULED",
    "PENDING",
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "CRASHED",
    "PAUSED",
    "CANCELLING",
)
PAST = "2021-01-01T00:00:00Z"
FUTURE = "2031-01-01T00:00:00Z"


class Run:
    """A flow run on both servers."""

    def __init__(self, pair: Pair, **body: Any) -> None:
        flow = pair.prepare("POST", "/flows/", {"name": "set-state"})
        run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow["id"], "name": "run", **body})
        self.pair = pair
        self.id = run["id"]
        self.path = f"/flow_runs/{self.id}"

    def set(self, type: str, *, force: bool = False, **state: Any) -> Answer:
        """Proposes a state and compares the answers."""
        body: dict[str, Any] = {"state": {"type": type, **state}}
        if force:
            body["force"] = True
        return self.pair.check("POST", f"{self.path}/set_state", body)

    def check(self) -> None:
        self.pair.check("GET", self.path)

    def check_history(self) -> None:
        self.pair.check("GET", "/flow_run_states/", params={"flow_run_id": self.id})


def details(type: str) -> dict[str, Any]:
    return {"state_details": {"scheduled_time": PAST}} if type == "SCHEDULED" else {}


@pytest.mark.parametrize("proposed", STATE_TYPES)
@pytest.mark.parametrize("initial", STATE_TYPES)
def test_every_pair(pair: Pair, initial: str, proposed: str) -> None:
    run = Run(pair)
    run.set(initial, force=True, **details(initial))
    run.set(proposed, **details(proposed))
    run.check()


@pytest.mark.parametrize("proposed", STATE_TYPES)
def test_every_pair_from_named_states(pair: Pair, proposed: str) -> None:
    for type, name in (("SCHEDULED", "AwaitingRetry"), ("SCHEDULED", "Late"), ("PAUSED", "Suspended")):
        run = Run(pair)
        run.set(type, force=True, name=name, **details(type))
        run.set(proposed, **details(proposed))
        run.check()


@pytest.mark.parametrize("state", STATE_TYPES)
def test_same_state_twice(pair: Pair, state: str) -> None:
    run = Run(pair)
    for _ in range(2):
        run.set(state, **details(state))
    run.check_history()


@pytest.mark.parametrize(
    "state",
    [
        {"type": "SCHEDULED", "name": "Late"},
        {"type": "SCHEDULED", "name": "AwaitingRetry", "state_details": {"scheduled_time": FUTURE}},
        {"type": "SCHEDULED", "name": "AwaitingConcurrencySlot", "state_details": {"scheduled_time": FUTURE}},
        {"type": "SCHEDULED", "name": "Resuming", "state_details": {"scheduled_time": PAST}},
        {"type": "SCHEDULED", "state_details": {}},
        {"type": "PENDING", "name": "Submitting"},
        {"type": "PENDING", "name": "InfrastructurePending"},
        {"type": "RUNNING", "name": "Retrying"},
        {"type": "RUNNING", "name": "Anything", "message": "ü ✓ \n"},
        {"type": "RUNNING", "name": ""},
        {"type": "RUNNING", "name": None},
        {"type": "RUNNING", "message": ""},
        {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_reschedule": True}},
        {"type": "COMPLETED", "data": None},
        {"type": "COMPLETED", "data": "text"},
        {"type": "COMPLETED", "data": 7},
        {"type": "COMPLETED", "data": 7.0},
        {"type": "COMPLETED", "data": False},
        {"type": "COMPLETED", "data": {"n": 2**64}},
        {"type": "COMPLETED", "data": [1, "a", None, {"b": []}]},
        {"type": "COMPLETED", "data": {}},
        {"type": "COMPLETED", "data": {"type": "unpersisted"}},
        {
            "type": "COMPLETED",
            "data": {
                "type": "reference",
                "storage_key": "k",
                "storage_block_id": NOBODY,
                "serializer_type": "pickle",
                "expiration": None,
            },
        },
        {"type": "COMPLETED", "data": {"big": "x" * 100_000}},
        {
            "type": "COMPLETED",
            "state_details": {
                "flow_run_id": NOBODY,
                "task_run_id": NOBODY,
                "child_flow_run_id": NOBODY,
                "cache_key": "key",
                "cache_expiration": "2031-05-05T00:00:00+02:00",
                "deferred": True,
                "untrackable_result": True,
                "refresh_cache": True,
                "retriable": False,
                "transition_id": NOBODY,
                "task_parameters_id": NOBODY,
                "traceparent": "00-1-2-3",
                "run_input_keyset": {"description": "d", "response": "r", "schema": "s"},
                "pause_key": "p",
                "deployment_concurrency_lease_id": NOBODY,
            },
        },
        {"type": "FAILED", "state_details": {"retriable": True}},
        {"type": "CRASHED", "message": "\u0000"},
        {"type": "CANCELLED", "message": "x" * 50_000},
    ],
    ids=lambda state: str(state)[:70],
)
def test_state(pair: Pair, state: dict[str, Any]) -> None:
    run = Run(pair)
    run.set("RUNNING")
    run.set(**state)
    run.check()
    run.check_history()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": None},
        {"state": {}},
        {"state": {"type": None}},
        {"state": {"type": "DONE"}},
        {"state": {"type": "running"}},
        {"state": {"type": "RUNNING", "name": 1}},
        {"state": {"type": "RUNNING", "message": []}},
        {"state": {"type": "RUNNING", "id": NOBODY}},
        {"state": {"type": "RUNNING", "timestamp": PAST}},
        {"state": {"type": "RUNNING", "state_details": None}},
        {"state": {"type": "RUNNING", "state_details": []}},
        {"state": {"type": "RUNNING", "state_details": {"scheduled_time": "soon"}}},
        {"state": {"type": "RUNNING", "state_details": {"transition_id": "x", "deferred": "maybe"}}},
        {"state": {"type": "RUNNING", "state_details": {"unknown": 1}}},
        {"state": {"type": "RUNNING"}, "force": "yes"},
        {"state": {"type": "RUNNING"}, "force": None},
        {"state": {"type": "RUNNING"}, "force": "perhaps"},
        {"state": {"type": "RUNNING"}, "unknown": 1},
        {"type": "RUNNING"},
        {"state": "RUNNING"},
        [],
        "RUNNING",
        None,
    ],
    ids=str,
)
def test_body(pair: Pair, body: Any) -> None:
    run = Run(pair)
    pair.check("POST", f"{run.path}/set_state", body)
    run.check()


def test_run_count_and_times(pair: Pair) -> None:
    run = Run(pair)
    for state in ("RUNNING", "PENDING", "RUNNING", "COMPLETED"):
        run.set(state, force=True)
        run.check()
    run.check_history()


def test_total_run_time_is_measured(pair: Pair) -> None:
    run = Run(pair)
    run.set("RUNNING")
    time.sleep(1.5)
    pair.check("GET", run.path, seconds=0.7)
    run.set("COMPLETED")
    pair.check("GET", run.path, seconds=0.7)
    time.sleep(0.5)
    pair.check("GET", run.path, seconds=0.7)


@pytest.mark.parametrize("name", [None, "Late", "AwaitingRetry"])
def test_scheduled_in_the_future(pair: Pair, name: str | None) -> None:
    run = Run(pair, state=scheduled(FUTURE, name=name))
    run.set("RUNNING")
    run.set("PENDING")
    run.set("RUNNING")
    run.check()
    run.set("RUNNING", force=True)
    run.check()
    run.check_history()


@pytest.mark.parametrize("name", [None, "Late", "AwaitingRetry"])
def test_scheduled_in_the_past(pair: Pair, name: str | None) -> None:
    run = Run(pair, state=scheduled(PAST, name=name))
    run.check()
    run.set("PENDING")
    run.set("RUNNING")
    run.check()
    run.check_history()


@pytest.mark.parametrize(
    "policy",
    [
        {"retries": 2, "retry_delay": 0},
        {"retries": 2, "retry_delay": 30},
        {"retries": 1, "retry_delay": 30, "retry_type": "reschedule"},
        {"max_retries": 2, "retry_delay_seconds": 5},
        {"retries": 0},
        {"retries": 1},
    ],
    ids=str,
)
def test_retries(pair: Pair, policy: dict[str, Any]) -> None:
    run = Run(pair, empirical_policy=policy)
    run.set("PENDING")
    run.set("RUNNING")
    run.set("FAILED", message="first failure", data={"kept": True})
    run.check()
    run.set("RUNNING")
    run.check()
    run.set("RUNNING", force=True)
    run.set("FAILED", message="second failure")
    run.check()
    run.set("RUNNING")
    run.set("FAILED", message="third failure")
    run.check()
    run.check_history()


@pytest.mark.parametrize("state", ["CRASHED", "CANCELLED", "CANCELLING", "COMPLETED", "PAUSED"])
def test_retries_are_for_failures(pair: Pair, state: str) -> None:
    run = Run(pair, empirical_policy={"retries": 2, "retry_delay": 0})
    run.set("RUNNING")
    run.set(state)
    run.check()


@pytest.mark.parametrize("terminal", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
@pytest.mark.parametrize("rerun", [{"type": "SCHEDULED", "name": "AwaitingRetry"}, {"type": "PENDING"}], ids=str)
def test_manual_retry(pair: Pair, terminal: str, rerun: dict[str, Any]) -> None:
    run = Run(pair)
    run.set("RUNNING")
    run.set(terminal, data={"result": 1})
    run.set(**rerun, state_details={"scheduled_time": PAST})
    run.set("PENDING")
    run.set("RUNNING")
    run.check()
    run.check_history()


@pytest.mark.parametrize(
    "pause",
    [
        {},
        {"pause_timeout": FUTURE},
        {"pause_timeout": PAST},
        {"pause_timeout": FUTURE, "pause_key": "one"},
        {"pause_timeout": FUTURE, "pause_reschedule": True},
        {"pause_timeout": PAST, "pause_reschedule": True},
        {
            "pause_timeout": FUTURE,
            "run_input_keyset": {"description": "d", "response": "r", "schema": "s"},
        },
    ],
    ids=str,
)
def test_pause_and_resume(pair: Pair, pause: dict[str, Any]) -> None:
    run = Run(pair)
    run.set("RUNNING")
    run.set("PAUSED", state_details=pause)
    run.check()
    run.set("PAUSED", state_details=pause)
    run.set("PENDING")
    run.check()
    run.set("RUNNING")
    run.check()
    run.set("PAUSED", state_details=pause)
    run.set("SCHEDULED", name="Resuming", state_details={"scheduled_time": PAST})
    run.check()
    run.set("PENDING")
    run.set("RUNNING")
    run.set("PAUSED", state_details={**pause, "pause_key": "another"})
    run.set("COMPLETED")
    run.check()
    run.check_history()


@pytest.mark.parametrize("state", ["SCHEDULED", "PENDING", "COMPLETED", "CANCELLED"])
def test_pausing_what_does_not_run(pair: Pair, state: str) -> None:
    run = Run(pair)
    run.set(state, force=True, **details(state))
    run.set("PAUSED", state_details={"pause_timeout": FUTURE})
    run.check()


def test_pausing_a_subflow(pair: Pair) -> None:
    parent = Run(pair)
    task = pair.prepare(
        "POST", "/task_runs/", {"flow_run_id": parent.id, "name": "t", "task_key": "t", "dynamic_key": "0"}
    )
    child = Run(pair, parent_task_run_id=task["id"])
    child.set("RUNNING")
    child.set("PAUSED", state_details={"pause_timeout": FUTURE})
    child.set("PAUSED", name="Suspended", state_details={"pause_timeout": FUTURE, "pause_reschedule": True})
    child.check()
    pair.check("GET", f"/task_runs/{task['id']}")


def test_cancellation(pair: Pair) -> None:
    for states in (
        ["CANCELLING", "CANCELLED"],
        ["RUNNING", "CANCELLING", "RUNNING", "COMPLETED"],
        ["RUNNING", "CANCELLING", "CANCELLING", "CANCELLED", "CANCELLING"],
        ["RUNNING", "CANCELLED", "RUNNING"],
        ["RUNNING", "CANCELLING", "CRASHED"],
        ["RUNNING", "CANCELLING", "PAUSED"],
    ):
        run = Run(pair)
        for state in states:
            run.set(state)
        run.check()
        run.check_history()


def test_cancelling_what_has_no_infrastructure(pair: Pair) -> None:
    run = Run(pair, state=scheduled(FUTURE))
    run.set("CANCELLING")
    run.check()
    other = Run(pair)
    other.set("PAUSED", force=True, name="Suspended", state_details={"pause_reschedule": True})
    other.set("CANCELLING")
    other.check()


def test_transition_id_is_honoured_once(pair: Pair) -> None:
    run = Run(pair)
    run.set("PENDING", state_details={"transition_id": NOBODY})
    run.set("PENDING", state_details={"transition_id": NOBODY})
    run.set("PENDING", state_details={"transition_id": "cccccccc-0000-4000-8000-000000000001"})
    run.check_history()


def test_many_states(pair: Pair) -> None:
    run = Run(pair)
    for number in range(12):
        run.set("RUNNING" if number % 2 else "PENDING", name=f"Step {number}", force=True)
    run.check()
    run.check_history()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("ended", ["CRASHED", "FAILED", "COMPLETED", "CANCELLED"])
def test_nothing_waits_for_a_deployment_that_was_deleted(pair: Pair, ended: str, force: bool) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "deleted-deployment"})["id"]
    body = {"flow_id": flow, "name": f"deleted {ended} {force}"}
    deployment = pair.prepare("POST", "/deployments/", body)["id"]
    run = pair.prepare("POST", f"/deployments/{deployment}/create_flow_run", {"state": {"type": "RUNNING"}})["id"]
    pair.prepare("POST", f"/flow_runs/{run}/set_state", {"state": {"type": ended}, "force": True})
    again = {"state": scheduled("2031-01-01T00:00:00Z", name="AwaitingRetry"), "force": force}
    pair.check("DELETE", f"/deployments/{deployment}")
    pair.check("POST", f"/flow_runs/{run}/set_state", again)
    left = pair.subject.send(Request("GET", f"/flow_runs/{run}")).json()
    assert left["state_type"] == ended
