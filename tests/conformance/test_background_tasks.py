"""The websocket `/task_runs/subscriptions/scheduled`: background task runs are handed to workers, each to one.

The real server keeps the queue in its memory, and loses the run of a worker that says that it leaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from .conftest import asked_side_by_side
from .side_by_side import Pair, Server
from .sockets import AUTH, address, check_talk

Json = dict[str, Any]

PATH = "/task_runs/subscriptions/scheduled"
PATIENCE = 10.0
SILENCE = 1.5
AUTH_STRING = "admin:secret"


@pytest.mark.parametrize(
    "first",
    [
        {"type": "hello"},
        {},
        [],
        5,
        "not json",
        {"type": "subscribe"},
        {"type": "subscribe", "keys": []},
        {"type": "subscribe", "keys": None, "client_id": "c"},
        {"type": "subscribe", "keys": ["a"]},
        {"type": "subscribe", "keys": ["a"], "client_id": ""},
        {"type": "subscribe", "keys": ["a"], "client_id": None},
    ],
    ids=str,
)
def test_first_message(pair: Pair, first: Any) -> None:
    check_talk(pair, PATH, ["prefect"], [AUTH, first], reads=2)


def test_it_is_a_websocket_alone(pair: Pair) -> None:
    pair.check("GET", PATH)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Pair]:
    """Both servers with a password."""
    with asked_side_by_side({"PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING}) as pair:
        yield pair


@pytest.mark.parametrize("token", [AUTH_STRING, "wrong", None])
def test_with_a_password(guarded: Pair, token: Any) -> None:
    check_talk(guarded, PATH, ["prefect"], [{"type": "auth", "token": token}, {"type": "hello"}], reads=2)


@contextmanager
def worker(server: Server, *keys: str, client_id: str = "") -> Iterator[ClientConnection]:
    """A worker that has subscribed to the runs of some tasks."""
    with connect(address(server, PATH), subprotocols=[Subprotocol("prefect")]) as socket:
        socket.send(json.dumps(AUTH))
        assert json.loads(socket.recv(timeout=PATIENCE)) == {"type": "auth_success"}
        socket.send(json.dumps({"type": "subscribe", "keys": keys, "client_id": client_id or f"worker-{uuid4().hex}"}))
        yield socket


def delay(server: Server, key: str, name: str = "", **details: Any) -> str:
    """Schedules a run of a background task, as `.delay()` does; returns its id."""
    state = {"type": "SCHEDULED", "name": "Scheduled", "state_details": {"deferred": True, **details}}
    body = {"name": name or f"run-{uuid4().hex[:6]}", "task_key": key, "dynamic_key": str(uuid4()), "state": state}
    answer = httpx.post(f"{server.url}/task_runs/", json=body, timeout=PATIENCE)
    answer.raise_for_status()
    id: str = answer.json()["id"]
    return id


def received(socket: ClientConnection, *, answer: Any = {"type": "ack"}, seconds: float = PATIENCE) -> Json | None:
    try:
        run: Json = json.loads(socket.recv(timeout=seconds))
    except TimeoutError:
        return None
    if answer is not None:
        socket.send(answer if isinstance(answer, str) else json.dumps(answer))
    return run


def both(pair: Pair, act: Any) -> Any:
    """Does the same on both servers, and compares what comes of it."""
    with ThreadPoolExecutor() as pool:
        oracle, subject = pool.map(act, (pair.oracle, pair.subject))
    assert oracle == subject
    return subject


def test_a_run_is_handed_out_as_it_is_read(pair: Pair) -> None:
    def act(server: Server) -> Json:
        key = f"key-{uuid4().hex}"
        with worker(server, "another", key) as socket:
            id = delay(server, key, "described", task_parameters_id=str(uuid4()))
            run = received(socket)
            assert run and run["id"] == id and run["task_key"] == key
            read = httpx.get(f"{server.url}/task_runs/{id}").json()
            made_up = {"id", "created", "updated", "dynamic_key", "task_key", "state_id", "expected_start_time"}
            made_up |= {"next_scheduled_start_time"}
            assert {name: run[name] for name in made_up} == {name: read[name] for name in made_up}
            state = run["state"]
            details = {name: value for name, value in state["state_details"].items() if not name.endswith(("_id", "_time"))}
            plain = {name: value for name, value in run.items() if name not in made_up | {"state"} and "estimated" not in name}
            return plain | {"type": state["type"], "details": details}

    both(pair, act)


def test_the_oldest_goes_first_and_each_to_one_worker(pair: Pair) -> None:
    def act(server: Server) -> list[str]:
        key = f"key-{uuid4().hex}"
        for n in range(6):
            delay(server, key, f"run-{n}")
        with worker(server, key) as one, worker(server, key) as other:
            names = []
            for socket in (one, other) * 4:
                run = received(socket, seconds=SILENCE)
                names += [run["name"]] if run else []
        return sorted(names)

    assert both(pair, act) == [f"run-{n}" for n in range(6)]


def test_what_is_not_deferred_is_not_handed_out(pair: Pair) -> None:
    def act(server: Server) -> Json | None:
        key = f"key-{uuid4().hex}"
        with worker(server, key) as socket:
            body = {"name": "n", "task_key": key, "dynamic_key": "1", "state": {"type": "SCHEDULED"}}
            httpx.post(f"{server.url}/task_runs/", json=body).raise_for_status()
            return received(socket, seconds=SILENCE)

    assert both(pair, act) is None


def test_a_retry_goes_first(pair: Pair) -> None:
    """By `set_state`, which queues too."""

    def act(server: Server) -> list[str]:
        key = f"key-{uuid4().hex}"
        again = delay(server, key, "again")
        with worker(server, key) as socket:
            received(socket)
            for type, more in (("RUNNING", {}), ("SCHEDULED", {"name": "AwaitingRetry", "state_details": {"deferred": True}})):
                if type == "SCHEDULED":
                    first = delay(server, key, "waiting")
                    assert first
                body = {"state": {"type": type, **more}, "force": False}
                httpx.post(f"{server.url}/task_runs/{again}/set_state", json=body).raise_for_status()
        with worker(server, key) as socket:
            return sorted(run["name"] for run in (received(socket), received(socket)) if run)

    assert both(pair, act) == ["again", "waiting"]


@pytest.mark.parametrize("leaves", [None, {"type": "nack"}], ids=["gone", "violation"])
def test_what_is_not_acknowledged_goes_to_another(pair: Pair, leaves: Any) -> None:
    def act(server: Server) -> bool:
        key = f"key-{uuid4().hex}"
        id = delay(server, key)
        with worker(server, key) as socket:
            run = received(socket, answer=leaves)
            assert run and run["id"] == id
            if leaves:
                with pytest.raises(ConnectionClosed):
                    socket.recv(timeout=PATIENCE)
        with worker(server, key) as socket:
            run = received(socket)
            return run is not None and run["id"] == id

    assert both(pair, act)


def test_a_worker_that_leaves_gives_its_run_back(pair: Pair) -> None:
    """The real server loses it until it is started again."""
    key = f"key-{uuid4().hex}"
    id = delay(pair.subject, key)
    with worker(pair.subject, key) as socket:
        received(socket, answer={"type": "quit"})
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=PATIENCE)
        assert closed.value.rcvd and closed.value.rcvd.code == 1000
    with worker(pair.subject, key) as socket:
        run = received(socket)
        assert run and run["id"] == id


def test_what_is_acknowledged_goes_to_nobody_else(pair: Pair) -> None:
    def act(server: Server) -> Json | None:
        key = f"key-{uuid4().hex}"
        delay(server, key)
        with worker(server, key) as socket:
            assert received(socket)
        with worker(server, key) as socket:
            return received(socket, seconds=SILENCE)

    assert both(pair, act) is None


def test_what_has_gone_on_is_not_handed_out(pair: Pair) -> None:
    """The real server hands it out all the same."""
    key = f"key-{uuid4().hex}"
    gone, cancelled, waits = (delay(pair.subject, key) for _ in range(3))
    httpx.delete(f"{pair.subject.url}/task_runs/{gone}").raise_for_status()
    body = {"state": {"type": "CANCELLED"}, "force": True}
    httpx.post(f"{pair.subject.url}/task_runs/{cancelled}/set_state", json=body).raise_for_status()
    with worker(pair.subject, key) as socket:
        run = received(socket)
        assert run and run["id"] == waits
        assert received(socket, seconds=SILENCE) is None


def test_workers_are_known_while_they_are_there(pair: Pair) -> None:
    def act(server: Server) -> list[Json]:
        key, client = f"key-{uuid4().hex}", f"client-{uuid4().hex}"
        wanted = {"task_worker_filter": {"task_keys": [key]}}

        def known(until: bool) -> list[Json]:
            for _ in range(100):
                found: list[Json] = httpx.post(f"{server.url}/task_workers/filter", json=wanted).json()
                if bool(found) == until:
                    break
            return found

        with worker(server, key, client_id=client):
            [found] = known(True)
            assert (found["identifier"], found["task_keys"]) == (client, [key])
        return known(False)

    assert both(pair, act) == []
