"""Service level agreements are evaluated by our server; the real one lacks them, so it is not compared with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from . import servers
from .library import scheduled

SETTINGS = {
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "0.5",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
}
PATIENCE_SECONDS = 30.0
VIOLATION, RESOLUTION = "prefect.sla.violation", "prefect.sla.resolution"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with servers.subject(SETTINGS) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def post(client: httpx.Client, path: str, body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def add_deployment(client: httpx.Client, name: str, *agreements: dict[str, Any]) -> str:
    flow = post(client, "/flows/", {"name": "agreed"})["id"]
    post(client, "/work_pools/", {"name": f"pool of {name}", "type": "process"})
    body = {"name": name, "flow_id": flow, "work_pool_name": f"pool of {name}"}
    deployment: str = post(client, "/deployments/", body)["id"]
    post(client, f"/slas/apply-resource-slas/prefect.deployment.{deployment}", agreements)
    return deployment


def enter(client: httpx.Client, run: str, type: str) -> None:
    post(client, f"/flow_runs/{run}/set_state", {"state": {"type": type}})


def told(client: httpx.Client, resource: str, count: int) -> list[dict[str, Any]]:
    """Waits until so many events tell of agreements of the resource, and returns them as they occurred."""
    wanted = {"resource": {"id": [resource]}, "event": {"prefix": ["prefect.sla."]}, "order": "ASC"}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        events = post(client, "/events/filter", {"filter": wanted})["events"]
        if len(events) >= count or time.monotonic() > deadline:
            assert len(events) == count
            return events
        time.sleep(0.1)


def test_a_run_that_takes_too_long(client: httpx.Client) -> None:
    slow = {"name": "slow", "duration": 1, "severity": "critical"}
    deployment = add_deployment(client, "slow", slow)
    run = post(client, f"/deployments/{deployment}/create_flow_run", {})
    resource = f"prefect.flow-run.{run['id']}"
    enter(client, run["id"], "RUNNING")
    [violation] = told(client, resource, 1)
    assert violation["event"] == VIOLATION
    assert violation["resource"]["prefect.resource.name"] == run["name"]
    assert violation["resource"]["prefect.sla.severity"] == "critical"
    assert violation["payload"] == {"sla": {"type": "TimeToCompletionSla", **slow}}
    roles = {related["prefect.resource.role"]: related for related in violation["related"]}
    assert set(roles) == {"flow", "deployment", "work-queue", "work-pool"}
    assert roles["deployment"]["prefect.resource.id"] == f"prefect.deployment.{deployment}"
    enter(client, run["id"], "COMPLETED")
    assert [event["event"] for event in told(client, resource, 2)] == [VIOLATION, RESOLUTION]


def test_a_run_that_starts_late(client: httpx.Client) -> None:
    deployment = add_deployment(client, "late", {"name": "late", "within": "PT1S"}, {"name": "off", "within": 1, "enabled": False})
    due = (datetime.now(UTC) - timedelta(seconds=30)).isoformat()
    run = post(client, f"/deployments/{deployment}/create_flow_run", {"state": scheduled(due)})
    resource = f"prefect.flow-run.{run['id']}"
    assert told(client, resource, 1)[0]["resource"]["prefect.sla.name"] == "late"
    enter(client, run["id"], "PENDING")
    enter(client, run["id"], "RUNNING")
    assert told(client, resource, 2)[1]["follows"] == told(client, resource, 2)[0]["id"]


def test_a_deployment_whose_runs_complete_too_rarely(client: httpx.Client) -> None:
    deployment = add_deployment(client, "rare", {"name": "rare", "stale_after": 1.0})
    resource = f"prefect.deployment.{deployment}"
    [violation] = told(client, resource, 1)
    assert {related["prefect.resource.role"] for related in violation["related"]} == {"flow", "work-queue", "work-pool"}
    run = post(client, f"/deployments/{deployment}/create_flow_run", {})
    enter(client, run["id"], "RUNNING")
    enter(client, run["id"], "COMPLETED")
    told(client, resource, 2)
    client.delete(f"/deployments/{deployment}").raise_for_status()


def test_an_event_that_is_not_seen(client: httpx.Client) -> None:
    resource_match = {"prefect.resource.id": "warehouse", "kind": ["big", "small"]}
    fresh = {"name": "fresh", "within": 1, "expected_event": "table.loaded", "resource_match": resource_match}
    deployment = add_deployment(client, "fresh", fresh)
    [violation] = told(client, f"prefect.deployment.{deployment}", 1)
    assert violation["payload"]["sla"]["resource_match"] == resource_match


def test_an_expected_event_has_to_be_of_some_resource(client: httpx.Client) -> None:
    deployment = add_deployment(client, "vague")
    for resource_match in (None, {}, {"kind": "big"}, {"prefect.resource.id": "ware*"}, {"prefect.resource.id": 1}):
        vague = {"name": "vague", "within": 1, "expected_event": "table.loaded", "resource_match": resource_match}
        assert client.post(f"/deployments/{deployment}/slas", json=[vague]).status_code == 422, resource_match
