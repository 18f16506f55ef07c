"""Branching deployments and service level agreements: operations of our own, held to what the client expects of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .library import NOBODY
from .side_by_side import Pair

CRON = {"schedule": {"cron": "0 0 1 1 *"}, "slug": "yearly"}


@pytest.fixture(autouse=True)
def _nothing_is_left(pair: Pair) -> Iterator[None]:
    """The other tests expect the two servers to hold the same."""
    yield
    flow = ask(pair, "GET", "/flows/name/our-deployments").json()["id"]
    assert ask(pair, "DELETE", f"/flows/{flow}").status_code == 204
    ask(pair, "DELETE", "/work_pools/ours")


def ask(pair: Pair, method: str, path: str, json: Any = None) -> httpx.Response:
    return pair.subject.client.request(method, pair.subject.url + path, json=json)


def add(pair: Pair, name: str, **more: Any) -> dict[str, Any]:
    flow = ask(pair, "POST", "/flows/", {"name": "our-deployments"}).json()["id"]
    return ask(pair, "POST", "/deployments/", {"flow_id": flow, "name": name, **more}).json()


def test_a_branch_is_like_its_base_but_for_what_is_overridden(pair: Pair) -> None:
    base = add(pair, "base", tags=["a"], concurrency_limit=2, schedules=[CRON], paused=True, parameters={"p": 1})
    body = {"branch": "feature/x", "overrides": {"tags": ["b"], "description": "d"}}
    answer = ask(pair, "POST", f"/deployments/{base['id']}/branch", body)
    branch = answer.json()
    assert answer.status_code == 201
    assert branch["name"] == "base@feature-x"
    assert (branch["branch"], branch["base"], branch["root"]) == ("feature/x", base["id"], base["id"])
    assert (branch["tags"], branch["description"], branch["parameters"]) == (["b"], "d", {"p": 1})
    assert branch["schedules"] == []
    assert branch["global_concurrency_limit"]["limit"] == 2
    assert branch["global_concurrency_limit"]["id"] != base["global_concurrency_limit"]["id"]
    assert ask(pair, "GET", f"/deployments/{branch['id']}").json()["root"] == base["id"]
    of_branch = ask(pair, "POST", f"/deployments/{branch['id']}/branch", {"branch": "y"}).json()
    assert (of_branch["base"], of_branch["root"]) == (branch["id"], base["id"])
    assert ask(pair, "POST", f"/deployments/{base['id']}/branch", body).status_code == 409


@pytest.mark.parametrize(("handling", "active"), [("keep", [True]), ("inactive", [False]), ("remove", [])])
def test_what_becomes_of_the_schedules(pair: Pair, handling: str, active: list[bool]) -> None:
    base = add(pair, f"schedules {handling}", schedules=[CRON], paused=True)
    body = {"branch": "b", "options": {"schedule_handling": handling}}
    branch = ask(pair, "POST", f"/deployments/{base['id']}/branch", body).json()
    assert [schedule["active"] for schedule in branch["schedules"]] == active
    assert {schedule["id"] for schedule in branch["schedules"]}.isdisjoint(s["id"] for s in base["schedules"])


@pytest.mark.parametrize(
    "body",
    [{}, {"branch": " "}, {"branch": "b", "options": {"schedule_handling": "x"}}, {"branch": "b", "overrides": {"tags": 1}}],
    ids=str,
)
def test_malformed_branches(pair: Pair, body: dict[str, Any]) -> None:
    assert ask(pair, "POST", f"/deployments/{add(pair, 'malformed')['id']}/branch", body).status_code == 422


def test_agreements_are_replaced_by_name(pair: Pair) -> None:
    id = add(pair, "slas")["id"]
    path = f"/slas/apply-resource-slas/prefect.deployment.{id}"
    late = {"name": "late", "within": 600.0, "owner_resource": f"prefect.deployment.{id}"}
    slow = {"name": "slow", "duration": 5, "severity": "high"}
    rare = {"name": "rare", "stale_after": 5400.0}
    assert ask(pair, "POST", path, [late, slow]).json() == {
        "created": [{"name": "late"}, {"name": "slow"}],
        "updated": [],
        "deleted": [],
    }
    assert ask(pair, "POST", f"/deployments/{id}/slas", [rare, slow]).json() == {
        "created": [{"name": "rare"}],
        "updated": [{"name": "slow"}],
        "deleted": [{"name": "late"}],
    }
    assert "slas" not in ask(pair, "GET", f"/deployments/{id}").json()
    assert ask(pair, "POST", path, [slow, slow]).status_code == 422
    assert ask(pair, "POST", path, [{"name": "nothing"}]).status_code == 422
    assert ask(pair, "POST", path, [{**slow, "within": 1}]).status_code == 422
    for nobody in (f"/deployments/{NOBODY}/slas", f"/slas/apply-resource-slas/prefect.deployment.{NOBODY}", "/slas/apply-resource-slas/x"):
        assert ask(pair, "POST", nobody, []).status_code == 404


def test_many_at_once_make_one_deployment(pair: Pair) -> None:
    flow = ask(pair, "POST", "/flows/", {"name": "our-deployments"}).json()["id"]
    ask(pair, "POST", "/work_pools/", {"name": "ours", "type": "process"})
    body = {
        "flow_id": flow,
        "name": "at once",
        "concurrency_limit": 3,
        "work_pool_name": "ours",
        "work_queue_name": "at-once",
        "schedules": [CRON],
        "paused": True,
    }

    def make(_: int) -> httpx.Response:
        return httpx.post(f"{pair.subject.url}/deployments/", json=body, timeout=60)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(make, range(32)))
    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len({answer.json()["work_queue_id"] for answer in answers}) == 1
    found = ask(pair, "GET", f"/deployments/{answers[0].json()['id']}").json()
    assert len(found["schedules"]) == 1
    assert found["global_concurrency_limit"]["limit"] == 3


def test_many_at_once_make_one_run_under_a_key(pair: Pair) -> None:
    id = add(pair, "runs at once")["id"]

    def make(_: int) -> httpx.Response:
        url = f"{pair.subject.url}/deployments/{id}/create_flow_run"
        return httpx.post(url, json={"idempotency_key": "at-once"}, timeout=60)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(make, range(32)))
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert len({answer.json()["id"] for answer in answers}) == 1
