"""Slots of a deployment's concurrency limit, where the runs that hold them are deleted or never took one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .side_by_side import Pair

RENEWING = {"user-agent": "prefect/3.9.1 (API 0.8.4)"}


@pytest.fixture
def flow(pair: Pair) -> Iterator[str]:
    """The other tests expect the two servers to hold the same."""
    flow = pair.prepare("POST", "/flows/", {"name": "deployment-slots"})["id"]
    yield flow
    pair.prepare("DELETE", f"/flows/{flow}")


def taken(limit_of: Any) -> Any:
    """Looks at the slots of a deployment's limit alone."""
    limit = limit_of.get("global_concurrency_limit") if isinstance(limit_of, dict) else None
    return limit and limit["active_slots"]


def add(pair: Pair, flow: str, name: str, slots: int) -> str:
    body = {"flow_id": flow, "name": name, "concurrency_limit": slots}
    return pair.prepare("POST", "/deployments/", body)["id"]


def submit(pair: Pair, deployment: str) -> str:
    run = pair.prepare("POST", f"/deployments/{deployment}/create_flow_run", {})["id"]
    pair.send("POST", f"/flow_runs/{run}/set_state", {"state": {"type": "PENDING"}}, headers=RENEWING)
    return run


def check_taken(pair: Pair, deployment: str) -> None:
    pair.check("GET", f"/deployments/{deployment}", view=taken)


def test_a_deleted_run_gives_its_slot_back_at_once(pair: Pair, flow: str) -> None:
    deployment = add(pair, flow, "deleted", 2)
    first, _ = submit(pair, deployment), submit(pair, deployment)
    check_taken(pair, deployment)
    pair.check("DELETE", f"/flow_runs/{first}")
    check_taken(pair, deployment)
    pair.check("DELETE", f"/flow_runs/{first}")
    check_taken(pair, deployment)
    body = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    pair.check("POST", "/flow_runs/bulk_delete", body, view=lambda body: len(body["deleted"]))
    check_taken(pair, deployment)
    waiting = pair.prepare("POST", f"/deployments/{deployment}/create_flow_run", {})["id"]
    body = {"state": {"type": "PENDING"}}
    pair.check("POST", f"/flow_runs/{waiting}/set_state", body, view=lambda body: body["status"], headers=RENEWING)


@pytest.mark.parametrize("path", [["RUNNING", "CANCELLING"], ["RUNNING", "COMPLETED"], ["CANCELLED"]], ids=str)
def test_what_a_run_leaves_taken_that_is_deleted_later(pair: Pair, flow: str, path: list[str]) -> None:
    deployment = add(pair, flow, f"later {path}", 2)
    run = submit(pair, deployment)
    for type in path:
        pair.send("POST", f"/flow_runs/{run}/set_state", {"state": {"type": type}}, headers=RENEWING)
        check_taken(pair, deployment)
    pair.check("DELETE", f"/flow_runs/{run}")
    check_taken(pair, deployment)


def test_a_run_that_never_took_a_slot_frees_none(pair: Pair, flow: str) -> None:
    """Ours alone: upstream frees the slot of the run that holds one."""
    deployment = add(pair, flow, "never", 1)
    submit(pair, deployment)
    run = pair.prepare("POST", f"/deployments/{deployment}/create_flow_run", {})["id"]
    for type in ("RUNNING", "COMPLETED"):
        body = {"state": {"type": type}}
        pair.check("POST", f"/flow_runs/{run}/set_state", body, view=lambda body: body["status"], headers=RENEWING)
    answer = pair.send("GET", f"/deployments/{deployment}")
    assert (taken(answer.oracle.json()), taken(answer.subject.json())) == (0, 1)


def test_a_client_that_renews_no_leases_keeps_its_slot_until_its_run_ends(pair: Pair, flow: str) -> None:
    deployment = add(pair, flow, "old clients", 2)
    first, _ = submit(pair, deployment), submit(pair, deployment)
    for type in ("RUNNING", "COMPLETED"):
        pair.send("POST", f"/flow_runs/{first}/set_state", {"state": {"type": type}})
        check_taken(pair, deployment)
