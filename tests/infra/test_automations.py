"""An automation on the deployed stack: an event comes through the table's stream, and its action through the queue."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from conftest import Stack
from test_stack import eventually, events_of, request

Json = dict[str, Any]


def made(stack: Stack, path: str, body: Json) -> Json:
    status, _, answer = request(stack, "POST", path, body)
    assert status in (200, 201), answer
    return answer


def emit(stack: Stack, event: Json) -> None:
    status, _, answer = request(stack, "POST", "/events", [event])
    assert status == 204, answer


def test_an_event_that_comes_twice_has_one_action(stack: Stack) -> None:
    kettle, pool = f"kettle.{uuid4()}", made(stack, "/work_pools/", {"name": f"kitchen {uuid4()}", "type": "process"})
    trigger = {
        "type": "event",
        "posture": "Reactive",
        "match": {"prefect.resource.id": kettle},
        "expect": ["kettle.boiled"],
        "threshold": 1,
        "within": 0,
    }
    actions = [{"type": "pause-work-pool", "source": "selected", "work_pool_id": pool["id"]}]
    automation = made(stack, "/automations/", {"name": "close the kitchen", "trigger": trigger, "actions": actions})
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "kettle.boiled",
        "resource": {"prefect.resource.id": kettle},
    }
    emit(stack, {**event, "id": str(uuid4()), "event": "kettle.filled"})
    emit(stack, event)
    emit(stack, event)

    def is_paused() -> bool:
        return request(stack, "GET", f"/work_pools/{pool['name'].replace(' ', '%20')}")[2]["is_paused"]

    # Which automations there are is remembered for some seconds.
    eventually(is_paused, bool, 60)
    told = ("triggered", "action.triggered", "action.executed")
    resource = f"prefect.automation.{automation['id']}"
    events = eventually(
        lambda: Counter(events_of(stack, resource)),
        lambda found: all(found[f"prefect.automation.{name}"] for name in told),
    )
    assert [events[f"prefect.automation.{name}"] for name in told] == [1, 1, 1], events
    assert not events["prefect.automation.action.failed"]
