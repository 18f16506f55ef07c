"""Task runs recorded from the events of a client: in order, duplicated, reordered, late."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from .events import Event, at, send, task_run_event
from .library import NOBODY
from .side_by_side import Pair, Request


class Recorded:
    """A task run that both servers only know from events."""

    def __init__(self, pair: Pair, flow_run: str | None, **task: Any) -> None:
        self.pair = pair
        self.flow_run = flow_run
        self.id = str(uuid4())
        self.task = {"name": "recorded", "dynamic_key": self.id, **task}

    def event(self, seconds: float, type: str, **more: Any) -> Event:
        return task_run_event(
            self.id, self.flow_run, seconds, type, **{**more, "task": {**self.task, **more.pop("task", {})}}
        )

    def lifecycle(self) -> list[Event]:
        """Pending, running and completed, as the task engine reports them."""
        start = {"start_time": at(2), "expected_start_time": at(1), "run_count": 1, "flow_run_run_count": 1}
        return [
            self.event(1, "PENDING", task={"expected_start_time": at(1)}),
            self.event(2, "RUNNING", before="PENDING", task=start),
            self.event(
                3,
                "COMPLETED",
                before="RUNNING",
                task={**start, "end_time": at(3), "total_run_time": 1.0},
                data={"type": "reference", "storage_key": "k"},
            ),
        ]

    def send(self, *events: Event) -> None:
        send(self.pair, *events)

    def check(self, states: int) -> None:
        """Waits for a number of states in the history, then compares it and the task run."""
        self.pair.eventually(
            "GET",
            "/task_run_states/",
            params={"task_run_id": self.id},
            until=lambda history: len(history) == states,
        )
        self.pair.check("GET", f"/task_runs/{self.id}")


@pytest.fixture
def flow_run(pair: Pair) -> str:
    """The id of a running flow run of the test's own."""
    flow = pair.prepare("POST", "/flows/", {"name": "task-run-events"})
    body = {"flow_id": flow["id"], "name": "run", "state": {"type": "RUNNING"}}
    return pair.prepare("POST", "/flow_runs/", body)["id"]


def in_order(events: list[Event]) -> list[list[Event]]:
    return [[event] for event in events]


def backwards(events: list[Event]) -> list[list[Event]]:
    return [[event] for event in reversed(events)]


def at_once(events: list[Event]) -> list[list[Event]]:
    return [events]


def at_once_backwards(events: list[Event]) -> list[list[Event]]:
    return [events[::-1]]


def end_first(events: list[Event]) -> list[list[Event]]:
    return [[events[2]], [events[0]], [events[1]]]


def middle_last(events: list[Event]) -> list[list[Event]]:
    return [[events[0]], [events[2]], [events[1]]]


def each_twice(events: list[Event]) -> list[list[Event]]:
    return [[event] for event in events for _ in range(2)]


def all_twice(events: list[Event]) -> list[list[Event]]:
    return in_order(events) * 2


@pytest.mark.parametrize(
    "arrival",
    [in_order, backwards, at_once, at_once_backwards, end_first, middle_last, each_twice, all_twice],
    ids=lambda arrival: arrival.__name__,
)
@pytest.mark.parametrize("background", [False, True], ids=["of a flow run", "without a flow run"])
def test_arrival(
    pair: Pair, flow_run: str, arrival: Callable[[list[Event]], list[list[Event]]], background: bool
) -> None:
    task = Recorded(pair, None if background else flow_run)
    for batch in arrival(task.lifecycle()):
        task.send(*batch)
    task.check(3)


