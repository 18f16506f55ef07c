"""Triggers of automations: the same events make both servers' automations fire.

All cases run at once, each with resources of its own, so that those that wait for time to pass wait together.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from .conftest import asked_side_by_side
from .side_by_side import Pair, Server

SETTINGS = {
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "1",
}
TOLD = "prefect.automation.triggered"
LAST = "case.last"
SETTLED_SECONDS = 60.0
# A window of ten seconds is over then, and was looked at by a server that looks every five.
PASSED_SECONDS = 24.0

Sent = tuple[str, str, float]


@dataclass(frozen=True)
class Case:
    """A trigger, and the events that are sent: the name, the resource and when it occurred, in seconds before they are sent."""

    trigger: dict[str, Any]
    events: list[Sent] = field(default_factory=list)
    waits: bool = False


def event(**more: Any) -> dict[str, Any]:
    return {"type": "event", "posture": "Reactive", "expect": ["a"], **more}


def silent(**more: Any) -> dict[str, Any]:
    return event(posture="Proactive", within=10, **more)


def compound(*triggers: dict[str, Any], require: Any = "all", **more: Any) -> dict[str, Any]:
    return {"type": "compound", "triggers": list(triggers), "require": require, "within": None, **more}


def sequence(*triggers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "sequence", "triggers": list(triggers), "within": None, **more}


A, B, C = (event(expect=[name]) for name in "abc")
EACH = ["prefect.resource.id"]

CASES: dict[str, Case] = {
    "each event": Case(event(), [("a", "x", 9), ("b", "x", 8), ("a", "y", 7)]),
    "a pattern": Case(event(expect=["k.*"]), [("k.1", "x", 9), ("k.", "x", 8), ("k", "x", 7), ("k.a.b", "x", 6)]),
    "a pattern with a question mark": Case(event(expect=["k?"]), [("k1", "x", 9), ("k", "x", 8)]),
    "a pattern that is negated": Case(event(expect=["!a", "*"]), [("a", "x", 9), ("b", "x", 8)]),
    "three events": Case(event(threshold=3, within=60), [("a", "x", second) for second in (9, 8, 7, 6, 5, 4)]),
    "three events too far apart": Case(event(threshold=3, within=5), [("a", "x", second) for second in (20, 14, 8, 2)]),
    "once a minute": Case(event(within=60), [("a", "x", 9), ("a", "x", 8), ("a", "y", 7)]),
    "once a minute for each": Case(event(within=60, for_each=EACH), [("a", "x", 9), ("a", "x", 8), ("a", "y", 7)]),
    "two for each": Case(event(threshold=2, within=60, for_each=EACH), [("a", "x", 9), ("a", "y", 8), ("a", "x", 7), ("a", "y", 6)]),
    "late events": Case(event(threshold=3, within=60), [("a", "x", 9), ("a", "x", 50), ("a", "x", 30)]),
    "after": Case(event(after=["b"], within=60), [("a", "x", 9), ("b", "x", 8), ("a", "x", 7), ("a", "x", 6)]),
    "after for each": Case(event(after=["b"], within=60, for_each=EACH), [("b", "x", 9), ("a", "y", 8), ("a", "x", 7)]),
    "after itself": Case(event(after=["a"], within=60), [("a", "x", 9), ("a", "x", 8), ("a", "x", 7)]),
    "after itself twice": Case(event(after=["a"], within=60, threshold=2), [("a", "x", second) for second in (9, 8, 7, 6)]),
    "a threshold without a window": Case(event(threshold=2), [("a", "x", 9), ("a", "x", 8), ("a", "x", 7)]),
    "any of two": Case(compound(A, B, require="any"), [("a", "x", 9), ("b", "x", 8), ("c", "x", 7)]),
    "all of two": Case(compound(A, B), [("a", "x", 9), ("a", "x", 8), ("b", "x", 7), ("b", "x", 6)]),
    "two of three": Case(compound(A, B, C, require=2), [("a", "x", 9), ("c", "x", 8), ("b", "x", 7)]),
    "a sequence": Case(sequence(A, B), [("a", "x", 9), ("b", "x", 8), ("a", "x", 7)]),
    "a sequence backwards": Case(sequence(A, B), [("b", "x", 9), ("a", "x", 8)]),
    "a sequence in a compound": Case(compound(sequence(A, B), C), [("c", "x", 9), ("a", "x", 8), ("b", "x", 7)]),
    "silence": Case(silent(), [], waits=True),
    "too little for each": Case(silent(threshold=2, for_each=EACH), [("a", "x", 0)], waits=True),
    "silence after": Case(silent(after=["b"], for_each=EACH), [("b", "x", 1), ("b", "y", 1), ("a", "y", 0)], waits=True),
    "heartbeats that stop": Case(silent(after=["a"], for_each=EACH), [("a", "x", 3), ("a", "x", 1)], waits=True),
    "heartbeats that end": Case(
        silent(after=["a"], expect=["a", "z"], for_each=EACH), [("a", "x", 3), ("a", "x", 2), ("z", "x", 1)], waits=True
    ),
    "an end that is heard of first": Case(
        silent(after=["a"], expect=["a", "z"], for_each=EACH), [("z", "x", 1), ("a", "x", 3)], waits=True
    ),
}

# What each case's automation is told to have done, as (labels, event, resource) by when it happened.
Told = list[tuple[Any, ...]]


def of_case(case: str, resource: str) -> str:
    return f"case.{list(CASES).index(case)}.{resource}"


def limited(trigger: dict[str, Any], case: str) -> dict[str, Any]:
    """The trigger, for the resources of the case alone."""
    if "triggers" in trigger:
        return {**trigger, "triggers": [limited(within, case) for within in trigger["triggers"]]}
    return {**trigger, "match": {"prefect.resource.id": of_case(case, "*")}}


def received(name: str, resource: str, before: float, now: datetime) -> dict[str, Any]:
    occurred = now - timedelta(seconds=before)
    return {"event": name, "resource": {"prefect.resource.id": resource}, "occurred": occurred.isoformat(), "id": str(uuid4())}


def ask(server: Server, method: str, path: str, json: Any) -> Any:
    answer = server.client.request(method, f"{server.url}{path}", json=json)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def told(server: Server, automation: str) -> list[dict[str, Any]]:
    filter = {"event": {"name": [TOLD]}, "resource": {"id": [f"prefect.automation.{automation}"]}, "order": "ASC"}
    return ask(server, "POST", "/events/filter", {"filter": filter, "limit": 50})["events"]


def run(server: Server) -> dict[str, Told]:
    """Makes the automations, sends the events, and returns what is told of each case."""
    nothing = [{"type": "do-nothing"}]
    automations = {}
    for name, case in CASES.items():
        body = {"name": name, "trigger": limited(case.trigger, name), "actions": nothing}
        automations[name] = ask(server, "POST", "/automations/", body)["id"]
    last = ask(server, "POST", "/automations/", {"name": LAST, "trigger": event(expect=[LAST]), "actions": nothing})["id"]
    now = datetime.now(UTC)
    started = time.monotonic()
    for step in range(max(len(case.events) for case in CASES.values())):
        batch = [
            received(sent[0], of_case(name, sent[1]), sent[2], now)
            for name, case in CASES.items()
            for sent in case.events[step : step + 1]
        ]
        server.client.post(f"{server.url}/events", json=batch).raise_for_status()
    server.client.post(f"{server.url}/events", json=[received(LAST, LAST, 0, now)]).raise_for_status()
    while not told(server, last):
        assert time.monotonic() - started < SETTLED_SECONDS, "the last event makes no automation fire"
        time.sleep(0.2)
    time.sleep(max(0.0, PASSED_SECONDS - (time.monotonic() - started)))
    return {name: [shown(event, name) for event in told(server, id)] for name, id in automations.items()}


def shown(event: dict[str, Any], case: str) -> tuple[Any, ...]:
    payload, related = event["payload"], event["related"]
    about = payload["triggering_event"]
    labels = {key: value for key, value in event["resource"].items() if key != "prefect.resource.id"}
    roles = [resource["prefect.resource.role"] for resource in related]
    is_about = about is None or related[0]["prefect.resource.id"] == f"prefect.event.{about['id']}"
    return (payload["triggering_labels"], about and (about["event"], about["resource"]["prefect.resource.id"]), labels, roles, is_about)


@pytest.fixture(scope="module")
def outcomes() -> Iterator[tuple[dict[str, Told], dict[str, Told]]]:
    with asked_side_by_side(SETTINGS) as pair, ThreadPoolExecutor() as pool:
        oracle, subject = pool.map(run, (pair.oracle, pair.subject))
        yield oracle, subject


@pytest.mark.parametrize("case", CASES)
def test_fires(outcomes: tuple[dict[str, Told], dict[str, Told]], case: str) -> None:
    oracle, subject = (side[case] for side in outcomes)
    if CASES[case].waits:
        # Silence is told again and again, and how often depends on who looks when.
        oracle, subject = (side[:1] for side in (oracle, subject))
    assert subject == oracle
