"""The websockets `/events/out` and `/logs/out`: what a client asks for, and what it is told.

Where a filter is wrong, the real server drops the connection, as its reason is longer than a close frame takes; ours says as
much of the reason as fits. Where a filter of events has no end, the real server's is the moment at which it read the filter,
so that nothing ever comes; ours has none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from .conftest import asked_side_by_side
from .side_by_side import Pair, Server
from .sockets import AUTH, address, check_talk, talk

Json = dict[str, Any]

EVENTS, LOGS = "/events/out", "/logs/out"
FAR = "2100-01-01T00:00:00Z"
# How long the real server may take to tell what it was sent.
PATIENCE = 10.0
# After which silence nothing more is expected.
SILENCE = 1.5

STREAMED = {
    "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
    "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",
}


@pytest.fixture(scope="module")
def streamed() -> Iterator[Pair]:
    """Both servers, the real one told to tell of logs."""
    with asked_side_by_side(STREAMED) as pair:
        yield pair


@pytest.mark.parametrize("path", [EVENTS, LOGS])
@pytest.mark.parametrize("first", [{"type": "nope"}, {"type": None}, {}, [], 5, "not json", b'{"type": "filter"}', {"type": "filter"}], ids=str)
def test_first_message(streamed: Pair, path: str, first: Any) -> None:
    check_talk(streamed, path, ["prefect"], [AUTH, first], reads=2)


WRONG = [None, [], {"unknown": 1}, {"order": "x"}, {"occurred": {"since": "x"}}, {"level": {"ge_": "x"}}, {"text": {"query": "x" * 300}}]


@pytest.mark.parametrize("path", [EVENTS, LOGS])
@pytest.mark.parametrize("filter", WRONG, ids=lambda filter: str(filter)[:30])
def test_a_wrong_filter(streamed: Pair, path: str, filter: Any) -> None:
    messages = [AUTH, {"type": "filter", "filter": filter}]
    oracle, subject = (talk(server, path, ["prefect"], messages, reads=2) for server in (streamed.oracle, streamed.subject))
    assert oracle.pop("closed") is None
    code, reason = subject.pop("closed")
    assert code == 1002 and reason.startswith("Invalid filter: ") and len(reason) <= 123
    assert oracle == subject


@pytest.mark.parametrize("path", [EVENTS, LOGS])
def test_it_is_a_websocket_alone(streamed: Pair, path: str) -> None:
    streamed.check("GET", path)
    streamed.check("POST", path, {})


@contextmanager
def listening(server: Server, path: str, message: Json, protocols: list[str] | None = None) -> Iterator[ClientConnection]:
    """A client that has said what it wants, some time ago."""
    subprotocols = [Subprotocol(name) for name in protocols if name] if protocols != [] else None
    with connect(address(server, path), subprotocols=subprotocols) as socket:
        if subprotocols:
            socket.send(json.dumps(AUTH))
            assert json.loads(socket.recv(timeout=PATIENCE)) == {"type": "auth_success"}
        socket.send(json.dumps(message))
        time.sleep(0.5)
        yield socket


def heard(socket: ClientConnection, most: int = 50) -> list[Json]:
    """What a client is told until it has all, or nothing more comes."""
    messages: list[Json] = []
    while len(messages) < most:
        try:
            messages.append(json.loads(socket.recv(timeout=PATIENCE if not messages else SILENCE)))
        except TimeoutError:
            break
    return messages


def check_heard(
    pair: Pair, path: str, message: Json, act: Callable[[Server], object], view: Callable[[Json], Any], *, most: int = 50
) -> list[Any]:
    """Has a client of each server listen while something is done there, and compares what they are told."""

    def told(server: Server) -> list[Any]:
        with listening(server, path, message, ["prefect"]) as socket:
            act(server)
            return [view(message) for message in heard(socket, most)]

    with ThreadPoolExecutor() as pool:
        oracle, subject = pool.map(told, (pair.oracle, pair.subject))
    assert oracle == subject
    return subject


def happened(name: str, ago: float = 0, **more: Any) -> Json:
    occurred = datetime.now(UTC) - timedelta(seconds=ago)
    return {
        "occurred": occurred.isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": f"resource.{name}", "colour": "red"},
        "related": [],
        "payload": {"n": 1, "ü": [None, 1.5]},
        "id": str(uuid4()),
        **more,
    }


def sending(*events: Json) -> Callable[[Server], object]:
    return lambda server: httpx.post(f"{server.url}/events", json=list(events), timeout=PATIENCE).raise_for_status()


def wanting(prefix: str, **more: Any) -> Json:
    return {"event": {"prefix": [prefix]}, "occurred": {"since": "2020-01-01T00:00:00Z", "until": FAR}, **more}


def without_receipt(message: Json) -> Json:
    assert datetime.fromisoformat(message["event"].pop("received")).tzinfo
    return message


def test_an_event_is_told_as_it_is(streamed: Pair) -> None:
    prefix = f"told.{uuid4().hex}."
    cause = str(uuid4())
    others = [{"prefect.resource.id": "other", "prefect.resource.role": "friend"}]
    events = [happened(f"{prefix}a", related=others, follows=cause), happened(f"{prefix}b"), happened("elsewhere")]
    messages = check_heard(streamed, EVENTS, {"type": "filter", "filter": wanting(prefix)}, sending(*events), without_receipt)
    assert [message["event"]["event"] for message in messages] == [f"{prefix}a", f"{prefix}b"]


FILTERS: dict[str, tuple[Json, list[str]]] = {
    "resource": ({"resource": {"id": ["resource.{prefix}b"]}}, ["b"]),
    "labels": ({"resource": {"labels": {"colour": "blue"}}}, ["c"]),
    "wildcard": ({"resource": {"labels": {"colour": "r*"}}}, ["a", "b"]),
    "negation": ({"resource": {"labels": {"colour": "!red"}}}, ["c"]),
    "text": ({"text": {"query": "needle"}}, ["c"]),
    "nothing": ({"any_resource": {"id": ["nobody"]}}, []),
}


@pytest.mark.parametrize("name", FILTERS)
def test_which_events_are_told(streamed: Pair, name: str) -> None:
    filter, expected = FILTERS[name]
    prefix = f"which.{uuid4().hex}."
    filter = json.loads(json.dumps(filter).replace("{prefix}", prefix))
    resource = {"prefect.resource.id": "blue", "colour": "blue"}
    events = [
        happened(f"{prefix}a"),
        happened(f"{prefix}b"),
        happened(f"{prefix}c", resource=resource, payload={"has": "a needle"}),
    ]
    message = {"type": "filter", "filter": wanting(prefix, **filter)}
    names = check_heard(streamed, EVENTS, message, sending(*events), lambda message: message["event"]["event"])
    assert names == [f"{prefix}{letter}" for letter in expected]


def test_when_events_occurred(streamed: Pair) -> None:
    """What is older than a quarter of an hour is not told, whatever the filter says."""
    prefix = f"when.{uuid4().hex}."
    events = [happened(f"{prefix}{ago}", ago) for ago in (-3600, 0, 600, 1200)]
    message = {"type": "filter", "filter": wanting(prefix)}
    names = check_heard(streamed, EVENTS, message, sending(*events), lambda message: message["event"]["event"])
    assert names == [f"{prefix}-3600", f"{prefix}0", f"{prefix}600"]


@pytest.mark.parametrize("backfill", [{}, {"backfill": True}, {"backfill": False}, {"backfill": None}, {"backfill": 0}, {"backfill": "no"}], ids=str)
def test_what_happened_before(streamed: Pair, backfill: Json) -> None:
    """Told in the order in which it happened, and nothing twice."""
    prefix = f"before.{uuid4().hex}."
    before = [happened(f"{prefix}{ago}", ago) for ago in (0, 60, 30, 1200)]
    for server in (streamed.oracle, streamed.subject):
        sending(*before)(server)
    asked = {"filter": {"event": {"prefix": [prefix]}}}
    streamed.eventually("POST", "/events/filter", asked, until=lambda page: page["total"] == 4, view=lambda page: page["total"])
    message = {"type": "filter", "filter": wanting(prefix, order="DESC"), **backfill}
    names = check_heard(
        streamed, EVENTS, message, sending(happened(f"{prefix}later")), lambda message: message["event"]["event"]
    )
    wanted = [f"{prefix}{ago}" for ago in (60, 30, 0)] if backfill.get("backfill", True) else []
    assert names == [*wanted, f"{prefix}later"]


def test_more_than_a_page_happened_before(streamed: Pair) -> None:
    prefix = f"many.{uuid4().hex}."
    before = [happened(f"{prefix}{n:03}", 600 - n) for n in range(620)]
    for server in (streamed.oracle, streamed.subject):
        for start in range(0, len(before), 100):
            sending(*before[start : start + 100])(server)
    asked = {"filter": {"event": {"prefix": [prefix]}}}
    streamed.eventually("POST", "/events/filter", asked, until=lambda page: page["total"] == 620, view=lambda page: page["total"])
    message = {"type": "filter", "filter": wanting(prefix)}
    names = check_heard(
        streamed, EVENTS, message, lambda server: None, lambda message: message["event"]["event"], most=620
    )
    assert names == [event["event"] for event in before]


def test_a_filter_without_an_end(streamed: Pair) -> None:
    prefix = f"endless.{uuid4().hex}."
    with listening(streamed.subject, EVENTS, {"type": "filter", "filter": {"event": {"prefix": [prefix]}}}, ["prefect"]) as socket:
        sending(happened(f"{prefix}a", -60))(streamed.subject)
        assert [message["event"]["event"] for message in heard(socket, 1)] == [f"{prefix}a"]


def test_what_the_server_does_itself_is_told(streamed: Pair) -> None:
    name = f"told-{uuid4().hex}"
    message = {"type": "filter", "filter": wanting("prefect.variable.")}

    def change(server: Server) -> None:
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as http:
            http.post("/variables/", json={"name": name, "value": 1}).raise_for_status()
            http.patch(f"/variables/name/{name}", json={"value": 2}).raise_for_status()
            http.delete(f"/variables/name/{name}").raise_for_status()

    names = check_heard(streamed, EVENTS, message, change, lambda message: message["event"]["event"])
    assert names == [f"prefect.variable.{verb}" for verb in ("created", "updated", "deleted")]


def test_an_event_that_is_sent_again_is_told_once(streamed: Pair) -> None:
    """The real server tells it again, or loses it."""
    prefix = f"again.{uuid4().hex}."
    event = happened(f"{prefix}a")
    with listening(streamed.subject, EVENTS, {"type": "filter", "filter": wanting(prefix)}, ["prefect"]) as socket:
        for _ in range(3):
            sending(event)(streamed.subject)
        sending(happened(f"{prefix}b"))(streamed.subject)
        assert [message["event"]["event"] for message in heard(socket)] == [f"{prefix}a", f"{prefix}b"]


@pytest.mark.parametrize("path", [EVENTS, LOGS])
def test_what_the_client_says_later_changes_nothing(streamed: Pair, path: str) -> None:
    filter = {"event": {"name": ["nothing"]}} if path == EVENTS else {}
    for server in (streamed.oracle, streamed.subject):
        with listening(server, path, {"type": "filter", "filter": filter}, ["prefect"]) as socket:
            for message in ("hello", json.dumps({"type": "filter", "filter": {"unknown": 1}})):
                socket.send(message)
            assert socket.ping().wait(PATIENCE)
            with pytest.raises(TimeoutError):
                socket.recv(timeout=SILENCE)


@pytest.mark.parametrize("path", [EVENTS, LOGS])
def test_a_client_without_the_subprotocol(streamed: Pair, path: str) -> None:
    check_talk(streamed, path, None, [{"type": "nope"}], reads=1)


def line(level: int, message: str, **more: Any) -> Json:
    return {"name": "logger", "level": level, "message": message, "timestamp": "2026-11-30T00:00:00.000001Z", **more}


def logging(*lines: Json) -> Callable[[Server], object]:
    return lambda server: httpx.post(f"{server.url}/logs/", json=list(lines), timeout=PATIENCE).raise_for_status()


RUN, TASK = str(uuid4()), str(uuid4())
LINES = [
    line(10, "low"),
    line(20, "of the run", flow_run_id=RUN, timestamp="2026-11-30T00:00:00.1Z"),
    line(30, "of the task ü", flow_run_id=RUN, task_run_id=TASK, timestamp="2026-11-30T00:00:00.2Z"),
]
LOG_FILTERS: dict[str, tuple[Json, list[int]]] = {
    "everything": ({}, [0, 1, 2]),
    "level": ({"level": {"ge_": 20}}, [1, 2]),
    "levels": ({"level": {"ge_": 20, "le_": 20}}, [1]),
    "run": ({"flow_run_id": {"any_": [RUN]}}, [1, 2]),
    "no run": ({"flow_run_id": {"any_": []}}, []),
    "task": ({"task_run_id": {"any_": [TASK]}}, [2]),
    "no task": ({"task_run_id": {"is_null_": True}}, [0, 1]),
    "a task": ({"task_run_id": {"is_null_": False}}, [2]),
    "before": ({"timestamp": {"before_": "2026-11-30T00:00:00.1Z"}}, [0, 1]),
    "after": ({"timestamp": {"after_": "2026-11-30T00:00:01Z"}}, []),
}


def without_id(message: Json) -> Json:
    assert message["log"].pop("id")
    return message


@pytest.mark.parametrize("name", LOG_FILTERS)
def test_which_logs_are_told(streamed: Pair, name: str) -> None:
    filter, expected = LOG_FILTERS[name]
    messages = check_heard(streamed, LOGS, {"type": "filter", "filter": filter}, logging(*LINES), without_id)
    assert [message["log"]["message"] for message in messages] == [LINES[place]["message"] for place in expected]


def test_what_is_told_of_a_log_is_what_is_read_later(streamed: Pair) -> None:
    run = str(uuid4())
    wanted = {"flow_run_id": {"any_": [run]}}
    with listening(streamed.subject, LOGS, {"type": "filter", "filter": wanted}, ["prefect"]) as socket:
        logging(line(20, "first", flow_run_id=run), line(20, "second", flow_run_id=run))(streamed.subject)
        told = [message["log"] for message in heard(socket, 2)]
    read = httpx.post(f"{streamed.subject.url}/logs/filter", json={"logs": wanted}).json()
    assert sorted(log["id"] for log in told) == sorted(log["id"] for log in read)


def test_text_searches_of_logs(streamed: Pair) -> None:
    """The real server does not search in what it tells, so that everything is told."""
    wanted = {"type": "filter", "filter": {"text": {"query": "needle"}}}
    with listening(streamed.subject, LOGS, wanted, ["prefect"]) as socket:
        logging(line(20, "hay"), line(20, "a needle"))(streamed.subject)
        assert [message["log"]["message"] for message in heard(socket)] == ["a needle"]


AUTH_STRING = "admin:secret"


@pytest.mark.parametrize("path", [EVENTS, LOGS])
def test_with_a_password(guarded: Pair, path: str) -> None:
    for token in (AUTH_STRING, "wrong", None):
        check_talk(guarded, path, ["prefect"], [{"type": "auth", "token": token}, {"type": "nope"}], reads=2)
    check_talk(guarded, path, None, [{"type": "nope"}], reads=1)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Pair]:
    """Both servers with a password."""
    with asked_side_by_side({"PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING}) as pair:
        yield pair


def test_many_clients_are_told_each_what_it_wants(streamed: Pair) -> None:
    """Some leave before the end."""
    prefix = f"clients.{uuid4().hex}."
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(
                listening(streamed.subject, EVENTS, {"type": "filter", "filter": wanting(f"{prefix}{n % 4}")}, ["prefect"])
            )
            for n in range(12)
        ]
        for socket in sockets[:4]:
            socket.close()
        sending(*(happened(f"{prefix}{n % 4}.{n}") for n in range(40)))(streamed.subject)
        for n, socket in enumerate(sockets[4:]):
            names = [message["event"]["event"] for message in heard(socket, 10)]
            assert names == [f"{prefix}{n % 4}.{m}" for m in range(40) if m % 4 == n % 4]
        with pytest.raises(ConnectionClosed):
            sockets[0].recv(timeout=SILENCE)
