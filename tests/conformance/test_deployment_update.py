"""Changing deployments, and what is refused: parameters that don't fit their schema, limits, blocks."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair

PATH = "/deployments"

SCHEMA = {
    "type": "object",
    "properties": {
        "x": {"type": "integer"},
        "s": {"$ref": "#/definitions/Text"},
        "nested": {"type": "object", "properties": {"y": {"type": "number"}}, "required": ["y"]},
    },
    "definitions": {"Text": {"type": "string", "minLength": 2}},
    "required": ["x", "s"],
}


def add_flow(pair: Pair) -> str:
    return pair.prepare("POST", "/flows/", {"name": "deployment-update"})["id"]


def add(pair: Pair, name: str, **more: Any) -> str:
    return pair.prepare("POST", f"{PATH}/", {"flow_id": add_flow(pair), "name": name, **more})["id"]


PARAMETERS: list[Any] = [
    {},
    {"x": 1},
    {"x": "one"},
    {"s": "s"},
    {"s": 5, "x": 1},
    {"nested": {}},
    {"nested": {"y": "z"}},
    {"unknown": 1},
]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_enforced_parameters(pair: Pair, parameters: dict[str, Any]) -> None:
    name = f"enforced {PARAMETERS.index(parameters)}"
    body = {"flow_id": add_flow(pair), "name": name, "parameter_openapi_schema": SCHEMA, "parameters": parameters}
    pair.check("POST", f"{PATH}/", {**body, "enforce_parameter_schema": True})
    pair.check("POST", f"{PATH}/", body)
    pair.check("POST", f"{PATH}/", {**body, "enforce_parameter_schema": False})
    id = add(pair, name, parameter_openapi_schema=SCHEMA)
    pair.check("PATCH", f"{PATH}/{id}", {"parameters": parameters, "enforce_parameter_schema": True})
    pair.check("PATCH", f"{PATH}/{id}", {"parameters": parameters})
    pair.check("PATCH", f"{PATH}/{id}", {"parameters": parameters, "enforce_parameter_schema": False})
    pair.check("PATCH", f"{PATH}/{id}", {"enforce_parameter_schema": True})
    pair.check("GET", f"{PATH}/{id}")


ODD_SCHEMAS = [None, {}, {"$ref": "#/definitions/none"}, {"type": "strin"}, {"properties": []}]


@pytest.mark.parametrize("schema", ODD_SCHEMAS, ids=str)
@pytest.mark.parametrize("enforced", [True, False])
def test_odd_schemas(pair: Pair, schema: Any, enforced: bool) -> None:
    name = f"odd {ODD_SCHEMAS.index(schema)} {enforced}"
    body = {"flow_id": add_flow(pair), "name": name, "parameter_openapi_schema": schema}
    pair.check("POST", f"{PATH}/", {**body, "parameters": {"x": 1}, "enforce_parameter_schema": enforced})
    id = add(pair, name, parameter_openapi_schema=SCHEMA)
    body = {"parameter_openapi_schema": schema, "parameters": {"x": 1}, "enforce_parameter_schema": enforced}
    pair.check("PATCH", f"{PATH}/{id}", body)
    pair.check("GET", f"{PATH}/{id}")


@pytest.mark.parametrize(
    "body",
    [
        {"enforce_parameter_schema": True, "parameters": []},
        {"enforce_parameter_schema": True, "parameters": None},
        {"enforce_parameter_schema": 1, "parameters": {"x": "one"}, "parameter_openapi_schema": SCHEMA},
        {"enforce_parameter_schema": "no", "parameters": {"x": "one"}, "parameter_openapi_schema": SCHEMA},
        {"enforce_parameter_schema": True, "parameter_openapi_schema": []},
        {"enforce_parameter_schema": True, "parameter_openapi_schema": "x"},
        {"concurrency_limit": 1, "global_concurrency_limit_id": NOBODY, "enforce_parameter_schema": True},
        {"worker_pool_queue_id": NOBODY, "worker_pool_name": "x", "work_pool_queue_name": "y"},
        {"name": ""},
        {"name": "a/b"},
        {"name": "a%b"},
        {"name": "a&b"},
        {"name": "a<b"},
        {"version_info": {"type": "git", "version": "1"}},
        {"concurrency_options": {"collision_strategy": "SOMETHING"}},
        {"parameters": {"x": "y" * 600_000}},
        {"labels": {"a": [1]}},
        {"schedules": None},
        {"schedules": [{}]},
        {"schedules": [{"schedule": {"cron": "0 0 * * *"}, "max_scheduled_runs": 51}]},
    ],
    ids=lambda body: str(body)[:80],
)
def test_odd_bodies(pair: Pair, body: dict[str, Any]) -> None:
    flow = add_flow(pair)
    pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": "odd body", **body})
    id = add(pair, "odd body of update")
    pair.check("PATCH", f"{PATH}/{id}", body)


CHANGES: list[dict[str, Any]] = [
    {},
    {"version": "2"},
    {"version": None},
    {"description": "d"},
    {"paused": True},
    {"paused": None},
    {"tags": ["x"]},
    {"tags": None},
    {"path": "/x", "entrypoint": "x.py:f"},
    {"path": None, "entrypoint": None},
    {"pull_steps": [{"a": {}}]},
    {"pull_steps": None},
    {"job_variables": {"a": 1}},
    {"job_variables": None},
    {"parameters": {"a": {"b": 1}}},
    {"parameters": None},
    {"parameter_openapi_schema": None, "enforce_parameter_schema": False},
    {"parameter_openapi_schema": None},
    {"enforce_parameter_schema": None},
    {"concurrency_options": {"collision_strategy": "ENQUEUE"}},
    {"concurrency_options": None},
    {"concurrency_limit": 3},
    {"concurrency_limit": 0},
    {"concurrency_limit": 1, "global_concurrency_limit_id": NOBODY},
    {"global_concurrency_limit_id": NOBODY},
    {"storage_document_id": NOBODY},
    {"infrastructure_document_id": NOBODY},
    {"name": "other"},
    {"flow_id": NOBODY},
    {"labels": {}},
    {"parameters": {"v": {"__prefect_kind": "json", "value": "[1]"}}},
    {"parameters": {"v": {"__prefect_kind": "json", "value": "["}}},
    {"parameters": {"v": {"__prefect_kind": "jinja", "template": "{{ 1 + 1 }}"}}},
    {"parameters": {"v": {"__prefect_kind": "jinja"}}},
    {"parameters": {"v": {"__prefect_kind": "workspace_variable", "variable_name": "nobody"}}},
]


@pytest.mark.parametrize("body", CHANGES, ids=str)
def test_change(pair: Pair, body: dict[str, Any]) -> None:
    id = add(pair, f"change {CHANGES.index(body)}", tags=["t"], parameters={"p": 1}, labels={"l": 1})
    pair.check("PATCH", f"{PATH}/{id}", body)
    pair.check("GET", f"{PATH}/{id}")


@pytest.mark.parametrize("id", [NOBODY, "nobody"])
def test_nobody(pair: Pair, id: str) -> None:
    pair.check("PATCH", f"{PATH}/{id}", {"description": "d"})
    pair.check("PATCH", f"{PATH}/{id}", {"work_pool_name": "nobody"})


def test_limits_of_its_own(pair: Pair) -> None:
    id = add(pair, "own limit")
    for limit in (2, 5, None, None, 1):
        pair.check("PATCH", f"{PATH}/{id}", {"concurrency_limit": limit})
        pair.check("GET", f"{PATH}/{id}")
        pair.check("GET", f"/v2/concurrency_limits/deployment:{id}")


def test_a_limit_that_many_share(pair: Pair) -> None:
    limit = pair.prepare("POST", "/v2/concurrency_limits/", {"name": "shared-by-deployments", "limit": 4})["id"]
    id = add(pair, "shared limit", global_concurrency_limit_id=limit)
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", {"concurrency_limit": 7})
    pair.check("GET", f"/v2/concurrency_limits/{limit}")
    pair.check("PATCH", f"{PATH}/{id}", {"global_concurrency_limit_id": None})
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", {"global_concurrency_limit_id": limit})
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", {"concurrency_limit": None})
    pair.check("GET", f"{PATH}/{id}")
    pair.check("GET", f"/v2/concurrency_limits/{limit}")


def test_a_change_tells_what_was_and_what_is(pair: Pair) -> None:
    id = add(pair, "tells")
    pair.check("PATCH", f"{PATH}/{id}", {"description": "d", "job_variables": {"a": 1}})
    pair.check("PATCH", f"{PATH}/{id}", {"paused": True})
    pair.check("PATCH", f"{PATH}/{id}", {"paused": True})
    wanted = {"filter": {"resource": {"id": [f"prefect.deployment.{id}"]}}}

    def in_order(page: dict[str, Any]) -> dict[str, Any]:
        for event in page["events"]:
            event["payload"].get("updated_fields", []).sort()
        return page

    pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == 3, view=in_order)
