"""Which types and names of states there are in the histories of all runs, on servers with no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from .conftest import asked_side_by_side
from .events import at, send, task_run_event
from .side_by_side import Pair, Request

PATH = "/observed-states"


@pytest.fixture(scope="module")
def observed() -> Iterator[Pair]:
    """Runs whose states have many names: flow runs by requests, task runs by requests and by events."""
    with asked_side_by_side() as pair:
        pair.check("GET", PATH)
        flow = pair.prepare("POST", "/flows/", {"name": "observed"})["id"]
        run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "state": {"type": "PENDING"}}, name="run")["id"]
        for state in (
            {"type": "RUNNING"},
            {"type": "RUNNING", "name": "100%_done"},
            {"type": "FAILED", "name": "TimedOut"},
            {"type": "COMPLETED", "name": "Completed"},
        ):
            pair.prepare("POST", f"/flow_runs/{run}/set_state", {"state": state, "force": True})
        task = {"flow_run_id": run, "task_key": "t", "dynamic_key": "0", "state": {"type": "PENDING"}}
        task_run = pair.prepare("POST", "/task_runs/", task)["id"]
        pair.prepare("POST", f"/task_runs/{task_run}/set_state", {"state": {"type": "RUNNING", "name": "Ünï Running"}, "force": True})
        recorded = str(uuid4())
        send(
            pair,
            task_run_event(recorded, None, 1, "PENDING", name="Waiting"),
            task_run_event(recorded, None, 2, "RUNNING", before="PENDING"),
            task_run_event(recorded, None, 3, "RUNNING", name="waiting", before="RUNNING"),
            task_run_event(recorded, None, 4, "CRASHED", before="RUNNING"),
        )
        wait_for(pair, 9)
        yield pair


def wait_for(pair: Pair, count: int) -> list[dict[str, Any]]:
    return pair.eventually("GET", PATH, until=lambda states: len(states) == count).json


@pytest.fixture
def dataset(observed: Pair, request: pytest.FixtureRequest) -> Pair:
    observed.test = request.node.nodeid
    return observed


QUERIES = [
    "", " ", "r", "RUN", "running", " runn ", "Completed", "COMP", "ompleted", "time", "100", "100%", "100%_", "1%", "%", "_", "100__", "ü", "Ü", "Ünï",
    "wait", "Waiting!", "\\", "/", "x" * 100, "x" * 101, " " * 101,
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("order", ["LAST_SEEN_DESC", "NAME_ASC"])
def test_queries(dataset: Pair, query: str, order: str) -> None:
    dataset.check("GET", PATH, params={"query": query, "order_by": order})


@pytest.mark.parametrize("limit", [1, 3, 10, 200, 0, 201, -1, "x", "", "1.0", 2**70])
def test_limits(dataset: Pair, limit: Any) -> None:
    for order in ({}, {"order_by": "NAME_ASC"}, {"query": "run"}):
        dataset.check("GET", PATH, params={"limit": str(limit), **order})


@pytest.mark.parametrize("order", ["last_seen_desc", "NAME_DESC", ""])
def test_orders(dataset: Pair, order: str) -> None:
    dataset.check("GET", PATH, params={"order_by": order})


def test_requests(dataset: Pair) -> None:
    dataset.check("GET", PATH, params={"unknown": "1"})
    dataset.check("GET", f"{PATH}/")
    dataset.check("GET", f"{PATH}/x")
    for method in ("POST", "PUT", "DELETE"):
        dataset.check(method, PATH, {})


def test_seen_is_when_a_state_was_entered(dataset: Pair) -> None:
    """What each server says equals the times of the histories that it has."""
    for server in (dataset.oracle, dataset.subject):
        history = server.send(Request("GET", "/flow_run_states/", params={"flow_run_id": "@run@"})).json()
        observed = server.send(Request("GET", PATH)).json()
        by_name = {(state["state_type"], state["state_name"]): state for state in observed}
        for state in history:
            seen = by_name[state["type"], state["name"]]
            assert seen["first_seen"] <= state["timestamp"] <= seen["last_seen"]
        failed = by_name["FAILED", "TimedOut"]
        [entered] = [state["timestamp"] for state in history if state["type"] == "FAILED"]
        assert failed["first_seen"] == failed["last_seen"] == entered


def test_what_is_deleted_is_seen_no_more() -> None:
    with asked_side_by_side() as pair:
        flow = pair.prepare("POST", "/flows/", {"name": "observed"})["id"]
        runs = []
        for name in ("first", "second", "third"):
            state = {"type": "SCHEDULED", "name": "Planned"}
            run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "state": state}, name=name)["id"]
            pair.prepare("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING", "name": f"Is {name}"}})
            runs.append(run)
        recorded = [str(uuid4()) for _ in range(3)]
        for number, task_run in enumerate(recorded):
            send(pair, task_run_event(task_run, None, 10 + number, "PENDING", name="Recorded"))
        wait_for(pair, 5)

        def recorded_within(first: int, last: int) -> None:
            # Events have times that were sent, which are compared exactly.
            def is_within(states: list[dict[str, Any]]) -> bool:
                seen = [time[:19] for state in states for time in (state["first_seen"], state["last_seen"])]
                return seen == [at(first)[:19], at(last)[:19]]

            pair.eventually("GET", PATH, params={"query": "recorded"}, until=is_within)

        recorded_within(10, 12)
        pair.prepare("DELETE", f"/task_runs/{recorded[1]}")
        recorded_within(10, 12)
        pair.prepare("DELETE", f"/task_runs/{recorded[2]}")
        recorded_within(10, 10)
        pair.prepare("DELETE", f"/flow_runs/{runs[2]}")
        wait_for(pair, 4)
        pair.prepare("DELETE", f"/flow_runs/{runs[0]}")
        wait_for(pair, 3)
        pair.prepare("DELETE", f"/task_runs/{recorded[0]}")
        wait_for(pair, 2)
        pair.prepare("DELETE", f"/flows/{flow}")
        wait_for(pair, 0)


def test_a_usual_name_stays_known() -> None:
    """Which is ours alone: to know better would cost a write unit for each state of every run."""
    with asked_side_by_side() as pair:
        flow = pair.prepare("POST", "/flows/", {"name": "observed"})["id"]
        for _ in range(2):
            pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "state": {"type": "PENDING"}})
        known = wait_for(pair, 1)
        pair.prepare("DELETE", f"/flows/{flow}")
        answers = [server.send(Request("GET", PATH)).json() for server in (pair.oracle, pair.subject)]
        assert answers[0] == []
        assert [state["state_name"] for state in answers[1]] == [state["state_name"] for state in known]