def test_step_by_step(pair: Pair, flow_run: str) -> None:
    task = Recorded(pair, flow_run, tags=["b", "a"])
    for count, sent in enumerate(task.lifecycle(), start=1):
        task.send(sent)
        task.check(count)
    pair.check("GET", f"/flow_runs/{flow_run}")
    pair.check("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [flow_run]}}})
    pair.check("POST", "/task_runs/count", {"flow_runs": {"id": {"any_": [flow_run]}}})


def test_everything_a_client_tells(pair: Pair, flow_run: str) -> None:
    task = Recorded(
        pair,
        flow_run,
        task_key="module.function-abc",
        cache_key="cache",
        cache_expiration="2031-01-01T00:00:00Z",
        task_version="1.2",
        empirical_policy={"retries": 2, "retry_delay": [1, 2], "retry_jitter_factor": 0.5},
        labels={"a": 1, "b": "two", "c": 2.5, "d": True},
        task_inputs={"x": [{"input_type": "task_run", "id": NOBODY}], "y": [{"input_type": "parameter", "name": "p"}]},
        run_count=4,
        flow_run_run_count=2,
        total_run_time=12.25,
        start_time=at(1),
        end_time=at(9),
        expected_start_time=at(0),
        next_scheduled_start_time=at(8),
        estimated_run_time=99.0,
    )
    details = {
        "cache_key": "k",
        "cache_expiration": "2031-01-01T00:00:00Z",
        "scheduled_time": at(8),
        "retriable": False,
        "refresh_cache": True,
        "deferred": True,
        "task_parameters_id": NOBODY,
        "child_flow_run_id": NOBODY,
        "untrackable_result": True,
        "traceparent": "00-1-2-3",
    }
    task.send(
        task.event(
            9, "COMPLETED", name="Cached", message="ü ✓", details=details, data={"any": [1]}, tags=("b", "a", "ü")
        )
    )
    task.check(1)


def test_retries(pair: Pair, flow_run: str) -> None:
    task = Recorded(pair, flow_run, empirical_policy={"retries": 1, "retry_delay": 0})
    events = [
        task.event(1, "PENDING"),
        task.event(2, "RUNNING", before="PENDING", task={"run_count": 1, "start_time": at(2)}),
        task.event(
            3,
            "SCHEDULED",
            name="AwaitingRetry",
            before="RUNNING",
            details={"scheduled_time": at(4)},
            task={"run_count": 1, "start_time": at(2)},
        ),
        task.event(4, "RUNNING", name="Retrying", before="SCHEDULED", task={"run_count": 2, "start_time": at(2)}),
        task.event(
            5,
            "FAILED",
            before="RUNNING",
            message="Task run encountered an exception",
            task={"run_count": 2, "start_time": at(2), "end_time": at(5), "total_run_time": 2.0},
        ),
    ]
    for count, sent in enumerate(events, start=1):
        task.send(sent)
        task.check(count)


@pytest.mark.parametrize("terminal", ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])
def test_a_late_event_does_not_undo_the_end(pair: Pair, flow_run: str, terminal: str) -> None:
    task = Recorded(pair, flow_run)
    task.send(task.event(5, terminal, task={"end_time": at(5), "run_count": 1}))
    task.check(1)
    task.send(task.event(2, "RUNNING", task={"start_time": at(2), "run_count": 1, "name": "late name"}))
    task.check(2)
    task.send(task.event(1, "PENDING"))
    task.check(3)


def test_a_newer_event_after_the_end(pair: Pair, flow_run: str) -> None:
    task = Recorded(pair, flow_run)
    for sent in (*task.lifecycle(), task.event(8, "RUNNING", name="Retrying", task={"run_count": 2})):
        task.send(sent)
    task.check(4)


def test_two_states_of_one_instant(pair: Pair, flow_run: str) -> None:
    """The oracle forgets the second one; ours keeps it in the history."""
    task = Recorded(pair, flow_run)
    task.send(task.event(2, "RUNNING", task={"run_count": 1}))
    task.check(1)
    second = task.event(2, "COMPLETED", task={"run_count": 2})
    task.send(second)
    task.send(task.event(3, "FAILED", task={"run_count": 3}))

    def without_second(history: Any) -> Any:
        return [state for state in history if state["id"] != second["id"]]

    answer = pair.eventually(
        "GET",
        "/task_run_states/",
        params={"task_run_id": task.id},
        until=lambda history: len(without_second(history)) == 2,
        view=without_second,
    )
    if not pair.subject.is_oracle:
        assert second["id"] in [state["id"] for state in answer.subject.json()]
    pair.check("GET", f"/task_runs/{task.id}")


def test_the_same_event_with_other_content(pair: Pair, flow_run: str) -> None:
    task = Recorded(pair, flow_run)
    first = task.event(2, "RUNNING", task={"run_count": 1})
    task.send(first)
    task.check(1)
    changed = task.event(3, "COMPLETED", task={"run_count": 9})
    task.send({**changed, "id": first["id"]})
    task.send(task.event(1, "PENDING"))
    task.check(2)


def test_fields_that_a_later_event_leaves_out(pair: Pair, flow_run: str) -> None:
    task = Recorded(pair, flow_run)
    task.send(task.event(1, "PENDING", task={"cache_key": "kept", "labels": {"a": 1}, "start_time": at(1)}))
    task.check(1)
    last = task.event(2, "RUNNING")
    for field in ("tags", "labels", "task_inputs", "empirical_policy", "total_run_time"):
        del last["payload"]["task_run"][field]
    task.send(last)
    task.check(2)


def test_created_through_the_api_first(pair: Pair, flow_run: str) -> None:
    task = Recorded(pair, flow_run)
    body = {
        "id": task.id,
        "flow_run_id": flow_run,
        "name": "by the API",
        "task_key": "task-key",
        "dynamic_key": task.id,
        "tags": ["api"],
    }
    pair.check("POST", "/task_runs/", body)
    for sent in task.lifecycle():
        task.send(sent)
    task.check(4)


def test_set_state_after_events(pair: Pair, flow_run: str) -> None:
    task = Recorded(pair, flow_run)
    for sent in task.lifecycle()[:2]:
        task.send(sent)
    task.check(2)
    pair.check("POST", f"/task_runs/{task.id}/set_state", {"state": {"type": "COMPLETED"}})
    task.check(3)
    task.send(task.lifecycle()[2])
    task.check(4)


