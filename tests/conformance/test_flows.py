"""The nine operations of `/flows`."""

from __future__ import annotations

from typing import Any

import pytest

from . import filters
from .library import NOBODY
from .side_by_side import Pair, sorted_by

QUERIES = filters.queries(
    "flows",
    filters.FLOWS,
    flow_runs=filters.FLOW_RUNS,
    task_runs=filters.TASK_RUNS,
    deployments=filters.DEPLOYMENTS,
    work_pools=filters.WORK_POOLS,
) | {
    "nothing": {},
    "flows null": {"flows": None},
    "flows and flow runs": {
        "flows": {"name": {"like_": "a"}},
        "flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}},
    },
    "flow runs and task runs": {
        "flow_runs": {"tags": {"all_": ["a"]}},
        "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    },
}


def test_lifecycle(pair: Pair) -> None:
    flow = pair.check("POST", "/flows/", {"name": "flows-lifecycle", "tags": ["x", "y"]})
    path = f"/flows/{flow['id']}"
    pair.check("GET", path)
    pair.check("GET", "/flows/name/flows-lifecycle")
    pair.check("PATCH", path, {"tags": ["z", "x"]})
    pair.check("GET", path)
    pair.check("PATCH", path, {})
    pair.check("GET", path)
    pair.check("DELETE", path)
    pair.check("GET", path)
    pair.check("DELETE", path)
    pair.check("PATCH", path, {"tags": []})
    pair.check("GET", "/flows/name/flows-lifecycle")


def test_create_again_answers_with_the_first(pair: Pair) -> None:
    body = {"name": "flows-again", "tags": ["first"], "labels": {"n": 1}}
    pair.check("POST", "/flows/", body)
    pair.check("POST", "/flows/", {"name": "flows-again", "tags": ["second"]})
    pair.check("POST", "/flows/", {"name": "Flows-Again"})


@pytest.mark.parametrize(
    "body",
    [
        {"name": "labels of every type", "labels": {"s": "text", "i": 7, "f": 7.0, "b": False, "e": ""}},
        {"name": "labels null", "labels": None},
        {"name": "labels of huge numbers", "labels": {"i": 2**53 + 1, "f": 1e300, "z": -0.0}},
        {"name": "labels of a list", "labels": {"l": []}},
        {"name": "labels with a null", "labels": {"n": None}},
        {"name": "labels not an object", "labels": []},
        {"name": "tags twice the same", "tags": ["a", "a"]},
        {"name": "tags empty text", "tags": [""]},
        {"name": "tags not text", "tags": [1]},
        {"name": "tags null", "tags": None},
        {"name": "tags a text", "tags": "a"},
        {"name": "ünïcode 流れ 🌊", "tags": ["標籤", "🏷️"]},
        {"name": "quote ' double \" back \\"},
        {"name": " spaces around "},
        {"name": "tab\tand\nline"},
        {"name": "a\u0000b"},
        {"name": "x" * 300},
        {"name": "x" * 5000},
        {"name": ""},
        {"name": " "},
        {"name": "slash/in"},
        {"name": "percent%in"},
        {"name": "and&in"},
        {"name": "less<in"},
        {"name": "more>in"},
        {"name": None},
        {"name": 7},
        {"name": ["x"]},
        {"name": True},
        {"name": "extra", "id": NOBODY},
        {"name": "extras", "created": "2020-01-01T00:00:00Z", "unknown": {"deep": [1]}},
        {"tags": []},
        {},
    ],
    ids=str,
)
def test_create(pair: Pair, body: dict[str, Any]) -> None:
    pair.check("POST", "/flows/", body)


@pytest.mark.parametrize("name", ["ünïcode 流れ 🌊", "quote ' double \" back \\", " spaces around ", "nobody"])
def test_read_by_name(pair: Pair, name: str) -> None:
    pair.check("POST", "/flows/filter", {"flows": {"name": {"any_": [name]}}})
    pair.check("GET", f"/flows/name/{name.replace('%', '%25')}")


@pytest.mark.parametrize(
    "body",
    [
        {"tags": ["a"]},
        {"tags": None},
        {"tags": [None]},
        {"name": "renamed"},
        {"labels": {}},
        [],
        "text",
        None,
    ],
    ids=str,
)
def test_update(pair: Pair, body: Any) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "flows-update", "tags": ["before"]})
    pair.check("PATCH", f"/flows/{flow['id']}", body)
    pair.check("GET", f"/flows/{flow['id']}")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("id", [NOBODY, NOBODY.upper(), NOBODY.replace("-", ""), "7", "not-a-uuid", f"{{{NOBODY}}}"])
def test_unknown_id(pair: Pair, method: str, id: str) -> None:
    pair.check(method, f"/flows/{id}", *([{"tags": []}] if method == "PATCH" else []))


@pytest.mark.parametrize("body", QUERIES.values(), ids=QUERIES)
def test_filter_and_count(filled: Pair, body: dict[str, Any]) -> None:
    filled.check("POST", "/flows/filter", body)
    filled.check("POST", "/flows/count", body)


