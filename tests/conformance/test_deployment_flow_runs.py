"""Flow runs that are made of deployments, one by one and many at once."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from .library import AUTOMATION, NOBODY, scheduled
from .side_by_side import Pair
from .test_deployment_places import TEMPLATE
from .test_deployment_update import SCHEMA

PATH = "/deployments"


def add_flow(pair: Pair) -> str:
    return pair.prepare("POST", "/flows/", {"name": "deployment-flow-runs", "tags": ["f"], "labels": {"team": "x"}})["id"]


def add(pair: Pair, name: str, **more: Any) -> str:
    return pair.prepare("POST", f"{PATH}/", {"flow_id": add_flow(pair), "name": name, **more})["id"]


def sorted_tags(body: Any) -> Any:
    """The oracle unites the tags of the deployment and of the run in a set."""
    if isinstance(body, dict) and "tags" in body:
        body["tags"].sort()
    return body


def create(pair: Pair, id: str, body: dict[str, Any], **more: Any) -> None:
    answer = pair.check("POST", f"{PATH}/{id}/create_flow_run", body, view=sorted_tags, **more)
    if answer.status < 300:
        pair.check("GET", f"/flow_runs/{answer['id']}", view=sorted_tags)


def create_many(pair: Pair, id: str, body: list[dict[str, Any]]) -> None:
    """Makes runs, and tries again where another request of the oracle's held its database."""
    def is_carried_out(answer: Any) -> bool:
        return not any("locked" in (result["error"] or "") for result in answer["results"])

    pair.eventually("POST", f"{PATH}/{id}/create_flow_run/bulk", body, until=is_carried_out)


BODIES: list[dict[str, Any]] = [
    {},
    {"name": "named"},
    {"name": ""},
    {"name": None},
    {"state": {"type": "PENDING"}},
    {"state": {"type": "SCHEDULED", "message": "m"}},
    {"state": scheduled("2041-01-01T00:00:00Z")},
    {"state": {"type": "RUNNING", "name": "Walking"}},
    {"parameters": {"p": 2, "q": [1]}},
    {"parameters": None},
    {"context": {"c": 1}},
    {"tags": ["b", "t"]},
    {"labels": {"own": 1, "team": "z"}},
    {"labels": None},
    {"job_variables": {"image": "i"}},
    {"job_variables": None},
    {"empirical_policy": {"retries": 2, "retry_delay": 5}},
    {"work_queue_name": "nobody"},
    {"work_queue_name": ""},
    {"infrastructure_document_id": NOBODY},
    {"parent_task_run_id": NOBODY},
    {"parameters": {"v": {"__prefect_kind": "json", "value": "[1]"}}},
    {"parameters": {"v": {"__prefect_kind": "json", "value": "["}}},
    {"flow_id": NOBODY},
    {"deployment_id": NOBODY},
    {"parameters": {"x": "y" * 600_000}},
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(body)[:80])
def test_create(pair: Pair, body: dict[str, Any]) -> None:
    more = {"tags": ["t"], "parameters": {"p": 1}, "labels": {"l": 1}, "version": "7", "job_variables": {"cpus": 1}}
    create(pair, add(pair, f"create {BODIES.index(body)}", **more), body)


@pytest.mark.parametrize("id", [NOBODY, "nobody"])
def test_nobody(pair: Pair, id: str) -> None:
    pair.check("POST", f"{PATH}/{id}/create_flow_run", {})
    pair.check("POST", f"{PATH}/{id}/create_flow_run/bulk", [])
    pair.check("POST", f"{PATH}/{id}/create_flow_run/bulk", [{}])


def test_an_idempotency_key_makes_one_run(pair: Pair) -> None:
    id, other = add(pair, "key"), add(pair, "other key")
    for body in ({"name": "once"}, {"name": "twice"}, {"job_variables": None}):
        create(pair, id, {"idempotency_key": "deployment-key", **body})
    create(pair, other, {"idempotency_key": "deployment-key"})
    create(pair, id, {"idempotency_key": ""})


def test_a_subflow_run(pair: Pair) -> None:
    parent = pair.prepare("POST", "/flow_runs/", {"flow_id": add_flow(pair), "name": "deployment-parent"})["id"]
    body = {"flow_run_id": parent, "task_key": "sub", "dynamic_key": "0", "name": "sub"}
    task = pair.prepare("POST", "/task_runs/", body)["id"]
    create(pair, add(pair, "sub"), {"parent_task_run_id": task})
    pair.check("GET", f"/task_runs/{task}")


def test_an_automation_is_remembered(pair: Pair) -> None:
    headers = {"prefect-automation-id": AUTOMATION, "prefect-automation-name": b64encode(b"nightly").decode()}
    create(pair, add(pair, "automation"), {}, headers=headers)


