"""What the web interface asks for: counts, next runs, and a task run with the name of its flow run.

Charts of flow runs and counts of their task runs are in `test_flow_run_history.py`, schemas in `test_ui_schemas.py`.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from . import filters
from .events import BASE, at, send, task_run_event
from .library import NOBODY, scheduled
from .side_by_side import Pair

FLOWS = ["@flow.alpha@", "@flow.beta@", "@flow.unicode@", "@flow.hundred@", "@flow.lonely@", NOBODY]

IDS: dict[str, Any] = {
    "all": FLOWS,
    "reversed": FLOWS[::-1],
    "twice": [FLOWS[0], FLOWS[1], FLOWS[0]],
    "none": [],
    "over 200": [NOBODY, *(str(uuid4()) for _ in range(200))],
    "no id": ["x"],
    "null within": [None],
    "null": None,
    "a text": FLOWS[0],
}
NO_LISTS = [None, [], "x", {}, {"flow_ids": {}}, {"ids": []}]


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_count_deployments(filled: Pair, ids: Any) -> None:
    filled.check("POST", "/ui/flows/count-deployments", {"flow_ids": ids})


@pytest.mark.parametrize("ids", IDS.values(), ids=IDS)
def test_next_runs(filled: Pair, ids: Any) -> None:
    filled.check("POST", "/ui/flows/next-runs", {"flow_ids": ids})


@pytest.mark.parametrize("body", NO_LISTS, ids=str)
def test_flows_of_no_list(filled: Pair, body: Any) -> None:
    filled.check("POST", "/ui/flows/count-deployments", body)
    filled.check("POST", "/ui/flows/next-runs", body)


def test_next_runs_of_deployments_and_of_none(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": f"next-{uuid4()}"})["id"]

    def next_runs() -> None:
        pair.check("POST", "/ui/flows/next-runs", {"flow_ids": [flow]})
        pair.check("POST", "/ui/flows/count-deployments", {"flow_ids": [flow]})

    next_runs()
    runs = []
    for place, hour in enumerate((12, 10, 11)):
        deployment = pair.prepare("POST", "/deployments/", {"name": f"d{place}", "flow_id": flow})["id"]
        state = scheduled(f"2035-01-01T{hour}:00:00Z")
        runs.append(pair.prepare("POST", f"/deployments/{deployment}/create_flow_run", {"state": state})["id"])
        next_runs()
    alone = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "state": scheduled("2034-01-01T00:00:00.5Z")})["id"]
    next_runs()
    for run in (alone, runs[1]):
        pair.prepare("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})
        next_runs()
    pair.prepare("POST", f"/flow_runs/{alone}/set_state", {"state": {"type": "RUNNING"}})
    retry = scheduled("2033-01-01T00:00:00Z", name="AwaitingRetry")
    pair.prepare("POST", f"/flow_runs/{alone}/set_state", {"state": retry, "force": True})
    next_runs()
    for run in (alone, *runs):
        pair.check("DELETE", f"/flow_runs/{run}")
        next_runs()


TASK_RUNS = ["@task.sub@", "@task.done@", "@task.waiting@", "@task.free@", NOBODY, "x"]


@pytest.mark.parametrize("id", TASK_RUNS)
def test_read_task_run(filled: Pair, id: str) -> None:
    filled.check("GET", f"/ui/task_runs/{id}")


def test_read_task_run_without_its_flow_run(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": f"named-{uuid4()}"})["id"]
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "named"})["id"]
    body = {"task_key": "t", "dynamic_key": "0", "name": "t-0", "flow_run_id": run, "tags": ["a"]}
    task_run = pair.prepare("POST", "/task_runs/", body)["id"]
    pair.check("GET", f"/ui/task_runs/{task_run}")
    pair.check("PATCH", f"/flow_runs/{run}", {"name": "renamed"})
    pair.check("GET", f"/ui/task_runs/{task_run}")


OTHERS: dict[str, filters.Filters] = {
    "flows": filters.FLOWS,
    "flow_runs": filters.FLOW_RUNS,
    "deployments": filters.DEPLOYMENTS,
}
COUNTS = filters.queries("task_runs", filters.TASK_RUNS, **OTHERS) | {
    "nothing": {},
    "every filter null": dict.fromkeys(["task_runs", *OTHERS]),
    "started since": {"task_runs": {"start_time": {"after_": "2020-01-01T00:00:00Z"}}},
    "started before": {"task_runs": {"start_time": {"before_": "2020-01-01T00:00:00Z"}}},
    "started in future": {"task_runs": {"start_time": {"after_": "2100-01-01T00:00:00Z"}}},
    "started or": {
        "task_runs": {"start_time": {"after_": "2020-01-01T00:00:00Z"}, "name": {"any_": ["x"]}, "operator": "or_"}
    },
    "started since, of runs": {
        "task_runs": {"start_time": {"after_": "2020-01-01T00:00:00Z"}},
        "flow_runs": {"name": {"like_": "running"}},
    },
    "expected and started": {
        "task_runs": {
            "start_time": {"after_": "2020-01-01T00:00:00Z"},
            "expected_start_time": {"after_": "2020-01-01T00:00:00Z", "before_": "2031-01-01T00:00:00Z"},
        }
    },
    "ended since": {"task_runs": {"end_time": {"after_": "2020-01-01T00:00:00Z"}}},
    "not started": {"task_runs": {"start_time": {"is_null_": True}}},
    "wrong filter": {"task_runs": {"state": {"type": {"any_": ["DONE"]}}}},
    "unknown filter": {"task_runs": {"unknown": {}}},
    "work pools": {"work_pools": {"name": {"any_": ["x"]}}},
}


@pytest.mark.parametrize("body", COUNTS.values(), ids=COUNTS)
def test_count_by_state(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/ui/task_runs/count", body)


@pytest.mark.parametrize("body", [None, [], "x", {"task_runs": []}], ids=str)
def test_count_by_state_of_anything_else(filled: Pair, body: Any) -> None:
    filled.check("POST", "/ui/task_runs/count", body)


SINCE = {"after_": "2020-01-01T00:00:00Z"}
STARTED = {"task_runs": {"start_time": SINCE}}
DASHBOARD: dict[str, Any] = {
    "since long ago": STARTED,
    "until the future": {"task_runs": {"start_time": SINCE | {"before_": "2090-01-01T00:00:00.5Z"}}},
    "until the past": {"task_runs": {"start_time": SINCE | {"before_": "2021-01-01T00:00:00Z"}}},
    "backwards": {"task_runs": {"start_time": SINCE | {"before_": "2019-01-01T00:00:00Z"}}},
    "a minute": {"task_runs": {"start_time": SINCE | {"before_": SINCE["after_"]}}},
    "in future": {"task_runs": {"start_time": {"after_": "2100-01-01T00:00:00Z"}}},
    "with offset": {"task_runs": {"start_time": {"after_": "2020-01-01T00:00:00+05:45"}}},
    "without offset": {"task_runs": {"start_time": {"after_": "2020-01-01T00:00:30.5"}}},
    "its state is replaced": {"task_runs": {"start_time": SINCE, "state": {"type": {"any_": ["RUNNING"]}}}},
    "by name": {"task_runs": {"start_time": SINCE, "name": {"like_": "done"}}},
    "no null": {"task_runs": {"start_time": SINCE | {"is_null_": False}}},
    "null": {"task_runs": {"start_time": SINCE | {"is_null_": True}}},
    "of flows": STARTED | {"flows": {"name": {"any_": ["alpha"]}}},
    "of flow runs": STARTED | {"flow_runs": {"id": {"any_": ["@run.failed@", "@run.completed@"]}}},
    "of deployments": STARTED | {"deployments": {"name": {"any_": ["x"]}}},
    "of work pools": STARTED | {"work_pools": {"name": {"any_": ["x"]}}},
    "of work queues": STARTED | {"work_queues": {"name": {"any_": ["x"]}}},
    "the queues' other name": STARTED | {"work_pool_queues": {"name": {"any_": ["x"]}}},
    "every other filter null": STARTED
    | dict.fromkeys(["flows", "flow_runs", "deployments", "work_pools", "work_queues"]),
    "no filter": {},
    "filter null": {"task_runs": None},
    "no start": {"task_runs": {}},
    "start null": {"task_runs": {"start_time": None}},
    "no limit": {"task_runs": {"start_time": {}}},
    "before alone": {"task_runs": {"start_time": {"before_": "2030-01-01T00:00:00Z"}}},
    "limit null": {"task_runs": {"start_time": {"after_": None}}},
    "no time": {"task_runs": {"start_time": {"after_": "x"}}},
    "wrong filter": STARTED | {"flows": []},
}


@pytest.mark.parametrize("body", DASHBOARD.values(), ids=DASHBOARD)
def test_dashboard(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/ui/task_runs/dashboard/counts", body)


@pytest.mark.parametrize("body", [None, [], "x"], ids=str)
def test_dashboard_of_no_object(filled: Pair, body: Any) -> None:
    filled.check("POST", "/ui/task_runs/dashboard/counts", body)


# The start of a minute, in seconds after the base of all events.
START = 7_200 - BASE.second


@pytest.fixture(scope="module")
def started(session_pair: Pair) -> None:
    """Task runs that started at certain times and ended, as their clients report it."""
    starts, ends = [], []
    for place, time in enumerate([0, 59.999999, 60, 119.9996, 120.0004, 630, 1_199.9]):
        task_run, end = str(uuid4()), ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"][place % 4]
        known = {"name": "dashboard", "start_time": at(START + time)}
        ended = {**known, "end_time": at(START + 1_800)}
        starts.append(task_run_event(task_run, None, START + time, "RUNNING", before="PENDING", task=known))
        ends.append(task_run_event(task_run, None, START + 1_800, end, before="RUNNING", task=ended))
    named = {"name": {"any_": ["dashboard"]}}
    # One after the other: of what is reported together, the real server may record a part.
    for events, recorded in ((starts, named), (ends, {**named, "end_time": {"is_null_": False}})):
        for event in events:
            send(session_pair, event)
        session_pair.eventually("POST", "/task_runs/count", {"task_runs": recorded}, until=lambda count: count == len(starts))


EDGES = [
    (0, 1_140), (30, 1_170), (60, 60), (0, 2_399), (0, 3_600), (60.5, 600), (-3_600, -60), (0, 0), (59.9999995, 120),
]  # fmt: skip


@pytest.mark.parametrize(("after", "before"), EDGES)
@pytest.mark.parametrize("name", ["dashboard", "nobody", None])
def test_dashboard_at_the_edges(pair: Pair, started: None, after: float, before: float, name: str | None) -> None:
    own: dict[str, Any] = {"start_time": {"after_": at(START + after), "before_": at(START + before)}}
    if name:
        own["name"] = {"any_": [name]}
    pair.check("POST", "/ui/task_runs/dashboard/counts", {"task_runs": own})
    pair.check("POST", "/ui/task_runs/count", {"task_runs": own})


def test_a_run_under_the_deployment_of_another_flow(pair: Pair) -> None:
    flow, other = (pair.prepare("POST", "/flows/", {"name": f"next-{name}-{uuid4()}"})["id"] for name in ("own", "other"))
    deployment = pair.prepare("POST", "/deployments/", {"name": "others", "flow_id": other})["id"]
    run = {"flow_id": flow, "deployment_id": deployment, "state": scheduled("2034-01-01T00:00:00Z")}
    pair.prepare("POST", "/flow_runs/", run)
    pair.check("POST", "/ui/flows/next-runs", {"flow_ids": [flow]})


def test_a_task_run_that_ended_long_before_it_started(pair: Pair) -> None:
    id, tag = str(uuid4()), f"ended-early-{uuid4()}"
    task = {"start_time": at(7_300), "end_time": at(0), "expected_start_time": at(0)}
    send(pair, task_run_event(id, None, 0, "COMPLETED", task=task, tags=(tag,)))
    pair.eventually("GET", f"/task_runs/{id}", until=lambda run: run["state_type"] == "COMPLETED")
    pair.check("POST", "/ui/task_runs/count", {"task_runs": {"tags": {"all_": [tag]}}})
    started = {"tags": {"all_": [tag]}, "start_time": {"after_": at(7_200)}}
    pair.check("POST", "/ui/task_runs/count", {"task_runs": started})
