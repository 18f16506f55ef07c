"""Task runs through their own routes: create, read, update, delete, query, history, states."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest

from . import filters
from .library import NOBODY, scheduled
from .side_by_side import Answer, Pair

OTHERS: dict[str, filters.Filters] = {
    "flows": filters.FLOWS,
    "flow_runs": filters.FLOW_RUNS,
    "deployments": filters.DEPLOYMENTS,
}
OWN = filters.queries("task_runs", filters.TASK_RUNS) | {
    "nothing": {},
    "task runs null": {"task_runs": None},
    "flow runs and flows": {
        "flow_runs": {"tags": {"any_": ["a", "c"]}},
        "flows": {"name": {"any_": ["alpha"]}},
    },
    "task runs and flow runs": {
        "task_runs": {"name": {"like_": "e"}},
        "flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}},
    },
}
RELATED = filters.queries("task_runs", {}, **OTHERS)

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


@pytest.fixture
def flow_run(pair: Pair) -> str:
    """The id of a flow run of the test's own."""
    flow = pair.prepare("POST", "/flows/", {"name": "task-runs"})
    return pair.prepare("POST", "/flow_runs/", {"flow_id": flow["id"], "name": "run"})["id"]


class TaskRun:
    """A task run on both servers."""

    def __init__(self, pair: Pair, flow_run: str | None, **body: Any) -> None:
        self.pair = pair
        self.id = str(uuid4())
        self.path = f"/task_runs/{self.id}"
        body = {"id": self.id, "flow_run_id": flow_run, "name": "t", "task_key": "t", "dynamic_key": self.id, **body}
        pair.prepare("POST", "/task_runs/", body)

    def set(self, type: str, *, force: bool = False, **state: Any) -> Answer:
        body: dict[str, Any] = {"state": {"type": type, **state}}
        if force:
            body["force"] = True
        return self.pair.check("POST", f"{self.path}/set_state", body)

    def check(self) -> None:
        self.pair.check("GET", self.path)

    def check_history(self) -> None:
        self.pair.check("GET", "/task_run_states/", params={"task_run_id": self.id})


def details(type: str) -> dict[str, Any]:
    return {"state_details": {"scheduled_time": PAST}} if type == "SCHEDULED" else {}