@pytest.mark.parametrize("sort", ["NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "NAME", "", None, 1])
def test_sort(filled: Pair, sort: Any) -> None:
    filled.check("POST", "/flows/filter", {"sort": sort})
    filled.check("POST", "/flows/paginate", {"sort": sort, "limit": 3})


@pytest.mark.parametrize("limit", [0, 1, 3, 200, 201, -1, "5", "x", 1.0, 1.5, None, True, 10**9, [1]])
def test_limit(filled: Pair, limit: Any) -> None:
    filled.check("POST", "/flows/filter", {"limit": limit})
    filled.check("POST", "/flows/paginate", {"limit": limit})


@pytest.mark.parametrize("offset", [0, 1, 6, 7, 100, -1, "2", None, 1.5])
def test_offset(filled: Pair, offset: Any) -> None:
    filled.check("POST", "/flows/filter", {"offset": offset, "limit": 2})


@pytest.mark.parametrize("page", [1, 2, 4, 5, 0, -1, "2", None, 1.5])
def test_page(filled: Pair, page: Any) -> None:
    filled.check("POST", "/flows/paginate", {"page": page, "limit": 2})


@pytest.mark.parametrize("name", ["tags all", "name like", "id not any", "or of nothing"])
def test_paginate_with_filter(filled: Pair, name: str) -> None:
    filled.check("POST", "/flows/paginate", {"flows": filters.FLOWS[name], "limit": 2, "page": 2})


@pytest.mark.parametrize("operation", ["filter", "count", "paginate", "bulk_delete"])
@pytest.mark.parametrize(
    "body",
    [
        {"flows": {"unknown": {}}},
        {"flows": {"id": {"any_": ["not-a-uuid"]}}},
        {"flows": {"id": {"any_": NOBODY}}},
        {"flows": {"id": {"like_": "x"}}},
        {"flows": {"name": {"any_": [1]}}},
        {"flows": {"name": "alpha"}},
        {"flows": {"operator": "xor_"}},
        {"flows": {"operator": None}},
        {"flows": {"tags": {"is_null_": "maybe"}}},
        {"flows": {"tags": {"is_null_": "yes"}}},
        {"flows": []},
        {"flows": "x"},
        {"flow_runs": {"state": {"type": {"any_": ["DONE"]}}}},
        {"flow_runs": {"start_time": {"before_": "yesterday"}}},
        {"unknown": 1},
        [],
        "text",
        7,
        None,
    ],
    ids=str,
)
def test_invalid_query(filled: Pair, operation: str, body: Any) -> None:
    if operation == "bulk_delete" and not (isinstance(body, dict) and "flows" in body):
        body = {"flows": {"id": {"any_": []}}, "limit": body}

    def without_order(answer: Any) -> Any:
        """In which order matching flows are deleted is left to chance."""
        deleted = answer.get("deleted") if isinstance(answer, dict) else None
        return answer if deleted is None else len(deleted)

    filled.check("POST", f"/flows/{operation}", body, view=without_order)


def test_bulk_delete(pair: Pair) -> None:
    def flows(prefix: str) -> dict[str, Any]:
        return {"flows": {"name": {"like_": prefix}}}

    def how_many(body: dict[str, Any]) -> int:
        return len(body["deleted"])

    for index in range(4):
        pair.prepare("POST", "/flows/", {"name": f"bulk-{index}"})
    pair.check("POST", "/flows/bulk_delete", {**flows("bulk-"), "limit": 2}, view=how_many)
    pair.check("POST", "/flows/filter", flows("bulk-"))
    pair.check("POST", "/flows/bulk_delete", flows("bulk-"), view=how_many)
    pair.check("POST", "/flows/bulk_delete", flows("bulk-"))
    for limit in (0, 51, -1, "1", None, 1.5):
        pair.check("POST", "/flows/bulk_delete", {**flows("bulk-"), "limit": limit})


def test_delete_takes_the_runs_along(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "flows-cascade"})
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow["id"], "name": "cascade"})
    task = pair.prepare(
        "POST", "/task_runs/", {"flow_run_id": run["id"], "task_key": "t", "dynamic_key": "0", "name": "t"}
    )
    pair.check("DELETE", f"/flows/{flow['id']}")
    # Ours are deleted behind the flow, by the consumer of the table's stream.
    for kind, id in (("flow_runs", run["id"]), ("task_runs", task["id"])):
        wanted = {kind: {"id": {"any_": [id]}}}
        pair.eventually("POST", f"/{kind}/filter", wanted, until=lambda found: found == [])
    pair.check("GET", f"/flow_runs/{run['id']}")
    pair.check("GET", f"/task_runs/{task['id']}")
    pair.check("POST", "/flow_runs/filter", {"flows": {"id": {"any_": [flow["id"]]}}}, view=sorted_by("id"))
