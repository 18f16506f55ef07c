"""The websockets through the emulator's API Gateway: who is told, who is refused, and what becomes of who is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import emulator
import pytest
from conftest import Stack
from emulator import REPOSITORY, client
from test_stack import EVENTUALLY_SECONDS, eventually, request
from websockets import Subprotocol
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

PREFECT = [Subprotocol("prefect")]
FAR = "2100-01-01T00:00:00Z"
TOLD_LIVE_AFTER_SECONDS = 6
SCRIPTS = REPOSITORY / "tests" / "flows" / "scripts"
VERSION = "work_pool_worker_channel.v1"

Json = dict[str, Any]


@contextmanager
def opened(stack: Stack, path: str, token: str | None = None) -> Iterator[ClientConnection]:
    """Opens a websocket, and is let in."""
    with connect(address(stack, path), subprotocols=PREFECT, open_timeout=30) as socket:
        send(socket, {"type": "auth", "token": token or stack.key})
        assert received(socket) == {"type": "auth_success"}
        yield socket


def address(stack: Stack, path: str) -> str:
    return stack.api_url.replace("http://", "ws://") + path


def send(socket: ClientConnection, message: Json) -> None:
    socket.send(json.dumps(message))


def received(socket: ClientConnection, seconds: float = EVENTUALLY_SECONDS) -> Json:
    return json.loads(socket.recv(timeout=seconds))


def event(name: str, resource: str, **payload: Any) -> Json:
    occurred, about = datetime.now(UTC).isoformat(), {"prefect.resource.id": resource}
    return {"id": str(uuid4()), "occurred": occurred, "event": name, "resource": about, "payload": payload}


def emit(stack: Stack, *events: Json) -> None:
    status, _, answer = request(stack, "POST", "/events", list(events))
    assert status == 204, answer


def names(socket: ClientConnection, count: int) -> list[str]:
    return [received(socket)["event"]["event"] for _ in range(count)]


def items(stack: Stack, kind: str) -> list[Json]:
    """Returns the items of the table whose sort keys begin so."""
    table = client(stack.emulator, "dynamodb")
    pages = table.get_paginator("scan").paginate(TableName=stack.outputs["TableName"])
    return [item for page in pages for item in page["Items"] if item["sk"]["S"].startswith(kind)]


def noted(stack: Stack, text: str) -> list[Json]:
    """Returns the notes of who has asked for something, and in whose filter there is this text."""
    return [item for item in items(stack, "listener") if text in item["tail"]["S"]]


def test_a_client_is_told_of_what_happened_before_and_of_what_happens(stack: Stack) -> None:
    kettle = f"kettle.{uuid4()}"
    emit(stack, event("kettle.filled", kettle), event("kettle.cleaned", "another"))
    with opened(stack, "/events/out") as socket:
        send(socket, {"type": "filter", "filter": {"resource": {"id": [kettle]}, "occurred": {"until": FAR}}})
        assert names(socket, 1) == ["kettle.filled"]
        for name in ("kettle.heated", "kettle.whistled", "kettle.emptied"):
            emit(stack, event(name, kettle), event(name, "another"))
        assert sorted(names(socket, 3)) == ["kettle.emptied", "kettle.heated", "kettle.whistled"]
        with pytest.raises(TimeoutError):
            received(socket, seconds=TOLD_LIVE_AFTER_SECONDS)
        emit(stack, event("kettle.found", kettle))
        assert names(socket, 1) == ["kettle.found"]


def test_an_event_is_told_to_whom_its_name_concerns(stack: Stack) -> None:
    prefix = f"p{uuid4().hex}"
    with opened(stack, "/events/out") as all_of_it, opened(stack, "/events/out") as one:
        filters = ((all_of_it, {"prefix": [f"{prefix}."]}), (one, {"name": [f"{prefix}.a.one"]}))
        for socket, filter in filters:
            send(socket, {"type": "filter", "filter": {"event": filter, "occurred": {"until": FAR}}, "backfill": False})
        eventually(lambda: noted(stack, prefix), lambda found: len(found) == 2)
        emit(stack, event(f"{prefix}.a.one", "r"), event(f"{prefix}.a.two", "r"))
        assert names(one, 1) == [f"{prefix}.a.one"]
        assert sorted(names(all_of_it, 2)) == [f"{prefix}.a.one", f"{prefix}.a.two"]


def test_an_event_too_large_for_a_websocket_is_told_without_its_payload(stack: Stack) -> None:
    kettle = f"kettle.{uuid4()}"
    emit(stack, event("kettle.described", kettle, text="x" * 200_000))
    with opened(stack, "/events/out") as socket:
        send(socket, {"type": "filter", "filter": {"resource": {"id": [kettle]}, "occurred": {"until": FAR}}})
        told = received(socket)["event"]
    assert told["event"] == "kettle.described" and "/events/filter" in told["payload"]["proctor.omitted"]


def test_a_client_is_told_of_log_lines(stack: Stack) -> None:
    _, _, flow = request(stack, "POST", "/flows/", {"name": "told of"})
    _, _, run = request(stack, "POST", "/flow_runs/", {"flow_id": flow["id"], "name": "told of"})

    def write(message: str, run_id: str) -> None:
        line = {"name": "a", "level": 20, "message": message, "flow_run_id": run_id}
        status, _, answer = request(stack, "POST", "/logs/", [line | {"timestamp": datetime.now(UTC).isoformat()}])
        assert status == 201, answer

    with opened(stack, "/logs/out") as socket:
        send(socket, {"type": "filter", "filter": {"flow_run_id": {"any_": [run["id"]]}, "level": {"ge_": 20}}})
        eventually(lambda: noted(stack, run["id"]), bool)
        write("told", run["id"])
        write("not told", str(uuid4()))
        write("told too", run["id"])
        assert sorted(received(socket)["log"]["message"] for _ in range(2)) == ["told", "told too"]


def key_of_role(stack: Stack, role: str) -> str:
    status, _, made = request(stack, "POST", "/api_keys", {"name": f"{role} {uuid4()}", "role": role})
    assert status == 201, made
    return made["key"]


TASK_RUNS = "/task_runs/subscriptions/scheduled"


@pytest.mark.parametrize("path", ["/events/out", "/logs/out", TASK_RUNS, "/work_pools/p/workers/connect"])
def test_who_shows_no_key_is_told_why_and_cut(stack: Stack, path: str) -> None:
    reason = "authentication_failed" if "work_pools" in path else "Invalid token"
    with connect(address(stack, path), subprotocols=PREFECT) as socket:
        send(socket, {"type": "auth", "token": "proctor_wrong"})
        assert received(socket) == {"type": "auth_failure", "reason": reason}
        send(socket, {"type": "auth", "token": stack.key})
        with pytest.raises(ConnectionClosed):
            received(socket)
    with pytest.raises(InvalidStatus) as refused:
        connect(address(stack, path))
    assert refused.value.response.status_code == 403


def test_a_key_to_read_opens_what_is_read_alone(stack: Stack) -> None:
    reader = key_of_role(stack, "read-only")
    with opened(stack, "/events/out", reader):
        pass
    with connect(address(stack, TASK_RUNS), subprotocols=PREFECT) as socket:
        send(socket, {"type": "auth", "token": reader})
        assert received(socket) == {"type": "auth_failure", "reason": "The API key's role does not allow this"}


def test_a_path_that_is_no_websocket_is_refused(stack: Stack) -> None:
    websocket, stage = stack.outputs["WebsocketUrl"].removeprefix("wss://").split(".")[0], "websockets"
    url = f"{stack.emulator.url.replace('http', 'ws')}/_aws/execute-api/{websocket}/{stage}?path=%2Fapi%2Fflows"
    value = emulator.origin_value(stack.emulator, stack.outputs)
    with pytest.raises(InvalidStatus) as refused:
        connect(url, subprotocols=PREFECT, additional_headers={emulator.ORIGIN_HEADER: value})
    assert refused.value.response.status_code == 403


def test_a_connection_that_is_gone_is_taken_out_when_something_is_to_be_told(stack: Stack) -> None:
    """A copy of a connection stands for one of which API Gateway has told nobody that it is over."""
    kettle = f"kettle.{uuid4()}"
    table = client(stack.emulator, "dynamodb")
    with opened(stack, "/events/out") as socket:
        filter = {"resource": {"id": [kettle]}, "occurred": {"until": FAR}}
        send(socket, {"type": "filter", "filter": filter, "backfill": False})

        def of_kettle() -> list[Json]:
            there = [*items(stack, "connection"), *items(stack, "listener")]
            return [item for item in there if kettle in json.dumps(item)]

        for item in eventually(of_kettle, lambda found: len(found) == 2):
            real = json.loads(item["head"]["S"])
            id = real.get("connection") or real["id"]
            table.put_item(TableName=stack.outputs["TableName"], Item=json.loads(json.dumps(item).replace(id, "gone")))
        assert len(of_kettle()) == 4
        with pytest.raises(TimeoutError):
            received(socket, seconds=TOLD_LIVE_AFTER_SECONDS)
        emit(stack, event("kettle.boiled", kettle))
        assert names(socket, 1) == ["kettle.boiled"]
        eventually(of_kettle, lambda found: len(found) == 2)
    eventually(of_kettle, lambda found: found == [])


@contextmanager
def prefect(stack: Stack, python: Path, home: Path, *command: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Runs a script with the unmodified client until the end of the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(home), "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
    environment |= {"PREFECT_API_URL": stack.api_url, "PREFECT_API_AUTH_STRING": stack.key}
    with (home / f"{uuid4()}.log").open("w+") as log:
        process = subprocess.Popen([python, *command], env=environment, stdout=log, stderr=subprocess.STDOUT, text=True)
        try:
            yield process
        except BaseException:
            log.seek(0)
            print(log.read()[-6000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(60)


SUBSCRIBER = """
import asyncio, sys
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventResourceFilter

async def main():
    async with get_events_subscriber(filter=EventFilter(resource=EventResourceFilter(id=[sys.argv[1]]))) as subscriber:
        async for event in subscriber:
            with open(sys.argv[2], "a") as told:
                print(event.event, file=told)

asyncio.run(main())
"""


def test_the_unmodified_client_hears_of_events(stack: Stack, prefect_python: Path, tmp_path: Path) -> None:
    kettle, told = f"kettle.{uuid4()}", tmp_path / "told"
    emit(stack, event("kettle.filled", kettle))
    with prefect(stack, prefect_python, tmp_path, "-c", SUBSCRIBER, kettle, told):
        eventually(told.exists, bool, seconds=60)
        emit(stack, event("kettle.boiled", kettle))
        eventually(lambda: told.read_text().split(), lambda found: found == ["kettle.filled", "kettle.boiled"])


def test_background_tasks_are_run_by_the_unmodified_client(stack: Stack, prefect_python: Path, tmp_path: Path) -> None:
    """Some runs wait before anybody serves, and some come when the workers are free."""
    notes, script = tmp_path / "notes", SCRIPTS / "background.py"

    def delay(count: int) -> None:
        with prefect(stack, prefect_python, tmp_path, script, "delay", str(count), notes) as process:
            assert process.wait(180) == 0

    delay(3)
    def noted_numbers() -> list[str]:
        return notes.read_text().split() if notes.exists() else []

    serve = (stack, prefect_python, tmp_path, script, "serve")
    with prefect(*serve), prefect(*serve):
        eventually(noted_numbers, lambda found: len(found) >= 3, seconds=120)
        delay(4)
        eventually(noted_numbers, lambda found: len(found) >= 7, seconds=120)
        _, _, workers = request(stack, "POST", "/task_workers/filter", {"task_worker_filter": {"task_keys": []}})
        assert len(workers) == 2
    assert sorted(map(int, noted_numbers())) == [0, 0, 1, 1, 2, 2, 3]


def schedule(stack: Stack, task_key: str) -> str:
    state = {"type": "SCHEDULED", "state_details": {"deferred": True}}
    body = {"task_key": task_key, "dynamic_key": str(uuid4()), "state": state}
    status, _, run = request(stack, "POST", "/task_runs/", body)
    assert status in (200, 201), run
    return run["id"]


def subscribe(socket: ClientConnection, task_key: str) -> None:
    send(socket, {"type": "subscribe", "keys": [task_key], "client_id": f"worker {uuid4()}"})


def test_a_run_that_is_not_acknowledged_goes_to_another_worker(stack: Stack) -> None:
    task_key, path = f"task-{uuid4()}", TASK_RUNS
    first, second = schedule(stack, task_key), schedule(stack, task_key)
    with opened(stack, path) as other:
        with opened(stack, path) as socket:
            subscribe(socket, task_key)
            assert received(socket)["id"] == first
            subscribe(other, task_key)
            assert received(other)["id"] == second
            send(other, {"type": "ack"})
        # The first worker is gone without a word about its run.
        assert received(other)["id"] == first
        send(other, {"type": "ack"})
        third = schedule(stack, task_key)
        assert received(other)["id"] == third


def frame(kind: str, payload: Json) -> Json:
    return {"type": kind, "id": str(uuid4()), "sent_at": datetime.now(UTC).isoformat(), "payload": payload}


def hello(consumer: str) -> Json:
    return frame("worker.hello.v1", {
        "consumer_id": consumer, "worker_name": "a worker", "worker_type": "process", "heartbeat_interval_seconds": 30,
        "supported_channel_versions": [VERSION],
        "requested_capabilities": ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
        "create_pool_if_not_found": True,
    })


def test_a_worker_s_channel(stack: Stack) -> None:
    pool, consumer = f"my pool {uuid4()}", str(uuid4())
    encoded = pool.replace(" ", "%20")
    with opened(stack, f"/work_pools/{encoded}/workers/connect") as socket:
        send(socket, hello(consumer))
        ready = received(socket)
        assert (ready["type"], ready["payload"]["initial_snapshot"]["work_pool"]["name"]) == ("worker.ready.v1", pool)
        beats = {"consumer_id": consumer, "worker_name": "a worker", "heartbeat_interval_seconds": 30}
        before = worker(stack, encoded)["last_heartbeat_time"]
        send(socket, frame("worker.heartbeat.v1", beats))
        eventually(lambda: worker(stack, encoded)["last_heartbeat_time"], lambda seen: seen > before)
        status, _, _ = request(stack, "PATCH", f"/work_pools/{encoded}", {"concurrency_limit": 7})
        assert status == 204
        told = received(socket)
        assert (told["type"], told["payload"]["work_pool"]["concurrency_limit"]) == ("work_pool.snapshot.v1", 7)
        status, _, _ = request(stack, "DELETE", f"/work_pools/{encoded}")
        assert status == 204
        assert received(socket) == {"type": "auth_failure", "reason": "authorization_failed"}
        with pytest.raises(ConnectionClosed):
            received(socket)


def test_a_worker_of_the_unmodified_client_has_a_channel(stack: Stack, prefect_python: Path, tmp_path: Path) -> None:
    pool = f"pool-{uuid4()}"

    def channels() -> list[Json]:
        return [item for item in items(stack, "connection") if pool in item["head"]["S"] and "tail" in item]

    start = ("-m", "prefect", "worker", "start", "--pool", pool, "--type", "process", "--name", "a worker")
    with prefect(stack, prefect_python, tmp_path, *start):
        eventually(channels, lambda found: len(found) == 1, seconds=90)
        before = worker(stack, pool)["last_heartbeat_time"]
        eventually(lambda: worker(stack, pool)["last_heartbeat_time"], lambda seen: seen > before, seconds=60)
        assert len(channels()) == 1, "its heartbeats are taken"
    eventually(channels, lambda found: found == [])


def worker(stack: Stack, pool: str) -> Json:
    _, _, [found] = request(stack, "POST", f"/work_pools/{pool}/workers/filter", {})
    return found