def test_lifecycle(pair: Pair, flow_run: str) -> None:
    body = {"flow_run_id": flow_run, "task_key": "a", "dynamic_key": "0", "name": "lifecycle"}
    task = pair.check("POST", "/task_runs/", body)
    path = f"/task_runs/{task['id']}"
    pair.check("GET", path)
    pair.check("POST", "/task_runs/", {**body, "name": "again"})
    pair.check("PATCH", path, {"name": "renamed"})
    pair.check("GET", path)
    for state in ("RUNNING", "COMPLETED"):
        answer = pair.check("POST", f"{path}/set_state", {"state": {"type": state, "message": f"now {state}"}})
        pair.check("GET", path)
        pair.check("GET", f"/task_run_states/{answer.at('state', 'id')}")
    pair.check("GET", "/task_run_states/", params={"task_run_id": task["id"]})
    pair.check("GET", f"/flow_runs/{flow_run}")
    pair.check("DELETE", path)
    pair.check("GET", path)
    pair.check("DELETE", path)
    pair.check("GET", "/task_run_states/", params={"task_run_id": task["id"]})


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"name": "named"},
        {"name": None},
        {"name": ""},
        {"name": "ünï ✓ \n"},
        {"name": "slash/percent%"},
        {"name": 1},
        {"id": None},
        {"id": "x"},
        {"flow_run_id": None},
        {"flow_run_id": NOBODY},
        {"flow_run_id": "x"},
        {"task_key": ""},
        {"task_key": None},
        {"task_key": "x" * 3000},
        {"dynamic_key": 5},
        {"dynamic_key": ""},
        {"cache_key": "k", "cache_expiration": FUTURE},
        {"cache_key": "x" * 3000},
        {"task_version": "1.0"},
        {"tags": ["b", "a", "b"]},
        {"tags": None},
        {"labels": {"a": 1, "b": 2.5, "c": True, "d": "x"}},
        {"labels": None},
        {"empirical_policy": {"retries": 3, "retry_delay": [1, 2, 3], "retry_jitter_factor": 0.5}},
        {"empirical_policy": {"retries": 3, "retry_delay": 1.5}},
        {"empirical_policy": {"max_retries": 1, "retry_delay_seconds": 2}},
        {"empirical_policy": {"retry_delay": "x"}},
        {"empirical_policy": {"retry_delay": list(range(60))}},
        {"empirical_policy": {"retry_jitter_factor": -1}},
        {"empirical_policy": None},
        {"task_inputs": {"x": [{"input_type": "task_run", "id": NOBODY}], "y": []}},
        {"task_inputs": {"x": [{"input_type": "parameter", "name": "p"}, {"input_type": "constant", "type": "int"}]}},
        {"task_inputs": {"x": [{"input_type": "flow_run", "id": NOBODY}]}},
        {"task_inputs": {"x": [{"input_type": "nothing"}]}},
        {"task_inputs": {"__parents__": [{"input_type": "task_run", "id": NOBODY}]}},
        {"task_inputs": None},
        {"state": scheduled(FUTURE)},
        {"state": scheduled(PAST, name="AwaitingRetry")},
        {"state": {"type": "SCHEDULED"}},
        {"state": {"type": "RUNNING"}},
        {"state": {"type": "COMPLETED", "data": {"a": [1]}}},
        {"state": {"type": "FAILED", "message": "m"}},
        {"state": {"type": "DONE"}},
        {"state": None},
        {"run_count": 3},
        {"expected_start_time": PAST},
    ],
    ids=lambda body: str(body)[:70],
)
def test_create(pair: Pair, flow_run: str, more: dict[str, Any]) -> None:
    body = {"flow_run_id": flow_run, "task_key": "key", "dynamic_key": "0", **more}
    answer = pair.check("POST", "/task_runs/", body)
    if answer.status == 201:
        pair.check("GET", f"/task_runs/{answer['id']}")
        pair.check("GET", "/task_run_states/", params={"task_run_id": answer["id"]})


@pytest.mark.parametrize("body", [{}, {"task_key": "x"}, {"dynamic_key": "0"}, [], "text", None], ids=str)
def test_create_without_keys(pair: Pair, body: Any) -> None:
    pair.check("POST", "/task_runs/", body)


def test_create_again(pair: Pair, flow_run: str) -> None:
    own = str(uuid4())
    body = {"flow_run_id": flow_run, "task_key": "key", "dynamic_key": "0", "name": "first", "id": own}
    pair.check("POST", "/task_runs/", body)
    pair.check("POST", "/task_runs/", body)
    pair.check("POST", "/task_runs/", {**body, "id": str(uuid4()), "name": "same keys, other id"})
    pair.check("POST", "/task_runs/", {**body, "dynamic_key": "1", "name": "same id, other keys"})
    pair.check("GET", f"/task_runs/{own}")
    free = {"task_key": "key", "dynamic_key": "0", "name": "free"}
    pair.check("POST", "/task_runs/", free)
    pair.check("POST", "/task_runs/", {**free, "name": "free again"})


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "new"}, {"name": ""}, {"name": None}, {"name": 1}, {"tags": []}, {"name": "ü\u0000"}, [], None],
    ids=str,
)
def test_update(pair: Pair, flow_run: str, body: Any) -> None:
    task = TaskRun(pair, flow_run, tags=["kept"])
    pair.check("PATCH", task.path, body)
    task.check()


