"""The websocket `/events/in`: its subprotocol, its handshake, and the events sent through it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from .conftest import asked_side_by_side
from .events import Event, event, task_run_event
from .side_by_side import Pair
from .sockets import AUTH, check_talk, talk

PATH = "/events/in"
AUTH_STRING = "admin:secret"
SOCKETS = 5000


def check_recorded(pair: Pair, *events: Event) -> None:
    filter = {
        "id": {"id": [event["id"] for event in events]},
        "occurred": {"since": "2000-01-01T00:00:00Z"},
        "order": "ASC",
    }
    pair.eventually("POST", "/events/filter", {"filter": filter}, until=lambda page: page["total"] == len(events))


@pytest.mark.parametrize("token", [None, "", "anything", 5])
def test_handshake(pair: Pair, token: Any) -> None:
    check_talk(pair, PATH, ["prefect"], [{"type": "auth", "token": token}], reads=1)


@pytest.mark.parametrize("first", [{"type": "auth"}, {"type": "hello"}, {}, {"token": "x"}, {"type": None}], ids=str)
def test_first_message(pair: Pair, first: Any) -> None:
    check_talk(pair, PATH, ["prefect"], [first], reads=1)


@pytest.mark.parametrize("protocols", [["prefect", "other"], ["other", "prefect"]])
def test_several_subprotocols(pair: Pair, protocols: list[str]) -> None:
    check_talk(pair, PATH, protocols, [AUTH], reads=1)


def test_events_after_the_handshake(pair: Pair) -> None:
    events = [event(SOCKETS + n, "socket", f"socket.{n}", payload={"n": n}) for n in range(3)]
    check_talk(pair, PATH, ["prefect"], [AUTH, *events], reads=1)
    check_recorded(pair, *events)


@pytest.mark.parametrize("protocols", [None, ["other"]])
def test_events_of_an_old_client_without_handshake(pair: Pair, protocols: list[str] | None) -> None:
    sent = event(SOCKETS + 10, "socket.old", f"socket.old.{uuid4()}")
    check_talk(pair, PATH, protocols, [sent], reads=0)
    check_recorded(pair, sent)


def test_many_events_on_one_connection(pair: Pair) -> None:
    events = [event(SOCKETS + 100 + n, "socket.many", f"socket.many.{n}") for n in range(40)]
    check_talk(pair, PATH, ["prefect"], [AUTH, *events], reads=1)
    check_recorded(pair, *events)


def test_a_large_event(pair: Pair) -> None:
    sent = event(SOCKETS + 20, "socket.large", "socket.large", payload={"text": "x" * 200_000})
    check_talk(pair, PATH, ["prefect"], [AUTH, sent], reads=1)
    check_recorded(pair, sent)


@pytest.mark.parametrize(
    "broken",
    ["not json", "{}", "[]", json.dumps({**event(0, "x", "y"), "id": "x"}), ""],
    ids=lambda text: text[:20],
)
def test_a_broken_event_ends_the_connection(pair: Pair, broken: str) -> None:
    """What came before it is kept."""
    before = event(SOCKETS + 30, "socket.before", "socket.before")
    check_talk(pair, PATH, ["prefect"], [AUTH, before, broken], reads=2)
    check_recorded(pair, before)


def test_task_run_events_are_recorded(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "events-in"})
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow["id"], "name": "run"})
    task = str(uuid4())
    for server in (pair.oracle, pair.subject):
        flow_run = server.resolve(run["id"])
        sent = [task_run_event(task, flow_run, n, state) for n, state in enumerate(["PENDING", "RUNNING"])]
        talk(server, PATH, ["prefect"], [AUTH, *sent], reads=1)
    pair.eventually(
        "GET",
        "/task_run_states/",
        params={"task_run_id": task},
        until=lambda history: len(history) == 2,
        view=lambda history: [state["type"] for state in history],
    )
    pair.check("GET", f"/task_runs/{task}")


@pytest.fixture(scope="module")
def guarded() -> Iterator[Pair]:
    """Both servers with a password."""
    with asked_side_by_side({"PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING}) as pair:
        yield pair


@pytest.mark.parametrize(
    ("protocols", "first"),
    [
        (["prefect"], {"type": "auth", "token": AUTH_STRING}),
        (["prefect"], {"type": "auth", "token": "wrong"}),
        (["prefect"], {"type": "auth", "token": None}),
        (["prefect"], {"type": "auth"}),
        (["prefect"], {"type": "hello"}),
        (None, {"type": "auth", "token": AUTH_STRING}),
    ],
    ids=str,
)
def test_handshake_with_a_password(guarded: Pair, protocols: list[str] | None, first: Any) -> None:
    check_talk(guarded, PATH, protocols, [first], reads=1)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic YWRtaW46c2VjcmV0",
        "Basic d3Jvbmc6cGFzcw==",
        "Basic !!!",
        "Basic",
        "Bearer YWRtaW46c2VjcmV0",
        "basic YWRtaW46c2VjcmV0",
    ],
)
def test_requests_with_a_password(guarded: Pair, request: pytest.FixtureRequest, authorization: str | None) -> None:
    guarded.test = request.node.nodeid
    headers = {"authorization": authorization} if authorization else {}
    for method, path in (
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/hello"),
        ("POST", "/flows/filter"),
        ("GET", "/nowhere"),
        ("PUT", "/health"),
    ):
        guarded.check(method, path, *([{}] if method == "POST" else []), headers=headers)
