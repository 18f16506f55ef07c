"""Builds events as the real client sends them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from .side_by_side import Pair

Event = dict[str, Any]

# Old enough to be outside of everything that happens during the session, young enough to be kept.
BASE = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=6)


def at(seconds: float) -> str:
    """An instant of the past, some seconds after `BASE`, in the format of the client."""
    return (BASE + timedelta(seconds=seconds)).isoformat(timespec="microseconds")


EVENTS = count()


def id_made(seconds: float) -> str:
    """An id of UUID version 7 as the client makes it, some seconds after `BASE`."""
    millis = int((BASE + timedelta(seconds=seconds)).timestamp() * 1000)
    return str(UUID(int=millis << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)))


def event(seconds: float, name: str, resource: str, **more: Any) -> Event:
    """An event that happened `seconds` after `BASE`; `labels` adds to those of its resource.

    Of three two have ids as the client makes them, and one has an id that tells no time.
    """
    return {
        "occurred": at(seconds),
        "event": name,
        "resource": {"prefect.resource.id": resource, **more.pop("labels", {})},
        "related": [],
        "payload": {},
        "id": id_made(seconds) if next(EVENTS) % 3 else str(uuid4()),
        **more,
    }


def related(id: str, role: str, **labels: str) -> dict[str, str]:
    return {"prefect.resource.id": id, "prefect.resource.role": role, **labels}


def task_run_event(
    task_run: str,
    flow_run: str | None,
    seconds: float,
    type: str,
    *,
    name: str = "",
    before: str | None = None,
    message: str | None = None,
    details: dict[str, Any] | None = None,
    data: Any = None,
    task: dict[str, Any] | None = None,
    tags: tuple[str, ...] = (),
) -> Event:
    """The event by which a client reports that a task run came into a state.

    `before` is the type of the state before it; `task` adds to what the client knows of the run.
    """
    name = name or type.capitalize()
    run = {
        "name": "task",
        "task_key": "task-key",
        "dynamic_key": task_run,
        "empirical_policy": {"max_retries": 0, "retry_delay_seconds": 0.0, "retries": 0, "retry_delay": 0},
        "tags": list(tags),
        "labels": {},
        "task_inputs": {},
        "run_count": 0,
        "flow_run_run_count": 1,
        "total_run_time": 0.0,
        **(task or {}),
    }
    return event(
        seconds,
        f"prefect.task-run.{name}",
        f"prefect.task-run.{task_run}",
        labels={
            "prefect.resource.name": run["name"],
            "prefect.run-count": str(run["run_count"]),
            "prefect.state-message": message or "",
            "prefect.state-name": name,
            "prefect.state-timestamp": at(seconds),
            "prefect.state-type": type,
            "prefect.orchestration": "client",
        },
        related=[
            *([related(f"prefect.flow-run.{flow_run}", "flow-run")] if flow_run else []),
            *(related(f"prefect.tag.{tag}", "tag") for tag in tags),
        ],
        payload={
            "intended": {"from": before, "to": type},
            "initial_state": {"type": before, "name": before.capitalize(), "message": "", "state_details": {}}
            if before
            else None,
            "validated_state": {
                "type": type,
                "name": name,
                "message": message or "",
                "state_details": details or {},
                "data": data,
            },
            "task_run": run,
        },
    )


def window(start: float, end: float) -> dict[str, str]:
    """The filter of the events between two times, in seconds after `BASE`."""
    return {"since": at(start), "until": at(end)}


def send(pair: Pair, *events: Event) -> None:
    """Sends events and waits until both servers list them all.

    An event that comes again together with its first copy makes the oracle lose both, so a
    duplicate has to be sent later.
    """
    pair.check("POST", "/events", list(events))
    ids = {"id": {"id": [event["id"] for event in events]}, "occurred": {"since": "2000-01-01T00:00:00Z"}}
    pair.eventually(
        "POST",
        "/events/filter",
        {"filter": {**ids, "order": "ASC"}},
        until=lambda page: page["total"] == len({event["id"] for event in events}),
        view=lambda page: page["total"],
    )