@pytest.mark.parametrize("id", [NOBODY, "not-a-uuid", NOBODY.replace("-", "")])
def test_unknown_task_run(pair: Pair, id: str) -> None:
    path = f"/task_runs/{id}"
    pair.check("GET", path)
    pair.check("PATCH", path, {"name": "x"})
    pair.check("PATCH", path, {})
    pair.check("DELETE", path)
    pair.check("POST", f"{path}/set_state", {"state": {"type": "RUNNING"}})
    pair.check("POST", f"{path}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    pair.check("GET", f"/task_run_states/{id}")
    pair.check("GET", "/task_run_states/", params={"task_run_id": id})
    pair.check("GET", "/task_run_states/")


@pytest.mark.parametrize("proposed", STATE_TYPES)
@pytest.mark.parametrize("initial", STATE_TYPES)
def test_every_pair_of_states(pair: Pair, shared_flow_run: str, initial: str, proposed: str) -> None:
    task = TaskRun(pair, shared_flow_run)
    task.set(initial, force=True, **details(initial))
    task.set(proposed, **details(proposed))
    task.check()


@pytest.fixture(scope="module")
def running_flow_run(session_pair: Pair) -> str:
    flow = session_pair.prepare("POST", "/flows/", {"name": "task-runs"})
    body = {"flow_id": flow["id"], "name": "shared", "state": {"type": "RUNNING"}}
    return session_pair.prepare("POST", "/flow_runs/", body)["id"]


@pytest.fixture
def shared_flow_run(pair: Pair, running_flow_run: str) -> str:
    """The id of a running flow run that the tests of this file share."""
    return running_flow_run


@pytest.mark.parametrize("proposed", STATE_TYPES)
@pytest.mark.parametrize("parent", ["PENDING", "CANCELLING", "CANCELLED", "COMPLETED", "PAUSED"])
def test_state_of_the_flow_run_matters(pair: Pair, flow_run: str, parent: str, proposed: str) -> None:
    task = TaskRun(pair, flow_run)
    pair.prepare("POST", f"/flow_runs/{flow_run}/set_state", {"state": {"type": parent}, "force": True})
    task.set(proposed, **details(proposed))
    task.check()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": None},
        {"state": {"type": "DONE"}},
        {"state": {"type": "RUNNING", "id": NOBODY}},
        {"state": {"type": "RUNNING"}, "force": "perhaps"},
        {"state": {"type": "RUNNING", "state_details": {"scheduled_time": "soon"}}},
        [],
        None,
    ],
    ids=str,
)
def test_set_state_body(pair: Pair, shared_flow_run: str, body: Any) -> None:
    task = TaskRun(pair, shared_flow_run)
    pair.check("POST", f"{task.path}/set_state", body)
    task.check()


@pytest.mark.parametrize(
    "policy",
    [
        {"retries": 2, "retry_delay": 0},
        {"retries": 3, "retry_delay": [0, 30]},
        {"retries": 1, "retry_delay": 30},
        {"max_retries": 2, "retry_delay_seconds": 5},
        {"retries": 0},
    ],
    ids=str,
)
def test_retries(pair: Pair, shared_flow_run: str, policy: dict[str, Any]) -> None:
    task = TaskRun(pair, shared_flow_run, empirical_policy=policy)
    task.set("RUNNING")
    task.set("FAILED", message="first failure", data={"kept": True})
    task.check()
    task.set("RUNNING")
    task.set("RUNNING", force=True)
    task.set("FAILED", message="second failure")
    task.check()
    task.set("RUNNING", force=True)
    task.set("FAILED", state_details={"retriable": False})
    task.check()
    task.check_history()


def test_not_retriable(pair: Pair, shared_flow_run: str) -> None:
    task = TaskRun(pair, shared_flow_run, empirical_policy={"retries": 2, "retry_delay": 0})
    task.set("RUNNING")
    task.set("FAILED", state_details={"retriable": False})
    task.check()


def test_cached_result(pair: Pair, shared_flow_run: str) -> None:
    key = f"cache-{uuid4()}"
    first = TaskRun(pair, shared_flow_run)
    first.set("RUNNING", state_details={"cache_key": key})
    first.set("COMPLETED", data={"result": 42}, state_details={"cache_key": key})
    second = TaskRun(pair, shared_flow_run)
    second.set("RUNNING", state_details={"cache_key": key})
    second.check()
    refreshed = TaskRun(pair, shared_flow_run)
    refreshed.set("RUNNING", state_details={"cache_key": key, "refresh_cache": True})
    refreshed.set("COMPLETED", data={"result": 43}, state_details={"cache_key": key, "cache_expiration": FUTURE})
    third = TaskRun(pair, shared_flow_run)
    third.set("RUNNING", state_details={"cache_key": key})
    third.check_history()
    expired = TaskRun(pair, shared_flow_run)
    other = f"cache-{uuid4()}"
    expired.set("RUNNING", state_details={"cache_key": other})
    expired.set("COMPLETED", data=1, state_details={"cache_key": other, "cache_expiration": PAST})
    fourth = TaskRun(pair, shared_flow_run)
    fourth.set("RUNNING", state_details={"cache_key": other})


