"""Where the runs of a deployment wait: the pool and queue that it names, and job variables held against the pool's."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair

PATH = "/deployments"

TEMPLATE = {
    "job_configuration": {"image": "{{ image }}", "cpus": "{{ cpus }}", "region": "{{ region }}"},
    "variables": {
        "type": "object",
        "properties": {
            "image": {"type": "string"},
            "cpus": {"type": "integer", "default": 1},
            "region": {"$ref": "#/definitions/Region"},
        },
        "definitions": {"Region": {"type": "string", "enum": ["here", "there"]}},
        "required": ["image"],
    },
}


@pytest.fixture
def flow(pair: Pair) -> str:
    return pair.prepare("POST", "/flows/", {"name": "deployment-places"})["id"]


def add_pool(pair: Pair, name: str, **more: Any) -> str:
    pair.prepare("POST", "/work_pools/", {"name": name, "type": "process", **more})
    return name


def queues(pair: Pair, pool: str) -> None:
    pair.check("POST", f"/work_pools/{pool}/queues/filter", {})


def test_a_pool_stands_for_its_default_queue(pair: Pair, flow: str) -> None:
    pool = add_pool(pair, "places-default")
    id = pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": "default", "work_pool_name": pool})["id"]
    pair.check("GET", f"{PATH}/{id}")
    pair.check("POST", f"{PATH}/filter", {"deployments": {"id": {"any_": [id]}}})
    pair.check("POST", f"{PATH}/filter", {"deployments": {"work_queue_name": {"any_": ["default"]}, "id": {"any_": [id]}}})


def test_a_queue_is_made_where_it_is_named(pair: Pair, flow: str) -> None:
    pool = add_pool(pair, "places-make")
    body = {"flow_id": flow, "name": "make", "work_pool_name": pool, "work_queue_name": "made"}
    id = pair.check("POST", f"{PATH}/", body)["id"]
    queues(pair, pool)
    pair.check("POST", f"{PATH}/", body)
    queues(pair, pool)
    pair.check("PATCH", f"{PATH}/{id}", {"work_pool_name": pool, "work_queue_name": "made later"})
    queues(pair, pool)
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", {"work_pool_name": pool})
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", {"work_pool_name": None})
    pair.check("GET", f"{PATH}/{id}")


def test_what_became_of_the_queue_is_seen(pair: Pair, flow: str) -> None:
    pool = add_pool(pair, "places-fate")
    body = {"flow_id": flow, "name": "fate", "work_pool_name": pool, "work_queue_name": "first"}
    id = pair.prepare("POST", f"{PATH}/", body)["id"]
    pair.prepare("PATCH", f"/work_pools/{pool}/queues/first", {"name": "second"})
    pair.check("GET", f"{PATH}/{id}")
    pair.prepare("DELETE", f"/work_pools/{pool}/queues/second")
    pair.check("GET", f"{PATH}/{id}")
    pair.check("POST", f"{PATH}/filter", {"deployments": {"id": {"any_": [id]}}})


def test_a_queue_without_a_pool_is_one_of_the_default_agent_pool(pair: Pair, flow: str) -> None:
    id = pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": "agent", "work_queue_name": "lonely"})["id"]
    pair.check("GET", "/work_pools/default-agent-pool")
    queues(pair, "default-agent-pool")
    pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": "agent", "work_queue_name": "default"})
    pair.check("PATCH", f"{PATH}/{id}", {"work_queue_name": "lonelier"})
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", {"work_queue_name": None})
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", {"work_queue_name": ""})
    pair.check("GET", f"{PATH}/{id}")
    queues(pair, "default-agent-pool")
    body = {"flow_id": flow, "name": "agent pool", "work_pool_name": "default-agent-pool", "work_queue_name": "named"}
    pair.check("POST", f"{PATH}/", body)
    queues(pair, "default-agent-pool")


VARIABLES: list[Any] = [
    {},
    {"cpus": 2},
    {"cpus": None},
    {"cpus": "many"},
    {"image": 1, "cpus": "many"},
    {"region": "nowhere"},
    {"region": "here", "unknown": 1},
    None,
]


@pytest.mark.parametrize("variables", VARIABLES, ids=str)
def test_job_variables_fit_the_pool(pair: Pair, flow: str, variables: Any) -> None:
    pool = f"places-variables-{VARIABLES.index(variables)}"
    add_pool(pair, pool, base_job_template=TEMPLATE)
    body = {"flow_id": flow, "name": pool, "work_pool_name": pool}
    pair.check("POST", f"{PATH}/", {**body, "job_variables": variables})
    id = pair.prepare("POST", f"{PATH}/", body)["id"]
    pair.check("PATCH", f"{PATH}/{id}", {"work_pool_name": pool, "job_variables": variables})
    pair.check("PATCH", f"{PATH}/{id}", {"job_variables": variables})
    pair.check("GET", f"{PATH}/{id}")


def test_a_default_that_does_not_fit_is_left_out(pair: Pair, flow: str) -> None:
    pool = add_pool(pair, "places-broken-default", base_job_template=TEMPLATE)
    body = {"flow_id": flow, "name": pool, "work_pool_name": pool}
    broken = {**TEMPLATE["variables"]["properties"], "cpus": {"type": "integer", "default": "many"}}
    template = {**TEMPLATE, "variables": {**TEMPLATE["variables"], "properties": broken}}
    pair.prepare("PATCH", f"/work_pools/{pool}", {"base_job_template": template})
    pair.check("POST", f"{PATH}/", {**body, "job_variables": {"region": "here"}})
    pair.check("POST", f"{PATH}/", {**body, "job_variables": {"cpus": "some"}})


@pytest.mark.parametrize(
    "body",
    [
        {"work_pool_name": "nobody"},
        {"work_pool_name": "nobody", "work_queue_name": "q"},
        {"work_pool_name": "nobody", "global_concurrency_limit_id": NOBODY},
    ],
    ids=str,
)
def test_no_such_pool(pair: Pair, flow: str, body: dict[str, Any]) -> None:
    pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": "no pool", **body})
    id = pair.prepare("POST", f"{PATH}/", {"flow_id": flow, "name": "no pool"})["id"]
    pair.check("PATCH", f"{PATH}/{id}", body)


def test_events_name_the_queue_and_the_pool(pair: Pair, flow: str) -> None:
    pool = add_pool(pair, "places-events")
    id = pair.prepare("POST", f"{PATH}/", {"flow_id": flow, "name": "events", "work_pool_name": pool})["id"]
    pair.check("PATCH", f"{PATH}/{id}", {"work_pool_name": pool, "work_queue_name": "other"})
    pair.check("PATCH", f"{PATH}/{id}", {"work_pool_name": None})
    pair.check("DELETE", f"{PATH}/{id}")
    wanted = {"filter": {"resource": {"id": [f"prefect.deployment.{id}"]}}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == 4)


FILTERS: list[Any] = [
    None,
    {},
    {"tags": ["a"]},
    {"tags": ["c"]},
    {"tags": [], "deployment_ids": []},
    {"tags": None, "deployment_ids": None},
    {"deployment_ids": ["@checked@"]},
    {"tags": ["a", "b"], "deployment_ids": ["@checked@"]},
    {"tags": ["a", "c"], "deployment_ids": ["@checked@"]},
    {"deployment_ids": [NOBODY]},
]


def test_which_queues_take_the_runs_in(pair: Pair, flow: str) -> None:
    pool = add_pool(pair, "places-check")
    body = {"flow_id": flow, "name": "check", "tags": ["a", "b"]}
    id = pair.prepare("POST", f"{PATH}/", body, name="checked")["id"]
    for index, selection in enumerate(FILTERS):
        pair.prepare("POST", f"/work_pools/{pool}/queues", {"name": f"check {index}", "filter": selection})

    def of_this_test(queues: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted((queue for queue in queues if queue["name"].startswith("check ")), key=lambda queue: queue["name"])

    pair.check("GET", f"{PATH}/{id}/work_queue_check", view=of_this_test)
    pair.check("GET", f"{PATH}/{NOBODY}/work_queue_check")