PARAMETERS: list[dict[str, Any]] = [{}, {"x": 1, "s": "text"}, {"x": 1}, {"x": "one", "s": "text"}, {"x": 1, "s": "t"}]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("enforced", [True, False])
def test_parameters_fit_the_schema(pair: Pair, parameters: dict[str, Any], enforced: bool) -> None:
    name = f"schema {PARAMETERS.index(parameters)} {enforced}"
    id = add(pair, name, parameter_openapi_schema=SCHEMA, enforce_parameter_schema=enforced)
    for body in ({}, {"enforce_parameter_schema": True}, {"enforce_parameter_schema": False}, {"enforce_parameter_schema": None}):
        create(pair, id, {"parameters": parameters, **body})
    create_many(pair, id, [{"parameters": parameters}, {"enforce_parameter_schema": False}])


def test_a_schema_that_is_missing(pair: Pair) -> None:
    id = add(pair, "no schema", parameter_openapi_schema=None)
    create(pair, id, {})
    create(pair, id, {"enforce_parameter_schema": False})
    create_many(pair, id, [{}, {"enforce_parameter_schema": False}])


VARIABLES: list[Any] = [{}, {"image": "i"}, {"image": 1}, {"image": "i", "cpus": None}, {"image": "i", "region": "x"}, None]


@pytest.mark.parametrize("variables", VARIABLES, ids=str)
def test_job_variables_fit_the_pool(pair: Pair, variables: Any) -> None:
    pool = f"flow-run-variables-{VARIABLES.index(variables)}"
    pair.prepare("POST", "/work_pools/", {"name": pool, "type": "process", "base_job_template": TEMPLATE})
    create(pair, add(pair, pool, work_pool_name=pool), {"job_variables": variables})
    id = add(pair, f"{pool} of the deployment", work_pool_name=pool, job_variables={"image": "d"})
    create(pair, id, {"job_variables": variables})
    create_many(pair, id, [{"job_variables": variables}])


def test_it_waits_in_the_queue(pair: Pair) -> None:
    pool = "flow-run-places"
    pair.prepare("POST", "/work_pools/", {"name": pool, "type": "process"})
    id = add(pair, "default queue", work_pool_name=pool)
    create(pair, id, {})
    create(pair, id, {"idempotency_key": "places"})
    create(pair, id, {"work_queue_name": "made for a run"})
    bulk = [{"work_queue_name": "made for many"}, {}, {"work_queue_name": "made for many"}]
    create_many(pair, id, bulk)
    pair.check("POST", f"/work_pools/{pool}/queues/filter", {})
    create(pair, add(pair, "named queue", work_pool_name=pool, work_queue_name="named"), {})
    create(pair, add(pair, "agent queue", work_queue_name="of agents"), {"work_queue_name": "of other agents"})


def test_it_waits_where_the_client_of_flow_runs_puts_it(pair: Pair) -> None:
    pool, flow = "flow-run-direct", add_flow(pair)
    pair.prepare("POST", "/work_pools/", {"name": pool, "type": "process"})
    for body in (
        {"work_pool_name": pool},
        {"work_pool_name": pool, "work_queue_name": "default"},
        {"work_pool_name": pool, "work_queue_name": "nobody"},
        {"work_pool_name": "nobody"},
        {"work_pool_name": "nobody", "work_queue_name": "default"},
        {"work_queue_name": "of nobody"},
    ):
        pair.check("POST", "/flow_runs/", {"flow_id": flow, "name": "direct", **body})


@pytest.mark.parametrize("body", [None, {}, [], [{}], [{"name": "a"}, {"tags": 1}], [{}] * 101], ids=lambda body: str(body)[:60])
def test_bulk(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/{add(pair, 'bulk')}/create_flow_run/bulk", body)


def test_bulk_makes_what_it_can(pair: Pair) -> None:
    id = add(pair, "bulk mixed")
    bulk = [
        {"name": "one", "idempotency_key": "bulk-1"},
        {"name": "again", "idempotency_key": "bulk-1"},
        {"work_queue_name": "nobody"},
        {"parameters": {"v": {"__prefect_kind": "json", "value": "["}}},
        {"name": "last"},
    ]
    create_many(pair, id, bulk)
    runs = {"flow_runs": {"deployment_id": {"any_": [id]}}, "sort": "NAME_ASC"}
    pair.check("POST", "/flow_runs/filter", runs)


def test_events_name_what_the_run_has_to_do_with(pair: Pair) -> None:
    pool = "flow-run-events"
    pair.prepare("POST", "/work_pools/", {"name": pool, "type": "process"})
    id = add(pair, "events", work_pool_name=pool, tags=["d"])
    run = pair.prepare("POST", f"{PATH}/{id}/create_flow_run", {"tags": ["r"]})["id"]
    pair.check("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}})
    wanted = {"filter": {"resource": {"id": [f"prefect.flow-run.{run}"]}}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == 2)
