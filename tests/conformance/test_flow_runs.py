"""Flow runs: create, read, update, delete, query, labels, inputs."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from . import filters
from .library import AUTOMATION, NOBODY, scheduled
from .side_by_side import Pair

OTHERS: dict[str, filters.Filters] = {
    "flows": filters.FLOWS,
    "task_runs": filters.TASK_RUNS,
    "deployments": filters.DEPLOYMENTS,
    "work_pools": filters.WORK_POOLS,
    "work_pool_queues": filters.WORK_QUEUES,
}
OWN = filters.queries("flow_runs", filters.FLOW_RUNS) | {
    "nothing": {},
    "flow runs null": {"flow_runs": None},
    "every filter null": dict.fromkeys(["flow_runs", *OTHERS]),
    "flows and task runs": {
        "flows": {"name": {"any_": ["alpha"]}},
        "task_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING"]}}},
    },
    "flow runs and flows": {
        "flow_runs": {"tags": {"all_": ["a"]}, "state": {"type": {"not_any_": ["RUNNING"]}}},
        "flows": {"tags": {"all_": ["b"]}},
    },
    "flows and deployments": {"flows": {"name": {"any_": ["alpha"]}}, "deployments": {"id": {"any_": [NOBODY]}}},
    "flows and pools": {"flows": {"name": {"any_": ["alpha"]}}, "work_pools": {"name": {"any_": ["x"]}}},
}
RELATED = filters.queries("flow_runs", {}, **OTHERS)


@pytest.fixture
def flow(pair: Pair) -> str:
    """The id of a flow, the same one for all tests."""
    return pair.prepare("POST", "/flows/", {"name": "flow-runs"})["id"]


def new_run(pair: Pair, flow: str, **body: Any) -> str:
    """Creates a flow run with a state of its own and answers with its path."""
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "run", **body})
    return f"/flow_runs/{run['id']}"


def test_lifecycle(pair: Pair, flow: str) -> None:
    run = pair.check("POST", "/flow_runs/", {"flow_id": flow, "name": "lifecycle"})
    path = f"/flow_runs/{run['id']}"
    pair.check("GET", path)
    for state in ("RUNNING", "COMPLETED"):
        pair.check("POST", f"{path}/set_state", {"state": {"type": state, "message": f"now {state}"}})
        pair.check("GET", path)
    pair.check("GET", "/flow_run_states/", params={"flow_run_id": run["id"]})
    pair.check("DELETE", path)
    pair.check("GET", path)
    pair.check("DELETE", path)
    pair.check("GET", "/flow_run_states/", params={"flow_run_id": run["id"]})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "named"},
        {"name": ""},
        {"name": None},
        {"name": "ünï ✓ 流れ", "tags": ["🏷️", "a", "a"]},
        {"name": "control \t\n\u0001"},
        {"name": "nul \u0000 within"},
        {"name": "x" * 3000},
        {"name": "with/slash%and<more>&"},
        {"name": 5},
        {"name": "p", "parameters": {"i": 1, "f": 1.0, "n": None, "t": True, "l": [[], {}], "ü": "ß"}},
        {"name": "p", "parameters": {"big": 2**63, "bigger": 10**30, "small": -(2**63), "e": 1e-7, "E": 1e22}},
        {"name": "p", "parameters": {"__prefect_kind": "jinja", "template": "{{ x }}"}},
        {"name": "p", "parameters": {"time": "2024-01-01T00:00:00Z", "id": NOBODY}},
        {"name": "p", "parameters": None},
        {"name": "p", "parameters": []},
        {"name": "p", "context": {"a": {"b": [1]}}},
        {"name": "p", "flow_version": "1.2.3"},
        {"name": "p", "flow_version": 1},
        {"name": "p", "tags": None},
        {"name": "p", "tags": ["b", "a", "c"]},
        {"name": "p", "labels": {"a": "b", "n": 1, "f": 0.5, "t": True}},
        {"name": "p", "labels": None},
        {"name": "p", "labels": {"bad": {}}},
        {"name": "p", "empirical_policy": {"retries": 3, "retry_delay": 10}},
        {"name": "p", "empirical_policy": {"max_retries": 2, "retry_delay_seconds": 1.5}},
        {"name": "p", "empirical_policy": {"retries": "3", "pause_keys": ["a", "b", "a"], "resuming": True}},
        {"name": "p", "empirical_policy": {"retry_type": "reschedule"}},
        {"name": "p", "empirical_policy": {"retry_type": "never"}},
        {"name": "p", "empirical_policy": {"unknown": 1}},
        {"name": "p", "empirical_policy": {}},
        {"name": "p", "empirical_policy": None},
        {"name": "p", "infrastructure_document_id": None},
        {"name": "p", "job_variables": {"env": {"A": "b"}}},
        {"name": "p", "job_variables": None},
        {"name": "p", "work_queue_name": "q"},
        {"name": "p", "work_pool_name": "nobody"},
        {"name": "p", "work_pool_name": "nobody", "work_queue_name": "q"},
        {"name": "p", "deployment_id": NOBODY},
        {"name": "p", "parent_task_run_id": NOBODY},
        {"name": "p", "infrastructure_document_id": NOBODY},
        {"name": "p", "flow_id": NOBODY},
        {"name": "p", "flow_id": "x"},
        {"name": "p", "flow_id": None},
        {"name": "p", "id": NOBODY},
        {"name": "p", "expected_start_time": "2020-01-01T00:00:00Z"},
        {"name": "p", "auto_scheduled": True},
        {"name": "p", "state": None},
        {"name": "p", "state": {}},
        {"name": "p", "state": "PENDING"},
        {"name": "p", "state": {"type": "DONE"}},
        {"name": "p", "state": {"type": "pending"}},
        {"name": "p", "state": {"type": "PENDING", "id": NOBODY}},
        {"name": "p", "state": {"type": "PENDING", "timestamp": "2020-01-01T00:00:00Z"}},
        {"name": "p", "state": scheduled("2031-01-01T00:00:00Z")},
        {"name": "p", "state": scheduled("2001-01-01T00:00:00+05:30", name="Late", message="too late")},
        {"name": "p", "state": scheduled("2031-01-01T00:00:00.123456789Z")},
        {"name": "p", "state": scheduled("2031-01-01 00:00:00")},
        {"name": "p", "state": scheduled("tomorrow")},
        {"name": "p", "state": {"type": "SCHEDULED"}},
        {"name": "p", "state": {"type": "RUNNING"}},
        {"name": "p", "state": {"type": "COMPLETED", "data": {"any": [1, 2.5, None]}}},
        {"name": "p", "state": {"type": "COMPLETED", "data": "text"}},
        {"name": "p", "state": {"type": "FAILED", "message": "ü" * 3000}},
        {"name": "p", "state": {"type": "CRASHED"}},
        {"name": "p", "state": {"type": "CANCELLING"}},
        {"name": "p", "state": {"type": "CANCELLED"}},
        {"name": "p", "state": {"type": "PAUSED"}},
        {"name": "p", "state": {"type": "PAUSED", "state_details": {"pause_timeout": "2040-01-01T00:00:00Z"}}},
        {"name": "p", "state": {"type": "PENDING", "state_details": {"unknown": 1, "cache_key": "k"}}},
        {"name": "p", "state": {"type": "PENDING", "name": ""}},
        {"name": "p", "state": {"type": "PENDING", "name": None, "message": None}},
        {"name": "p", "state": {"type": "PENDING", "name": "My Own"}},
    ],
    ids=lambda body: str(body)[:70],
)
def test_create(pair: Pair, flow: str, body: dict[str, Any]) -> None:
    answer = pair.check("POST", "/flow_runs/", {"flow_id": flow, **body})
    if answer.status == 201:
        pair.check("GET", f"/flow_runs/{answer['id']}")
        pair.check("GET", "/flow_run_states/", params={"flow_run_id": answer["id"]})


@pytest.mark.parametrize("body", [{}, {"name": "without a flow"}, [], "text", 1, None], ids=str)
def test_create_without_a_flow(pair: Pair, body: Any) -> None:
    pair.check("POST", "/flow_runs/", body)


def test_idempotency_key(pair: Pair, flow: str) -> None:
    other = pair.prepare("POST", "/flows/", {"name": "flow-runs-other"})["id"]
    body = {"flow_id": flow, "name": "first", "idempotency_key": "once", "parameters": {"n": 1}}
    first = pair.check("POST", "/flow_runs/", body)
    pair.check("POST", "/flow_runs/", {**body, "name": "second", "parameters": {"n": 2}})
    pair.check("POST", f"/flow_runs/{first['id']}/set_state", {"state": {"type": "RUNNING"}})
    pair.check("POST", "/flow_runs/", {**body, "name": "third"})
    pair.check("POST", "/flow_runs/", {**body, "flow_id": other, "name": "of another flow"})
    pair.check("POST", "/flow_runs/", {**body, "idempotency_key": "Once", "name": "other case"})
    pair.check("POST", "/flow_runs/", {**body, "idempotency_key": "", "name": "empty"})
    pair.check("POST", "/flow_runs/", {**body, "idempotency_key": "", "name": "empty again"})
    pair.check("POST", "/flow_runs/", {**body, "idempotency_key": None, "name": "none"})
    pair.check("POST", "/flow_runs/", {**body, "idempotency_key": None, "name": "none again"})
    pair.check("DELETE", f"/flow_runs/{first['id']}")
    pair.check("POST", "/flow_runs/", {**body, "name": "after the deletion"})


@pytest.mark.parametrize(
    "headers",
    [
        {"prefect-automation-id": AUTOMATION, "prefect-automation-name": b64encode("nächtlich".encode()).decode()},
        {"prefect-automation-id": AUTOMATION},
        {"prefect-automation-id": AUTOMATION, "prefect-automation-name": "not base64!"},
        {"prefect-automation-id": "x", "prefect-automation-name": b64encode(b"x").decode()},
    ],
    ids=str,
)
def test_created_by(pair: Pair, flow: str, headers: dict[str, str]) -> None:
    pair.check("POST", "/flow_runs/", {"flow_id": flow, "name": "automated"}, headers=headers)


def test_subflow(pair: Pair, flow: str) -> None:
    parent = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "parent"})
    task = pair.prepare(
        "POST",
        "/task_runs/",
        {"flow_run_id": parent["id"], "name": "sub", "task_key": "sub", "dynamic_key": "0"},
    )
    body = {"flow_id": flow, "name": "child", "parent_task_run_id": task["id"]}
    child = pair.check("POST", "/flow_runs/", body)
    pair.check("GET", f"/task_runs/{task['id']}")
    for state in ("RUNNING", "COMPLETED"):
        pair.check("POST", f"/flow_runs/{child['id']}/set_state", {"state": {"type": state}})
        pair.check("GET", f"/task_runs/{task['id']}")
    pair.check("GET", "/task_run_states/", params={"task_run_id": task["id"]})
    pair.check("POST", "/flow_runs/", {**body, "name": "second child"})
    children = {"parent_flow_run_id": {"any_": [parent["id"]]}}
    pair.check("POST", "/flow_runs/filter", {"flow_runs": children, "sort": "NAME_ASC"})
    pair.check("DELETE", f"/flow_runs/{parent['id']}")
    # What a deletion takes along follows from the table's stream.
    pair.eventually("GET", f"/flow_runs/{child['id']}", until=lambda run: run["parent_task_run_id"] is None)
    pair.check("GET", f"/task_runs/{task['id']}")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "renamed"},
        {"name": None},
        {"name": ""},
        {"name": "ünï\n✓"},
        {"flow_version": "2"},
        {"parameters": {"only": "this"}},
        {"parameters": None},
        {"tags": ["z", "a"]},
        {"tags": None},
        {"empirical_policy": {"retries": 2}},
        {"empirical_policy": None},
        {"infrastructure_pid": "host:42"},
        {"infrastructure_pid": None},
        {"job_variables": {"a": 1}},
        {"job_variables": None},
        {"name": "several", "tags": [], "parameters": {}, "infrastructure_pid": ""},
        {"flow_id": NOBODY},
        {"labels": {}},
        {"state": {"type": "RUNNING"}},
        {"name": 3},
        {"tags": "a"},
        [],
        None,
    ],
    ids=str,
)
def test_update(pair: Pair, flow: str, body: Any) -> None:
    path = new_run(pair, flow, parameters={"x": 1}, tags=["a"], flow_version="1", empirical_policy={"retries": 1})
    pair.check("PATCH", path, body)
    pair.check("GET", path)


def test_update_job_variables_without_deployment(pair: Pair, flow: str) -> None:
    path = new_run(pair, flow, state=scheduled("2031-01-01T00:00:00Z"))
    pair.check("PATCH", path, {"job_variables": {"a": 1}})


@pytest.mark.parametrize("id", [NOBODY, "not-a-uuid", NOBODY.replace("-", "")])
def test_unknown_run(pair: Pair, id: str) -> None:
    path = f"/flow_runs/{id}"
    pair.check("GET", path)
    pair.check("PATCH", path, {"name": "x"})
    pair.check("PATCH", path, {"job_variables": {"a": 1}})
    pair.check("PATCH", path, {})
    pair.check("DELETE", path)
    pair.check("POST", f"{path}/set_state", {"state": {"type": "RUNNING"}})
    pair.check("POST", f"{path}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    pair.check("PATCH", f"{path}/labels", {"a": 1})
    pair.check("POST", f"{path}/input", {"key": "k", "value": "v"})
    pair.check("POST", f"{path}/input/filter", {"prefix": "k"})
    pair.check("GET", f"{path}/input/k")
    pair.check("DELETE", f"{path}/input/k")
    pair.check("GET", f"{path}/logs/download")
    pair.check("GET", "/flow_run_states/", params={"flow_run_id": id})
    pair.check("GET", f"/flow_run_states/{id}")


def test_read_states(pair: Pair, flow: str) -> None:
    path = new_run(pair, flow)
    answers = [pair.check("POST", f"{path}/set_state", {"state": {"type": state}}) for state in ("RUNNING", "FAILED")]
    for answer in answers:
        pair.check("GET", f"/flow_run_states/{answer.at('state', 'id')}")
    pair.check("GET", "/flow_run_states/")
    pair.check("GET", "/flow_run_states/", params={"flow_run_id": ""})


@pytest.mark.parametrize(
    "labels",
    [
        {"new": "label"},
        {"stage": "changed", "n": 2, "f": 2.5, "t": False},
        {},
        {"stage": None},
        {"deep": {"a": [1]}},
        {"": "empty key"},
        {"ü": "✓"},
        [],
        "text",
        None,
    ],
    ids=str,
)
def test_labels(pair: Pair, flow: str, labels: Any) -> None:
    path = new_run(pair, flow, labels={"stage": "prod"})
    pair.check("PATCH", f"{path}/labels", labels)
    pair.check("GET", path)


def test_labels_are_merged(pair: Pair, flow: str) -> None:
    path = new_run(pair, flow)
    for labels in ({"a": 1}, {"b": 2}, {"a": "again"}):
        pair.check("PATCH", f"{path}/labels", labels)
    pair.check("GET", path)


def test_inputs(pair: Pair, flow: str) -> None:
    path = f"{new_run(pair, flow)}/input"
    pair.check("POST", path, {"key": "greet-1", "value": '{"hello": "wörld"}'})
    pair.check("POST", path, {"key": "greet-1", "value": "again"})
    pair.check("POST", path, {"key": "greet-2", "value": "two", "sender": "prefect.flow-run.x"})
    pair.check("POST", path, {"key": "greet-2-schema", "value": ""})
    pair.check("POST", path, {"key": "other", "value": "x" * 10_000})
    pair.check("GET", f"{path}/greet-1")
    pair.check("GET", f"{path}/greet-2-schema")
    pair.check("GET", f"{path}/missing")
    pair.check("GET", f"{path}/GREET-1")
    for body in (
        {"prefix": "greet"},
        {"prefix": "greet", "limit": 10},
        {"prefix": "greet-2", "limit": 10},
        {"prefix": "greet", "limit": 10, "exclude_keys": ["greet-1", "missing"]},
        {"prefix": "", "limit": 10},
        {"prefix": "GREET", "limit": 10},
        {"prefix": "missing", "limit": 10},
        {"prefix": "greet", "limit": 0},
        {"prefix": "greet", "limit": 300},
        {"prefix": "greet", "limit": "2"},
        {"prefix": "greet", "limit": None},
        {"limit": 10},
        {"prefix": None},
        {"prefix": "greet", "exclude_keys": None},
        {},
    ):
        pair.check("POST", f"{path}/filter", body)
    pair.check("DELETE", f"{path}/greet-1")
    pair.check("DELETE", f"{path}/greet-1")
    pair.check("GET", f"{path}/greet-1")
    pair.check("POST", path, {"key": "greet-1", "value": "after the deletion"})
    pair.check("GET", f"{path}/greet-1")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"key": "k"},
        {"value": "v"},
        {"key": None, "value": "v"},
        {"key": "k", "value": None},
        {"key": "k", "value": {"not": "text"}},
        {"key": "k", "value": 1},
        {"key": "", "value": "v"},
        {"key": "has space", "value": "v"},
        {"key": "has/slash", "value": "v"},
        {"key": "ünï", "value": "✓"},
        {"key": "dots.and-dashes_1", "value": "nul \u0000"},
        {"key": "x" * 2000, "value": "v"},
        {"key": "k", "value": "v", "sender": 1},
        {"key": "k", "value": "v", "unknown": 1},
        [],
        None,
    ],
    ids=lambda body: str(body)[:60],
)
def test_create_input(pair: Pair, flow: str, body: Any) -> None:
    path = f"{new_run(pair, flow)}/input"
    pair.check("POST", path, body)
    pair.check("POST", f"{path}/filter", {"prefix": "", "limit": 5})


def test_deleting_a_run_takes_its_inputs_along(pair: Pair, flow: str) -> None:
    path = new_run(pair, flow)
    pair.prepare("POST", f"{path}/input", {"key": "k", "value": "v"})
    pair.check("DELETE", path)
    pair.check("GET", f"{path}/input/k")
    pair.check("POST", f"{path}/input/filter", {"prefix": ""})


@pytest.mark.parametrize("body", OWN.values(), ids=OWN)
def test_filter_and_count(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/flow_runs/filter", {"sort": "NAME_ASC", **body})
    filled.check("POST", "/flow_runs/count", body)


@pytest.mark.parametrize("body", RELATED.values(), ids=RELATED)
def test_filter_by_related(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/flow_runs/filter", {"sort": "NAME_ASC", **body})


@pytest.mark.parametrize("entity", ["flows", "task_runs", "deployments", "work_pools", "work_pool_queues"])
def test_count_by_related(filled: Pair, entity: str) -> None:
    for name in ("empty", "id any"):
        filled.check("POST", "/flow_runs/count", {entity: OTHERS[entity][name]})


SORTS = {
    "START_TIME_ASC": "expected_start_time",
    "START_TIME_DESC": "expected_start_time",
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
        """The runs that have no value to sort by come in any order, but all in one place."""
        return [run["name"] if run[SORTS[sort]] else None for run in body]

    filled.check("POST", "/flow_runs/filter", {"sort": sort}, view=without_ties)


def test_sort_by_id(filled: Pair) -> None:
    def in_descending_order(body: Any) -> tuple[bool, list[str]]:
        runs = body["results"] if isinstance(body, dict) else body
        ids = [run["id"] for run in runs]
        return ids == sorted(ids, reverse=True), sorted(run["name"] for run in runs)

    filled.check("POST", "/flow_runs/filter", {"sort": "ID_DESC"}, view=in_descending_order)
    filled.check("POST", "/flow_runs/filter", {}, view=in_descending_order)
    filled.check("POST", "/flow_runs/paginate", {}, view=in_descending_order)


@pytest.mark.parametrize("sort", ["NAME", "name_asc", "", None, 1, []], ids=str)
def test_unknown_sort(filled: Pair, sort: Any) -> None:
    none = {"flow_runs": {"id": {"any_": []}}}
    filled.check("POST", "/flow_runs/filter", {**none, "sort": sort})
    filled.check("POST", "/flow_runs/paginate", {**none, "sort": sort})


@pytest.mark.parametrize("limit", [0, 1, 3, 200, 201, -1, "5", "x", 1.0, 1.5, None, True, 10**9, [1]])
def test_limit(filled: Pair, limit: Any) -> None:
    filled.check("POST", "/flow_runs/filter", {"sort": "NAME_ASC", "limit": limit})
    filled.check("POST", "/flow_runs/paginate", {"sort": "NAME_ASC", "limit": limit})


@pytest.mark.parametrize("offset", [0, 1, 15, 16, 100, -1, "2", None, 1.5])
def test_offset(filled: Pair, offset: Any) -> None:
    filled.check("POST", "/flow_runs/filter", {"sort": "NAME_DESC", "offset": offset, "limit": 4})
    filled.check("POST", "/flow_runs/filter", {"sort": "NAME_ASC", "offset": offset})


@pytest.mark.parametrize("page", [1, 2, 4, 5, 0, -1, "2", None, 1.5])
def test_page(filled: Pair, page: Any) -> None:
    filled.check("POST", "/flow_runs/paginate", {"sort": "START_TIME_ASC", "page": page, "limit": 5})


@pytest.mark.parametrize("name", ["tags all", "state name any", "id not any", "or of three", "or of nothing"])
def test_paginate_with_filter(filled: Pair, name: str) -> None:
    body = {"flow_runs": filters.FLOW_RUNS[name], "sort": "NAME_ASC", "limit": 2}
    filled.check("POST", "/flow_runs/paginate", body)
    filled.check("POST", "/flow_runs/paginate", {**body, "page": 2})


@pytest.mark.parametrize("operation", ["filter", "count", "paginate"])
@pytest.mark.parametrize(
    "body",
    [
        {"flow_runs": {"unknown": {}}},
        {"flow_runs": {"id": {"any_": ["not-a-uuid"]}}},
        {"flow_runs": {"id": {"any_": [NOBODY, 7]}}},
        {"flow_runs": {"name": {"like_": 1}}},
        {"flow_runs": {"name": {"any_": "text"}}},
        {"flow_runs": {"tags": {"any_": [1]}}},
        {"flow_runs": {"operator": "nor_"}},
        {"flow_runs": {"state": {"type": {"any_": ["DONE"]}}}},
        {"flow_runs": {"state": {"type": {"any_": ["running"]}}}},
        {"flow_runs": {"state": {"type": "RUNNING"}}},
        {"flow_runs": {"start_time": {"before_": "yesterday"}}},
        {"flow_runs": {"start_time": {"is_null_": "maybe"}}},
        {"flow_runs": {"start_time": {"before_": {}}}},
        {"flow_runs": {"created_by": {"id_": ["x"], "type_": [2]}}},
        {"flows": {"name": []}, "task_runs": {"x": 1}, "deployments": {"y": 2}, "work_pools": {"z": 3}},
        {"work_pool_queues": {"name": {"startswith_": "x"}}},
        {"unknown": {"key": 1}, "sort": "NAME_ASC"},
        [],
        "text",
        7,
        None,
    ],
    ids=str,
)
def test_invalid_query(filled: Pair, operation: str, body: Any) -> None:
    def how_many(body: Any) -> Any:
        return len(body) if isinstance(body, list) else body.get("count", body) if isinstance(body, dict) else body

    filled.check("POST", f"/flow_runs/{operation}", body, view=how_many)