def test_two_ids_for_the_same_keys(pair: Pair, flow_run: str) -> None:
    first, second = (Recorded(pair, flow_run, task_key="shared", dynamic_key="0") for _ in range(2))
    first.send(first.event(1, "PENDING"))
    first.check(1)
    second.send(second.event(2, "RUNNING"))
    first.check(2)
    pair.check("GET", f"/task_runs/{second.id}")
    pair.check("GET", "/task_run_states/", params={"task_run_id": second.id})
    pair.check("POST", "/task_runs/count", {"flow_runs": {"id": {"any_": [flow_run]}}})


def test_of_an_unknown_flow_run(pair: Pair, flow_run: str) -> None:
    unknown, known = Recorded(pair, NOBODY), Recorded(pair, flow_run)
    unknown.send(unknown.event(1, "PENDING"))
    known.send(known.event(1, "PENDING"))
    known.check(1)
    unknown.check(0)


def test_several_tasks_mixed(pair: Pair, flow_run: str) -> None:
    tasks = [Recorded(pair, flow_run, name=f"mixed-{n}") for n in range(4)]
    lifecycles = [task.lifecycle() for task in tasks]
    for step in ([0, 1], [2], [1, 0], [2]):
        send(pair, *(lifecycles[n][step[n % len(step)]] for n in range(4)))
    for sent in (lifecycles[0][0], lifecycles[2][1]):
        send(pair, sent)
    for task in tasks:
        pair.eventually(
            "GET", "/task_run_states/", params={"task_run_id": task.id}, until=lambda history: len(history) >= 2
        )
        pair.check("GET", f"/task_runs/{task.id}")
    body = {"flow_runs": {"id": {"any_": [flow_run]}}, "sort": "NAME_DESC"}
    pair.check("POST", "/task_runs/filter", body)


def test_deleted_in_between(pair: Pair, flow_run: str) -> None:
    task = Recorded(pair, flow_run)
    pending, running, _ = task.lifecycle()
    task.send(pending)
    task.check(1)
    pair.check("DELETE", f"/task_runs/{task.id}")
    task.send(running)
    task.check(1)


@pytest.mark.parametrize("orchestration", ["server", "", None])
def test_events_that_are_not_the_clients_report(pair: Pair, flow_run: str, orchestration: str | None) -> None:
    ignored, recorded = Recorded(pair, flow_run), Recorded(pair, flow_run)
    sent = ignored.event(1, "RUNNING")
    if orchestration is None:
        del sent["resource"]["prefect.orchestration"]
    else:
        sent["resource"]["prefect.orchestration"] = orchestration
    other_name = {**ignored.event(2, "RUNNING"), "event": "my.task-run.Running"}
    send(pair, sent, other_name, recorded.event(1, "PENDING"))
    recorded.check(1)
    pair.check("GET", f"/task_runs/{ignored.id}")


def test_a_report_that_makes_no_sense(pair: Pair, flow_run: str) -> None:
    """It is kept as an event, records nothing, and holds up nothing that follows."""
    good = Recorded(pair, flow_run)
    broken = Recorded(pair, flow_run)
    reports = [
        {**broken.event(1, "RUNNING"), "payload": {}},
        {**broken.event(2, "RUNNING"), "payload": {"validated_state": {"type": "DONE"}, "task_run": {}}},
        {**broken.event(3, "RUNNING"), "payload": {"validated_state": {"type": "RUNNING"}}},
    ]
    for report in reports:
        send(pair, report)
    send(pair, good.event(1, "PENDING"))
    good.check(1)
    pair.check("GET", f"/task_runs/{broken.id}")


@pytest.mark.parametrize("skews", [(0, 2, 1), (0, 30, -30), (5, 5, 5)], ids=str)
@pytest.mark.parametrize("arrival", [in_order, backwards, at_once, end_first, middle_last], ids=lambda arrival: arrival.__name__)
def test_what_follows_is_later_whatever_the_clocks_say(
    pair: Pair, skews: tuple[int, int, int], arrival: Callable[[list[Event]], list[list[Event]]]
) -> None:
    task = Recorded(pair, None)
    events = [task.event(seconds, type) for seconds, type in zip(skews, ("PENDING", "RUNNING", "COMPLETED"), strict=True)]
    for before, event in zip(events, events[1:]):
        event["follows"] = before["id"]
    for batch in arrival(events):
        task.send(*batch)
    ours = pair.subject
    deadline = time.monotonic() + 30
    while True:
        states = ours.send(Request("GET", "/task_run_states/", params={"task_run_id": task.id})).json()
        if len(states) == 3 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert [state["type"] for state in states] == ["PENDING", "RUNNING", "COMPLETED"]
    assert ours.send(Request("GET", f"/task_runs/{task.id}")).json()["state_type"] == "COMPLETED"
