"""Operations on many flow runs: the contract's answers, and our own way for more of them than an answer holds."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from .library import NOBODY
from .side_by_side import Pair

FINISHED_SECONDS = 30.0


def named(prefix: str) -> dict[str, Any]:
    return {"flow_runs": {"name": {"like_": prefix}}}


def add_runs(pair: Pair, prefix: str, count: int) -> list[dict[str, Any]]:
    flow = pair.prepare("POST", "/flows/", {"name": "bulk"})
    return [
        pair.prepare("POST", "/flow_runs/", {"flow_id": flow["id"], "name": f"{prefix}{index}"}) for index in range(count)
    ]


def outcomes(body: Any) -> Any:
    """Looks at the results in an order that both servers share, without the ids: upstream's are in no order.

    Upstream tells the last flow run's id in the details of each state, though it stores the right one.
    """

    def outcome(result: dict[str, Any]) -> dict[str, Any]:
        state = result["state"] or {}
        details = state.get("state_details", {}) | {"flow_run_id": None}
        state = {**state, "id": None, "timestamp": None, "state_details": details}
        return {"status": result["status"], "details": result["details"], "state": state}

    results = body.get("results") if isinstance(body, dict) else None
    return body if results is None else sorted(map(outcome, results), key=json.dumps)


def how_many(body: Any) -> Any:
    deleted = body.get("deleted") if isinstance(body, dict) else None
    return body if deleted is None else len(deleted)


@pytest.mark.parametrize("operation", ["bulk_delete", "bulk_set_state"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        None,
        [],
        {"limit": 0},
        {"limit": 51},
        {"limit": "7"},
        {"limit": None},
        {"flow_runs": []},
        {"flow_runs": {"id": {"any_": ["no-uuid"]}}},
        {"flow_runs": {"unknown": 1}},
        {"flow_runs": {"id": {"any_": [NOBODY]}}},
        {"flow_runs": {"id": {"any_": [NOBODY]}}, "state": {"type": "DONE"}},
        {"flow_runs": {"id": {"any_": [NOBODY]}}, "state": {}},
        {"flow_runs": {"id": {"any_": [NOBODY]}}, "state": {"type": "CANCELLED"}, "force": "maybe"},
        {"flow_runs": {"id": {"any_": [NOBODY]}}, "state": {"type": "CANCELLED"}, "force": True, "limit": 50},
        {"flow_runs": {"id": {"any_": []}}, "state": {"type": "CANCELLED"}},
    ],
    ids=str,
)
def test_requests(pair: Pair, operation: str, body: Any) -> None:
    if operation == "bulk_delete" and not (isinstance(body, dict) and body.get("flow_runs")) and body != []:
        # Everything would be deleted that other tests have made.
        body = {"flow_runs": {"id": {"any_": [NOBODY]}}} | (body or {})
    pair.check("POST", f"/flow_runs/{operation}", body)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("type", ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "CANCELLED", "CANCELLING", "PAUSED"])
def test_set_state(pair: Pair, type: str, force: bool) -> None:
    prefix = f"bulk-{type}-{force}-"
    runs = add_runs(pair, prefix, 3)
    pair.prepare("POST", f"/flow_runs/{runs[0]['id']}/set_state", {"state": {"type": "RUNNING"}, "force": True})
    pair.prepare("POST", f"/flow_runs/{runs[1]['id']}/set_state", {"state": {"type": "COMPLETED"}, "force": True})
    body = {**named(prefix), "state": {"type": type, "message": "all of you"}, "force": force}
    pair.check("POST", "/flow_runs/bulk_set_state", body, view=outcomes)
    for run in runs:
        pair.check("GET", f"/flow_runs/{run['id']}")


def test_set_state_stops_at_its_limit(pair: Pair) -> None:
    add_runs(pair, "bulk-limit-", 4)
    body = {**named("bulk-limit-"), "state": {"type": "CANCELLED"}, "limit": 3}
    pair.check("POST", "/flow_runs/bulk_set_state", body, view=lambda body: len(body["results"]))


def test_delete(pair: Pair) -> None:
    add_runs(pair, "bulk-delete-", 4)
    pair.check("POST", "/flow_runs/bulk_delete", {**named("bulk-delete-"), "limit": 3}, view=how_many)
    pair.check("POST", "/flow_runs/count", named("bulk-delete-"))
    pair.check("POST", "/flow_runs/bulk_delete", named("bulk-delete-"), view=how_many)
    pair.check("POST", "/flow_runs/bulk_delete", named("bulk-delete-"))
    pair.check("POST", "/flow_runs/filter", named("bulk-delete-"))


class Ours:
    """Our server alone: upstream knows no operations that outlive their request."""

    def __init__(self, pair: Pair) -> None:
        self.client = httpx.Client(base_url=pair.subject.url, timeout=60)
        flow = self.client.post("/flows/", json={"name": "bulk"}).json()
        self.flow_id = flow["id"]

    def add_runs(self, prefix: str, count: int) -> None:
        for index in range(count):
            self.client.post("/flow_runs/", json={"flow_id": self.flow_id, "name": f"{prefix}{index}"})

    def begin(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return self.client.post(path, json=body, headers={"prefer": "respond-async, wait=1"})

    def finished(self, operation: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + FINISHED_SECONDS
        while operation["status"] == "RUNNING":
            assert time.monotonic() < deadline, operation
            time.sleep(0.05)
            operation = self.client.get(f"/operations/{operation['id']}").json()
        return operation


@pytest.fixture
def ours(pair: Pair) -> Ours:
    return Ours(pair)


def test_an_operation_outlives_its_request(ours: Ours) -> None:
    ours.add_runs("async-", 120)
    answer = ours.begin("/flow_runs/bulk_set_state", {**named("async-"), "state": {"type": "CANCELLED"}})
    operation = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/operations/{operation['id']}")
    assert (operation["kind"], operation["status"], operation["finished"]) == ("set_flow_run_states", "RUNNING", None)
    operation = ours.finished(operation)
    counts = {name: operation[name] for name in ("status", "matched", "done", "refused", "failed", "failures")}
    assert counts == {"status": "COMPLETED", "matched": 120, "done": 120, "refused": 0, "failed": 0, "failures": []}
    cancelled = {"flow_runs": {**named("async-")["flow_runs"], "state": {"type": {"any_": ["CANCELLED"]}}}}
    assert ours.client.post("/flow_runs/count", json=cancelled).json() == 120

    operation = ours.finished(ours.begin("/flow_runs/bulk_delete", named("async-")).json())
    assert (operation["matched"], operation["done"]) == (120, 120)
    assert ours.client.post("/flow_runs/count", json=named("async-")).json() == 0


def test_a_limit_asks_for_the_contract_s_answer(ours: Ours) -> None:
    ours.add_runs("limited-", 2)
    answer = ours.begin("/flow_runs/bulk_delete", {**named("limited-"), "limit": 1})
    assert (answer.status_code, len(answer.json()["deleted"])) == (200, 1)


def test_an_operation_can_be_stopped(ours: Ours) -> None:
    operation = ours.begin("/flow_runs/bulk_delete", {"flow_runs": {"id": {"any_": [NOBODY]}}}).json()
    assert ours.client.delete(f"/operations/{operation['id']}").status_code == 204
    assert ours.client.delete(f"/operations/{operation['id']}").status_code == 204
    assert ours.finished(operation)["status"] in ("STOPPED", "COMPLETED")


def test_operations_that_are_not_there(ours: Ours) -> None:
    for method in ("GET", "DELETE"):
        answer = ours.client.request(method, f"/operations/{NOBODY}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Operation not found"})
        assert ours.client.request(method, "/operations/no-uuid").status_code == 404