def test_cached_result_of_a_named_state(pair: Pair, shared_flow_run: str) -> None:
    task = TaskRun(pair, shared_flow_run)
    task.set("RUNNING")
    task.set("COMPLETED", name="Cached", data={"type": "reference", "storage_key": "k"})
    task.check()


def test_total_run_time_is_measured(pair: Pair, shared_flow_run: str) -> None:
    task = TaskRun(pair, shared_flow_run)
    task.set("RUNNING")
    time.sleep(1.5)
    pair.check("GET", task.path, seconds=0.7)
    task.set("COMPLETED")
    pair.check("GET", task.path, seconds=0.7)


def test_scheduled_in_the_future(pair: Pair, shared_flow_run: str) -> None:
    task = TaskRun(pair, shared_flow_run, state=scheduled(FUTURE))
    task.set("RUNNING")
    task.set("PENDING")
    task.set("RUNNING")
    task.check()


def test_rerun_of_a_finished_task(pair: Pair, shared_flow_run: str) -> None:
    for terminal in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
        task = TaskRun(pair, shared_flow_run)
        task.set("RUNNING")
        task.set(terminal, data={"result": 1})
        task.set("RUNNING")
        task.set("SCHEDULED", name="AwaitingRetry", state_details={"scheduled_time": PAST})
        task.set("RUNNING")
        task.check()


