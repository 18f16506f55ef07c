"""Deployments, their concurrency limits, and what goes when they are deleted."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY, scheduled
from .side_by_side import Pair, sorted_by

PATH = "/deployments"


def add_flow(pair: Pair, name: str) -> str:
    return pair.prepare("POST", "/flows/", {"name": name, "labels": {"team": "x"}})["id"]


def add(pair: Pair, flow: str, name: str, **more: Any) -> str:
    return pair.prepare("POST", f"{PATH}/", {"flow_id": flow, "name": name, **more})["id"]


FULL = {
    "paused": True,
    "concurrency_limit": 3,
    "concurrency_options": {"collision_strategy": "CANCEL_NEW", "grace_period_seconds": 90},
    "parameter_openapi_schema": {"type": "object", "properties": {"x": {"type": "integer"}}},
    "parameters": {"x": 1},
    "tags": ["a", "b"],
    "labels": {"own": 1, "team": "y"},
    "pull_steps": [{"step": {"a": 1}}],
    "description": "d",
    "path": "/p",
    "version": "1",
    "entrypoint": "f.py:f",
    "job_variables": {"image": "i"},
}


@pytest.mark.parametrize(
    "body",
    [
        {},
        FULL,
        {"parameter_openapi_schema": None, "pull_steps": None, "labels": None, "concurrency_limit": None},
        {"concurrency_limit": 0},
        {"concurrency_limit": 1, "global_concurrency_limit_id": NOBODY},
        {"global_concurrency_limit_id": NOBODY},
        {"work_pool_name": "nobody"},
        {"work_pool_name": "nobody", "work_queue_name": "nobody"},
        {"work_pool_name": ""},
        {"storage_document_id": NOBODY},
        {"infrastructure_document_id": NOBODY, "storage_document_id": NOBODY},
        {"paused": None},
        {"tags": "x"},
        {"job_variables": None},
        {"flow_id": NOBODY},
        {"unknown": 1},
    ],
    ids=str,
)
def test_create(pair: Pair, body: dict[str, Any]) -> None:
    flow = add_flow(pair, "deployments-create")
    pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": f"create {sorted(body)}", **body})


def test_upsert(pair: Pair) -> None:
    flow = add_flow(pair, "deployments-upsert")
    for body in (FULL, {}, {"concurrency_limit": 5}, {"concurrency_limit": 5, "tags": ["c"]}, {"concurrency_limit": None}):
        pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": "upsert", **body})
    pair.check("GET", f"{PATH}/name/deployments-upsert/upsert")


def test_read(pair: Pair) -> None:
    flow = add_flow(pair, "deployments-read")
    id = add(pair, flow, "read ä", **FULL)
    pair.check("GET", f"{PATH}/{id}")
    pair.check("GET", f"{PATH}/name/deployments-read/read ä")


def test_an_own_limit_is_one_of_the_second_generation(pair: Pair) -> None:
    id = add(pair, add_flow(pair, "deployments-limit"), "limit", concurrency_limit=2)
    name = f"deployment:{id}"
    pair.check("GET", f"/v2/concurrency_limits/{name}")
    pair.check("DELETE", f"{PATH}/{id}")
    pair.check("GET", f"/v2/concurrency_limits/{name}")


def test_queries(pair: Pair) -> None:
    flow, other = add_flow(pair, "deployments-query"), add_flow(pair, "deployments-query-other")
    add(pair, flow, "q1", tags=["a"])
    add(pair, flow, "q2", tags=["a", "b"], paused=True)
    add(pair, other, "q3")
    mine = {"flows": {"name": {"like_": "deployments-query"}}}
    for sort in ("NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC"):
        pair.check("POST", f"{PATH}/filter", {**mine, "sort": sort})
        pair.check("POST", f"{PATH}/filter", {**mine, "sort": sort, "limit": 1, "offset": 1})
    pair.check("POST", f"{PATH}/paginate", {**mine, "limit": 2, "page": 2})
    for deployments in (
        {"tags": {"all_": ["a"]}},
        {"paused": {"eq_": True}},
        {"name": {"any_": ["q1", "q3"]}},
        {"flow_or_deployment_name": {"like_": "other"}},
        {"operator": "or_", "name": {"any_": ["q1"]}, "paused": {"eq_": True}},
    ):
        pair.check("POST", f"{PATH}/filter", {**mine, "deployments": deployments})
        pair.check("POST", f"{PATH}/count", {**mine, "deployments": deployments})
    pair.check("POST", f"{PATH}/filter", {"flows": {"id": {"any_": [flow]}}})


def test_queries_by_runs(pair: Pair) -> None:
    flow = add_flow(pair, "deployments-by-run")
    id = add(pair, flow, "has a run")
    add(pair, flow, "has none")
    pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "by-run", "deployment_id": id})
    pair.check("POST", f"{PATH}/filter", {"flow_runs": {"name": {"any_": ["by-run"]}}})
    pair.check("POST", f"{PATH}/filter", {"flow_runs": {"name": {"any_": ["by-run"]}}, "task_runs": {}})


def test_delete_takes_unstarted_runs_along(pair: Pair) -> None:
    flow = add_flow(pair, "deployments-delete")
    id = add(pair, flow, "delete")
    runs = {}
    for name, state in (("waits", scheduled("2041-01-01T00:00:00Z")), ("runs", {"type": "RUNNING"})):
        body = {"flow_id": flow, "name": name, "deployment_id": id, "state": state}
        runs[name] = pair.prepare("POST", "/flow_runs/", body)["id"]
    pair.check("DELETE", f"{PATH}/{id}")
    pair.eventually("POST", "/flow_runs/filter", {"flow_runs": {"id": {"any_": [runs["waits"]]}}}, until=lambda found: found == [])
    pair.check("GET", f"/flow_runs/{runs['runs']}")
    pair.check("GET", f"{PATH}/{id}")
    pair.check("DELETE", f"{PATH}/{id}")
    pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": "delete"})


def test_a_flow_takes_its_deployments_along(pair: Pair) -> None:
    flow = add_flow(pair, "deployments-cascade")
    id = add(pair, flow, "cascade", concurrency_limit=1)
    pair.check("DELETE", f"/flows/{flow}")
    pair.eventually("POST", f"{PATH}/filter", {"deployments": {"id": {"any_": [id]}}}, until=lambda found: found == [])
    pair.check("GET", f"{PATH}/{id}")
    pair.check("GET", f"/v2/concurrency_limits/deployment:{id}")


def test_it_says_that_it_is_made_changed_and_deleted(pair: Pair) -> None:
    flow = add_flow(pair, "deployments-events")
    id = add(pair, flow, "events")
    add(pair, flow, "events", tags=["a"], concurrency_limit=2)
    add(pair, flow, "events")
    pair.check("DELETE", f"{PATH}/{id}")
    wanted = {"filter": {"resource": {"id": [f"prefect.deployment.{id}"]}}}

    def in_order(page: dict[str, Any]) -> dict[str, Any]:
        for event in page["events"]:
            event["payload"].get("updated_fields", []).sort()
        return page

    pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == 3, view=in_order)
