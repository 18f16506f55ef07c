"""What is added up over flow runs: histories, lateness, and the counts and charts of the web interface."""

from __future__ import annotations

from typing import Any

import pytest

from . import filters
from .library import NOBODY
from .side_by_side import Pair

OTHERS: dict[str, filters.Filters] = {
    "flows": filters.FLOWS,
    "task_runs": filters.TASK_RUNS,
    "deployments": filters.DEPLOYMENTS,
    "work_pools": filters.WORK_POOLS,
}
OWN = filters.queries("flow_runs", filters.FLOW_RUNS) | {
    "nothing": {},
    "every filter null": dict.fromkeys(["flow_runs", *OTHERS]),
    "flow runs and flows": {
        "flow_runs": {"tags": {"all_": ["a"]}, "state": {"type": {"not_any_": ["RUNNING"]}}},
        "flows": {"tags": {"all_": ["b"]}},
    },
}
RELATED = filters.queries("flow_runs", {}, **OTHERS)

# All runs of the library, whenever they are expected, in one interval.
ALL = {
    "history_start": "2020-01-01T00:00:00Z",
    "history_end": "2040-01-01T00:00:00Z",
    "history_interval_seconds": 700_000_000,
}
YEARS = {
    "history_start": "2021-01-01T00:00:00Z",
    "history_end": "2023-01-01T00:00:00Z",
    "history_interval_seconds": 2_592_000,
}
HISTORY: dict[str, dict[str, Any]] = {
    "all": ALL,
    "months": YEARS,
    "uneven": YEARS | {"history_interval_seconds": 5_000_000.25},
    "a limit at a run": YEARS
    | {
        "history_start": "2021-03-04T05:06:07.089Z",
        "history_end": "2021-03-04T05:06:08Z",
        "history_interval_seconds": 1,
    },
    "up to a run": YEARS
    | {
        "history_start": "2021-03-04T05:06:06.089Z",
        "history_end": "2021-03-04T05:06:07.089Z",
        "history_interval_seconds": 1,
    },
    "with offset": YEARS | {"history_start": "2021-01-01T02:00:00+02:00", "history_end": "2022-01-01T02:00:01+02:00"},
    "without offset": YEARS | {"history_start": "2021-01-01T00:00:00", "history_end": "2022-01-01"},
    "of the far future": YEARS
    | {
        "history_start": "2030-12-31T00:00:00Z",
        "history_end": "2031-01-02T00:00:00Z",
        "history_interval_seconds": 86_400,
    },
    "empty time": YEARS | {"history_end": YEARS["history_start"]},
    "backwards": YEARS | {"history_end": "2020-01-01T00:00:00Z"},
    "500 intervals": YEARS | {"history_end": "2021-01-01T00:08:20Z", "history_interval_seconds": 1},
    "501 intervals": YEARS | {"history_end": "2021-01-01T00:08:21Z", "history_interval_seconds": 1},
    "too many intervals": YEARS | {"history_interval_seconds": 3_600},
    "a second": YEARS | {"history_interval_seconds": 1.0},
    "less than a second": YEARS | {"history_interval_seconds": 0.999},
    "no length": YEARS | {"history_interval_seconds": 0},
    "negative length": YEARS | {"history_interval_seconds": -3_600},
    "length as text": YEARS | {"history_interval_seconds": "2592000"},
    "length null": YEARS | {"history_interval_seconds": None},
    "no interval": {"history_start": YEARS["history_start"], "history_end": YEARS["history_end"]},
    "no start": {"history_end": YEARS["history_end"], "history_interval_seconds": 3_600},
    "no end": {"history_start": YEARS["history_start"], "history_interval_seconds": 3_600},
    "wrong types": {"history_start": "x", "history_end": [], "history_interval_seconds": "x"},
    "unknown filter": ALL | {"flow_runs": {"unknown": {}}},
    "wrong filter": ALL | {"flow_runs": {"state": {"type": {"any_": ["DONE"]}}}},
    "the queues' other name": ALL | {"work_pool_queues": {"name": {"any_": ["x"]}}},
    "expected within": YEARS
    | {"flow_runs": {"expected_start_time": {"after_": "2021-03-01T00:00:00Z", "before_": "2021-12-31T00:00:00Z"}}},
    "expected outside": YEARS | {"flow_runs": {"expected_start_time": {"after_": "2024-01-01T00:00:00Z"}}},
    "several flows": ALL
    | {"flows": {"name": {"any_": ["alpha", "Beta-flow"]}}, "flow_runs": {"tags": {"any_": ["a", "b"]}}},
}