@pytest.mark.parametrize("body", OWN.values(), ids=OWN)
def test_filter_and_count(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/task_runs/filter", {"sort": "NAME_ASC", **body})
    filled.check("POST", "/task_runs/count", body)


@pytest.mark.parametrize("body", RELATED.values(), ids=RELATED)
def test_filter_by_related(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/task_runs/filter", {"sort": "NAME_ASC", **body})


@pytest.mark.parametrize("entity", OTHERS)
def test_count_by_related(filled: Pair, entity: str) -> None:
    for name in ("empty", "id any"):
        filled.check("POST", "/task_runs/count", {entity: OTHERS[entity][name]})


SORTS = {
    "ID_DESC": "id",
    "EXPECTED_START_TIME_ASC": "expected_start_time",
    "EXPECTED_START_TIME_DESC": "expected_start_time",
    "NAME_ASC": "name",
    "NAME_DESC": "name",
    "NEXT_SCHEDULED_START_TIME_ASC": "next_scheduled_start_time",
    "END_TIME_DESC": "end_time",
}


@pytest.mark.parametrize("sort", SORTS)
def test_sort(filled: Pair, sort: str) -> None:
    def without_ties(body: list[dict[str, Any]]) -> list[str | None]:
        """The task runs that have no value to sort by come in any order, but all in one place."""
        return [task["name"] if task[SORTS[sort]] else None for task in body]

    filled.check("POST", "/task_runs/filter", {"sort": sort}, view=without_ties)


@pytest.mark.parametrize("sort", ["NAME", "name_asc", "START_TIME_ASC", "", None, 1], ids=str)
def test_unknown_sort(filled: Pair, sort: Any) -> None:
    filled.check("POST", "/task_runs/filter", {"sort": sort})
    filled.check("POST", "/task_runs/paginate", {"sort": sort})


@pytest.mark.parametrize("limit", [0, 1, 3, 200, 201, -1, "5", "x", 1.0, 1.5, None, True, 10**9])
def test_limit(filled: Pair, limit: Any) -> None:
    filled.check("POST", "/task_runs/filter", {"limit": limit})
    filled.check("POST", "/task_runs/paginate", {"limit": limit})


@pytest.mark.parametrize("offset", [0, 1, 8, 9, 100, -1, "2", None, 1.5])
def test_offset(filled: Pair, offset: Any) -> None:
    filled.check("POST", "/task_runs/filter", {"sort": "NAME_DESC", "offset": offset, "limit": 4})


@pytest.mark.parametrize("page", [1, 2, 3, 4, 0, -1, "2", None, 1.5])
def test_page(filled: Pair, page: Any) -> None:
    filled.check("POST", "/task_runs/paginate", {"page": page, "limit": 4})


@pytest.mark.parametrize("name", ["tags all", "state name any", "flow run id is null", "or of nothing"])
def test_paginate_with_filter(filled: Pair, name: str) -> None:
    body = {"task_runs": filters.TASK_RUNS[name], "sort": "NAME_ASC", "limit": 1}
    filled.check("POST", "/task_runs/paginate", body)
    filled.check("POST", "/task_runs/paginate", {**body, "page": 2})


@pytest.mark.parametrize("operation", ["filter", "count", "paginate"])
@pytest.mark.parametrize(
    "body",
    [
        {"task_runs": {"unknown": {}}},
        {"task_runs": {"id": {"any_": ["x"]}}},
        {"task_runs": {"id": {"not_any_": [NOBODY]}}},
        {"task_runs": {"state": {"type": {"any_": ["DONE"]}}}},
        {"task_runs": {"subflow_runs": {"exists_": "maybe"}}},
        {"task_runs": {"flow_run_id": {"any_": NOBODY}}},
        {"task_runs": {"operator": "nor_"}},
        {"task_runs": []},
        [],
        None,
    ],
    ids=str,
)
def test_invalid_query(filled: Pair, operation: str, body: Any) -> None:
    filled.check("POST", f"/task_runs/{operation}", body)


HISTORY_START, HISTORY_END = "2020-02-02T00:00:00Z", "2020-02-02T06:00:00Z"
HISTORY = {
    "hours": {"history_start": HISTORY_START, "history_end": HISTORY_END, "history_interval_seconds": 3600},
    "uneven": {"history_start": HISTORY_START, "history_end": HISTORY_END, "history_interval_seconds": 5000.5},
    "one interval": {"history_start": HISTORY_START, "history_end": HISTORY_END, "history_interval_seconds": 86400},
    "of the far future": {
        "history_start": "2032-02-01T00:00:00Z",
        "history_end": "2032-02-04T00:00:00Z",
        "history_interval_seconds": 86400,
    },
    "with offset": {
        "history_start": "2020-02-02T02:00:00+02:00",
        "history_end": "2020-02-02T08:00:00+02:00",
        "history_interval_seconds": 7200,
    },
    "empty time": {"history_start": HISTORY_START, "history_end": HISTORY_START, "history_interval_seconds": 3600},
    "backwards": {"history_start": HISTORY_END, "history_end": HISTORY_START, "history_interval_seconds": 3600},
    "half a second": {"history_start": HISTORY_START, "history_end": HISTORY_END, "history_interval_seconds": 0.5},
    "no interval": {"history_start": HISTORY_START, "history_end": HISTORY_END},
    "no start": {"history_end": HISTORY_END, "history_interval_seconds": 3600},
    "interval as text": {
        "history_start": HISTORY_START,
        "history_end": HISTORY_END,
        "history_interval_seconds": "3600",
    },
    "wrong types": {"history_start": "x", "history_end": [], "history_interval_seconds": "x"},
    "filtered by name": {
        "history_start": HISTORY_START,
        "history_end": HISTORY_END,
        "history_interval_seconds": 3600,
        "task_runs": {"name": {"like_": "early"}},
    },
    "filtered to nothing": {
        "history_start": HISTORY_START,
        "history_end": HISTORY_END,
        "history_interval_seconds": 3600,
        "task_runs": {"id": {"any_": []}},
    },
    "filtered by flow": {
        "history_start": HISTORY_START,
        "history_end": HISTORY_END,
        "history_interval_seconds": 3600,
        "flows": {"name": {"any_": ["Beta-flow"]}},
        "flow_runs": {"name": {"like_": "failed"}},
    },
    "filtered by deployment": {
        "history_start": HISTORY_START,
        "history_end": HISTORY_END,
        "history_interval_seconds": 3600,
        "deployments": {"id": {"any_": [NOBODY]}},
    },
    "too many intervals": {
        "history_start": "2019-01-01T00:00:00Z",
        "history_end": "2021-01-01T00:00:00Z",
        "history_interval_seconds": 3600,
    },
}


@pytest.mark.parametrize("body", HISTORY.values(), ids=HISTORY)
def test_history(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/task_runs/history", body)
