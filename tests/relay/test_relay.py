"""The unmodified client before the relay: what API Gateway can't carry, and what becomes of clients when the relay ends."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from conftest import PASSWORD, SECRET, World
from prefect.events import Event
from prefect.events.clients import get_events_client, get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.logging.clients import get_logs_subscriber
from servers import clean_environment
from websockets import Subprotocol
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

SECONDS = 40
LARGE = 600_000
SCRIPTS = Path(__file__).resolve().parent.parent / "flows" / "scripts"

Json = dict[str, Any]


def eventually(read: Callable[[], Any], is_right: Callable[[Any], bool], seconds: float = SECONDS) -> Any:
    deadline = time.monotonic() + seconds
    while not is_right(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


def event(name: str, **payload: Any) -> Event:
    resource = {"prefect.resource.id": f"kettle.{uuid4()}"}
    return Event(occurred=datetime.now(UTC), event=name, resource=resource, payload=payload, id=uuid4())


def named(name: str) -> EventFilter:
    return EventFilter(event=EventNameFilter(name=[name]))


def opened(world: World, path: str) -> ClientConnection:
    """Opens a websocket, and is let in."""
    address = world.api_url.replace("http://", "ws://") + path
    socket = connect(address, subprotocols=[Subprotocol("prefect")], open_timeout=30, max_size=None)
    socket.send(json.dumps({"type": "auth", "token": PASSWORD}))
    assert json.loads(socket.recv(timeout=SECONDS)) == {"type": "auth_success"}
    return socket


def newest(world: World, before: dict[str, bool]) -> str:
    [added] = world.connections().keys() - before.keys()
    return added


def test_a_large_event_gets_in_and_out_of_the_unmodified_client_s_websockets(client: World) -> None:
    name = f"kettle.{uuid4()}"

    async def talk() -> list[Event]:
        async with get_events_subscriber(filter=named(name)) as subscriber:
            async with get_events_client() as events:
                for number, size in enumerate([1, LARGE, 1]):
                    await events.emit(event(name, number=number, text="x" * size))
            return [await asyncio.wait_for(anext(subscriber), SECONDS) for _ in range(3)]

    told = asyncio.run(talk())
    sizes = {one.payload["number"]: len(one.payload["text"]) for one in told}
    assert sizes == {0: 1, 1: LARGE, 2: 1}
    answer = client.request("POST", "/events/filter", json={"filter": {"event": {"name": [name]}}}).json()
    assert sorted(len(one["payload"]["text"]) for one in answer["events"]) == [1, 1, LARGE]


def test_logs_are_told_as_they_come(client: World) -> None:
    flow_run = uuid4()
    line = {"name": "a", "level": 20, "timestamp": datetime.now(UTC).isoformat(), "flow_run_id": str(flow_run)}

    async def talk() -> list[str]:
        from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

        wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run]))
        async with get_logs_subscriber(filter=wanted) as subscriber:
            for message in ("one", "y" * 200_000):
                answer = client.request("POST", "/logs/", json=[line | {"message": message}])
                assert answer.status_code == 201
            return [(await asyncio.wait_for(anext(subscriber), SECONDS)).message for _ in range(2)]

    assert sorted(map(len, asyncio.run(talk()))) == [3, 200_000]


def run(world: World, home: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    environment = clean_environment(home) | {"PREFECT_API_URL": world.api_url, "PREFECT_API_AUTH_STRING": PASSWORD}
    with (home / "log").open("ab") as log:
        command = [sys.executable, *map(str, arguments)]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)


def ended(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def cut(world: World, connection: str) -> int:
    """Cuts a connection, as a function does."""
    place = f"http://127.0.0.1:{world.relay}/relay/@connections/{connection}"
    return httpx.delete(place, headers={"x-proctor-relay": SECRET}).status_code


def test_background_tasks_are_handed_to_workers(client: World, tmp_path: Path) -> None:
    notes, script, before = tmp_path / "notes", SCRIPTS / "background.py", client.connections()
    worker = run(client, tmp_path, script, "serve")
    try:
        assert run(client, tmp_path, script, "delay", "5", notes).wait(120) == 0
        read = lambda: notes.read_text().split() if notes.exists() else []  # noqa: E731
        eventually(read, lambda found: len(found) >= 5, seconds=90)
        known = client.connections()
        own = [name for name in known.keys() - before.keys() if known[name]]
        assert 204 in [cut(client, name) for name in own]
        assert run(client, tmp_path, script, "delay", "2", notes).wait(120) == 0
        eventually(read, lambda found: len(found) >= 7, seconds=90)
        assert sorted(read()) == sorted([*"01234", *"01"]), "each runs once"
        assert worker.poll() is None, "a worker that is cut comes again"
    finally:
        ended(worker)


def test_a_worker_of_a_pool_has_a_channel(client: World, tmp_path: Path) -> None:
    pool, before = f"pool-{uuid4()}", client.connections()
    worker = run(client, tmp_path, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process", "--name", "a")

    def status() -> list[str]:
        answer = client.request("POST", f"/work_pools/{pool}/workers/filter", json={})
        return [one["status"] for one in answer.json()] if answer.status_code == 200 else []

    def held() -> list[bool]:
        return [is_there for name, is_there in client.connections().items() if name not in before]

    try:
        eventually(status, lambda found: found == ["ONLINE"], seconds=90)
        eventually(held, any)
    finally:
        ended(worker)
    eventually(held, lambda found: not any(found))


def listening(world: World, name: str) -> ClientConnection:
    """Opens a websocket that is told of the events of this name, and has been told of one."""
    socket = opened(world, "/events/out")
    wanted = {"event": {"name": [name]}, "occurred": {"until": "2100-01-01T00:00:00Z"}}
    socket.send(json.dumps({"type": "filter", "filter": wanted}))
    happens(world, name, 1)
    assert json.loads(socket.recv(timeout=SECONDS))["event"]["payload"] == {"number": 1}
    return socket


def happens(world: World, name: str, number: int) -> None:
    answer = world.request("POST", "/events", json=[event(name, number=number).model_dump(mode="json")])
    assert answer.status_code == 204


def test_a_relay_that_ends_sends_clients_away_and_who_comes_again_is_told_what_it_missed(client: World) -> None:
    name, before = f"kettle.{uuid4()}", client.connections()
    socket = listening(client, name)
    own = newest(client, before)
    ending = threading.Thread(target=client.stop_relay, args=[signal.SIGTERM])
    ending.start()
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=SECONDS)
    ending.join()
    assert closed.value.rcvd.code == 1012
    assert not client.connections()[own], "its end was told"
    happens(client, name, 2)
    client.start_relay()

    async def come_again() -> list[int]:
        async with get_events_subscriber(filter=named(name)) as subscriber:
            return [(await asyncio.wait_for(anext(subscriber), SECONDS)).payload["number"] for _ in range(2)]

    assert asyncio.run(come_again()) == [1, 2]


def test_a_relay_that_dies_leaves_connections_that_are_gone_at_the_first_message(client: World) -> None:
    name, before = f"kettle.{uuid4()}", client.connections()
    socket = listening(client, name)
    old = newest(client, before)
    client.stop_relay(signal.SIGKILL)
    with pytest.raises(ConnectionClosed):
        socket.recv(timeout=SECONDS)
    client.start_relay()
    assert client.connections()[old], "nobody has told of its end"
    happens(client, name, 2)
    eventually(lambda: client.connections()[old], lambda is_there: not is_there)


def test_who_does_not_know_the_secret_reaches_no_client(client: World) -> None:
    before = client.connections()
    with opened(client, "/events/out") as socket:
        place = f"http://127.0.0.1:{client.relay}/relay/@connections/{newest(client, before)}"
        for shown in ({}, {"x-proctor-relay": "a guess"}, {"x-proctor-relay": SECRET[:-1]}):
            for method in ("POST", "GET", "DELETE"):
                assert httpx.request(method, place, headers=shown, content=b"a lie").status_code == 403
        right = {"x-proctor-relay": SECRET}
        assert httpx.post(place, headers=right, content=b"the truth").status_code == 200
        assert socket.recv(timeout=SECONDS) == "the truth"


def test_who_has_the_wrong_password_hears_why_and_is_sent_away(client: World) -> None:
    address = client.api_url.replace("http://", "ws://") + "/events/in"
    before = client.connections()
    with connect(address, subprotocols=[Subprotocol("prefect")]) as socket:
        socket.send(json.dumps({"type": "auth", "token": "wrong"}))
        assert json.loads(socket.recv(timeout=SECONDS))["type"] == "auth_failure"
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=SECONDS)
    assert closed.value.rcvd.code == 1008
    assert not client.connections()[newest(client, before)]


def test_a_frame_of_more_than_a_function_takes_is_closed_as_too_large(client: World) -> None:
    socket = opened(client, "/events/in")
    with pytest.raises(ConnectionClosed) as closed:
        socket.send("x" * (6 * 1024 * 1024 + 1))
        socket.recv(timeout=SECONDS)
    assert closed.value.rcvd.code == 1009


def test_no_secret_is_in_the_relay_s_log(client: World) -> None:
    log = client.log("relay")
    assert "the relay is ready" in log
    for secret in (SECRET, "a password", "xxxx", "auth_success"):
        assert secret not in log