@pytest.mark.parametrize("body", HISTORY.values(), ids=HISTORY)
def test_history(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/flow_runs/history", body)


@pytest.mark.parametrize("body", [None, [], "x", {}], ids=str)
def test_history_of_no_object(filled: Pair, body: Any) -> None:
    filled.check("POST", "/flow_runs/history", body)


@pytest.mark.parametrize("body", OWN.values(), ids=OWN)
def test_filtered_history_and_lateness(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/flow_runs/history", ALL | body)
    filled.check("POST", "/flow_runs/lateness", body, view=measured)


@pytest.mark.parametrize("body", RELATED.values(), ids=RELATED)
def test_history_and_lateness_by_related(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/flow_runs/history", ALL | body)
    filled.check("POST", "/flow_runs/lateness", body, view=measured)


@pytest.mark.parametrize("filter", filters.WORK_QUEUES.values(), ids=filters.WORK_QUEUES)
def test_history_and_lateness_by_work_queue(filled: Pair, filter: dict[str, Any]) -> None:
    filled.check("POST", "/flow_runs/history", ALL | {"work_queues": filter})
    filled.check("POST", "/flow_runs/lateness", {"work_pool_queues": filter}, view=measured)


@pytest.mark.parametrize("body", [None, [], {"flow_runs": {"unknown": {}}}, {"flow_runs": []}], ids=str)
def test_lateness_of_anything_else(filled: Pair, body: Any) -> None:
    filled.check("POST", "/flow_runs/lateness", body, view=measured)


@pytest.mark.parametrize(
    "name", ["state type RUNNING", "name any", "tags any", "start_time is null", "id any of nothing"]
)
def test_chart(filled: Pair, name: str) -> None:
    body = {"flow_runs": filters.FLOW_RUNS[name], "sort": "NAME_ASC"}
    filled.check("POST", "/ui/flow_runs/history", body, view=charted)


@pytest.mark.parametrize("body", RELATED.values(), ids=RELATED)
def test_chart_by_related(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/ui/flow_runs/history", body | {"sort": "NAME_DESC"}, view=charted)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sort": "START_TIME_ASC"},
        {"sort": "EXPECTED_START_TIME_ASC", "limit": 2},
        {"sort": "EXPECTED_START_TIME_DESC", "limit": 1, "offset": 1},
        {"limit": 0},
        {"limit": -1},
        {"limit": -5, "offset": 3},
        {"limit": 1000},
        {"limit": 1001},
        {"limit": "2"},
        {"limit": None},
        {"offset": -1},
        {"offset": 1000},
        {"sort": "NAME"},
        {"sort": None},
        {"flow_runs": None},
        {"work_pool_queues": {"name": {"any_": ["x"]}}},
        [],
        None,
    ],
    ids=str,
)
def test_chart_window(filled: Pair, body: Any) -> None:
    filled.check("POST", "/ui/flow_runs/history", body, view=charted)


RUNS = ["@run.running@", "@run.completed@", "@run.parent@", "@run.pending@", NOBODY]


@pytest.mark.parametrize(
    "ids",
    [RUNS, RUNS[::-1], ["@run.running@", "@run.running@"], [], [NOBODY] * 201, ["x"], [None], None, "@run.running@"],
    ids=lambda ids: str(ids)[:40],
)
def test_count_task_runs(filled: Pair, ids: Any) -> None:
    filled.check("POST", "/ui/flow_runs/count-task-runs", {"flow_run_ids": ids})


@pytest.mark.parametrize("body", [{}, RUNS, None], ids=lambda body: str(body)[:40])
def test_count_task_runs_of_no_list(filled: Pair, body: Any) -> None:
    filled.check("POST", "/ui/flow_runs/count-task-runs", body)


def measured(body: Any) -> Any:
    """Names an average, so that it is compared as what it is: a duration that depends on the clock."""
    return {"estimated_start_time_delta": body} if isinstance(body, float) else body


def charted(body: Any) -> Any:
    """Names the durations of a chart's runs as all other answers name them."""
    if not isinstance(body, list):
        return body
    return [
        {
            **{key: value for key, value in run.items() if key not in ("duration", "lateness")},
            "estimated_run_time": run["duration"],
            "estimated_start_time_delta": run["lateness"],
        }
        for run in body
    ]
