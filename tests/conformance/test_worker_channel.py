"""The websocket `/work_pools/{name}/workers/connect`: the channel between a worker and the server.

The same conversations are held with both servers. Of the ids and times that a server makes up it only matters that they are
there.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
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
from .side_by_side import MISSING, Pair, Request, Server
from .sockets import AUTH, address, check_talk, talk

Json = dict[str, Any]

PATIENCE = 10.0
# How long a server may take to say something that it should not.
SILENCE = 1.0
AUTH_STRING = "admin:secret"
VERSION = "work_pool_worker_channel.v1"
REQUIRED = ["worker_heartbeat.v1", "work_pool_snapshot.v1"]
CLEANUP = {
    "requested_capabilities": [*REQUIRED, "cleanup_delivery.v1"],
    "handled_cleanup_kinds": ["cancelling_timeout_teardown.v1"],
}
CONSUMER = str(uuid4())
TEMPLATE = {
    "job_configuration": {"command": "{{ command }}"},
    "variables": {"properties": {"command": {"type": "string"}}},
}
ABSENT = object()


def without_ids(text: str) -> str:
    """For a test's name, which is the same in every session."""
    return re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)


def path(pool: str) -> str:
    return f"/work_pools/{pool}/workers/connect"


def frame(kind: str, payload: Any, **more: Any) -> Json:
    made = {"type": kind, "id": str(uuid4()), "sent_at": "2026-01-31T09:30:00Z", "payload": payload} | more
    return {name: value for name, value in made.items() if value is not ABSENT}


def hello(**changes: Any) -> Json:
    payload = {
        "consumer_id": CONSUMER,
        "worker_name": "a worker",
        "worker_type": "process",
        "heartbeat_interval_seconds": 30,
        "supported_channel_versions": [VERSION],
        "requested_capabilities": REQUIRED,
    } | changes
    return frame("worker.hello.v1", {name: value for name, value in payload.items() if value is not ABSENT})


def heartbeat(**changes: Any) -> Json:
    payload = {"consumer_id": CONSUMER, "worker_name": "a worker", "heartbeat_interval_seconds": 30} | changes
    return frame("worker.heartbeat.v1", {name: value for name, value in payload.items() if value is not ABSENT})


def operation(kind: str, message: Json | None = None, **changes: Any) -> Json:
    """What a worker does with a cleanup; by default with one that there never was."""
    known = message["payload"] if message else {"message_id": str(uuid4()), "reservation_token": "token"}
    payload = {"message_id": known["message_id"], "reservation_token": known["reservation_token"]} | changes
    return frame(f"cleanup.{kind}.v1", payload)


MADE_UP = {"id", "message_id", "reservation_token", "default_queue_id", "work_queue_id", "request_frame_id"}
MADE_UP |= {"flow_run_id"}
TIMES = {"sent_at", "created", "updated", "lease_expires_at"}


def comparable(value: Any, name: str = "") -> Any:
    """Leaves out what a server makes up."""
    if isinstance(value, dict):
        return {name: comparable(value, name) for name, value in value.items()}
    if isinstance(value, list | tuple):
        return [comparable(value) for value in value]
    if name in MADE_UP and isinstance(value, str):
        return "made up"
    if name in TIMES and isinstance(value, str):
        assert value.endswith("Z"), value
        return "a time"
    return value


def both(pair: Pair, act: Callable[[Server], Any]) -> Any:
    """Does the same on both servers, and compares what comes of it."""
    with ThreadPoolExecutor() as pool:
        oracle, subject = pool.map(lambda server: comparable(patiently(server, act)), (pair.oracle, pair.subject))
    assert subject == oracle
    return subject


def patiently(server: Server, act: Callable[[Server], Any]) -> Any:
    """Does it again where the real server has failed for its database, which is locked when it has much to do."""
    for _ in range(5 if server.is_oracle else 0):
        try:
            done = act(server)
        except ConnectionClosed as closed:
            if not closed.rcvd or closed.rcvd.code != 1011:
                raise
        else:
            if "heartbeat_persistence_failed" not in str(done):
                return done
    return act(server)


@contextmanager
def socket_of(server: Server, pool: str, first: Json | None = None) -> Iterator[tuple[ClientConnection, Json]]:
    """A worker's channel, with what it is told first."""
    with connect(address(server, path(pool)), subprotocols=[Subprotocol("prefect")]) as socket:
        socket.send(json.dumps(AUTH))
        assert json.loads(socket.recv(timeout=PATIENCE)) == {"type": "auth_success"}
        socket.send(json.dumps(first or hello()))
        yield socket, json.loads(socket.recv(timeout=PATIENCE))


def told(socket: ClientConnection, seconds: float = PATIENCE) -> Any:
    """What the worker is told next: a frame, how the channel closes, or nothing."""
    try:
        return json.loads(socket.recv(timeout=seconds))
    except TimeoutError:
        return None
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else "dropped"


def answer_of(server: Server, method: str, path: str, body: Any = MISSING) -> httpx.Response:
    """Sends a request, again if the real server has too much to do."""
    return server.send(Request(method, path, body))


def ask(server: Server, method: str, path: str, body: Any = MISSING) -> Any:
    """Sends a request that is to succeed, and returns what was answered."""
    answer = answer_of(server, method, path, body).raise_for_status()
    return answer.json() if answer.content else None


def make_pool(server: Server, **more: Any) -> str:
    name = f"pool-{uuid4().hex}"
    body = {"name": name, "type": "process", "base_job_template": {}} | more
    ask(server, "POST", "/work_pools/", body)
    return name


def change(server: Server, pool: str, **body: Any) -> None:
    ask(server, "PATCH", f"/work_pools/{pool}", body)


# --- the handshake ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [{"type": "hello"}, {}, [], 5, "not json", b"{}", {"type": "auth", "token": "whatever"}],
    ids=str,
)
def test_auth_message(pair: Pair, first: Any) -> None:
    check_talk(pair, path("nothing"), ["prefect"], [first], reads=1)


def test_without_the_subprotocol(pair: Pair) -> None:
    check_talk(pair, path("nothing"), None, [AUTH], reads=1)
    check_talk(pair, path("nothing"), ["other"], [AUTH], reads=1)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_else_is_at_its_path(pair: Pair, method: str) -> None:
    """A worker may be called `connect`, and be deleted."""
    pair.check(method, path("nothing"))


def test_a_worker_called_connect_can_be_deleted(pair: Pair) -> None:
    def act(server: Server) -> list[int]:
        pool = make_pool(server)
        ask(server, "POST", f"/work_pools/{pool}/workers/heartbeat", {"name": "connect"})
        return [answer_of(server, "DELETE", path(pool)).status_code for _ in range(2)]

    assert both(pair, act) == [204, 404]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Pair]:
    """Both servers with a password."""
    with asked_side_by_side({"PREFECT_SERVER_API_AUTH_STRING": AUTH_STRING}) as pair:
        yield pair


@pytest.mark.parametrize("token", [AUTH_STRING, "wrong", "", None, 5, "ü"], ids=str)
def test_with_a_password(guarded: Pair, token: Any) -> None:
    check_talk(guarded, path("nothing"), ["prefect"], [{"type": "auth", "token": token}, {}], reads=2)


def test_with_a_password_and_without_the_subprotocol(guarded: Pair) -> None:
    check_talk(guarded, path("nothing"), None, [{"type": "auth", "token": AUTH_STRING}], reads=1)


# --- hello -----------------------------------------------------------------------------------------------

WRONG = [
    "not json",
    "",
    b"{}",
    None,
    5,
    [],
    {},
    {"type": None},
    {"type": "worker.hello.v2"},
    heartbeat(),
    frame("worker.ready.v1", {}),
    hello() | {"id": "no id"},
    hello() | {"sent_at": "no time"},
    hello() | {"more": 1},
    hello() | {"payload": []},
    frame("worker.hello.v1", ABSENT),
    hello(more=1),
    hello(consumer_id=ABSENT),
    hello(consumer_id=5),
    hello(worker_name=""),
    hello(worker_name=None),
    hello(worker_type=""),
    hello(heartbeat_interval_seconds=0),
    hello(heartbeat_interval_seconds=-1),
    hello(heartbeat_interval_seconds=1.5),
    hello(heartbeat_interval_seconds="x"),
    hello(heartbeat_interval_seconds=None),
    hello(supported_channel_versions=[]),
    hello(supported_channel_versions=[""]),
    hello(supported_channel_versions=VERSION),
    hello(supported_channel_versions=["work_pool_worker_channel.v2"]),
    hello(requested_capabilities=[]),
    hello(requested_capabilities=REQUIRED[:1]),
    hello(requested_capabilities={}),
    hello(work_queue_names=[""]),
    hello(work_queue_names=None),
    hello(handled_cleanup_kinds=["cancelling_timeout_teardown.v1"]),
    hello(max_cleanup_concurrency=1),
    hello(**CLEANUP | {"handled_cleanup_kinds": ["other"]}),
    hello(**CLEANUP, max_cleanup_concurrency=-1),
    hello(**CLEANUP, max_cleanup_concurrency=None),
    hello(create_pool_if_not_found="perhaps"),
    hello(default_base_job_template=[]),
    hello(default_base_job_template=None),
    hello(worker_metadata=[]),
    hello(),
    hello(create_pool_if_not_found=True, work_queue_names=["other"]),
    hello(create_pool_if_not_found=True, default_base_job_template={"x": 1}),
    hello(create_pool_if_not_found=True, supported_channel_versions=["other"]),
    hello(
        create_pool_if_not_found=True,
        default_base_job_template={
            "job_configuration": {"command": "{{ command }}"},
            "variables": {"properties": {"command": {"type": "string", "default": 5}}},
        },
    ),
]


@pytest.mark.parametrize("first", WRONG, ids=lambda first: without_ids(str(first))[:80])
def test_a_hello_that_is_refused(pair: Pair, first: Any) -> None:
    """It leaves nothing behind."""

    def act(server: Server) -> tuple[Any, int]:
        pool = f"pool-{uuid4().hex}"
        seen = talk(server, path(pool), ["prefect"], [AUTH, first], reads=2)
        return seen, answer_of(server, "GET", f"/work_pools/{pool}").status_code

    seen, status = both(pair, act)
    assert "closed" in seen and status == 404


@pytest.mark.parametrize("pool", ["Prefect-managed", "prefect", "a%25b"])
def test_a_pool_that_may_not_be_made(pair: Pair, pool: str) -> None:
    check_talk(pair, path(pool), ["prefect"], [AUTH, hello(create_pool_if_not_found=True)], reads=2)


RIGHT = [
    hello(),
    hello() | {"sent_at": 0},
    hello(heartbeat_interval_seconds="7"),
    hello(heartbeat_interval_seconds=True),
    hello(consumer_id=CONSUMER.upper().replace("-", "")),
    hello(worker_metadata={"integrations": []}),
    hello(worker_metadata=None),
    hello(supported_channel_versions=["another", VERSION]),
    hello(requested_capabilities=[*REQUIRED, "other", "other", REQUIRED[0], "cleanup_delivery.v1"]),
    hello(work_queue_names=["default", "default"]),
    hello(create_pool_if_not_found="yes", default_base_job_template=TEMPLATE),
    hello(**CLEANUP),
    hello(**CLEANUP, max_cleanup_concurrency=0),
    hello(**CLEANUP, max_cleanup_concurrency=5),
    hello(**CLEANUP | {"handled_cleanup_kinds": []}, max_cleanup_concurrency=5),
]


@pytest.mark.parametrize("first", RIGHT, ids=lambda first: json.dumps(first["payload"])[-80:])
def test_a_hello_that_is_answered(pair: Pair, first: Json) -> None:
    def act(server: Server) -> Json:
        pool = make_pool(server)
        with socket_of(server, pool, first) as (_, ready):
            ready["payload"]["initial_snapshot"]["work_pool"]["name"] = "pool"
            workers = ask(server, "POST", f"/work_pools/{pool}/workers/filter", {})
            [found] = workers
            assert found.pop("work_pool_id")
            return {"ready": ready, "worker": found | {"last_heartbeat_time": ""}}

    both(pair, act)


@pytest.mark.parametrize("type", ["process", "prefect-agent", "docker"])
def test_a_pool_that_is_made(pair: Pair, type: str) -> None:
    def act(server: Server) -> Json:
        pool = f"pool-{uuid4().hex}"
        first = hello(create_pool_if_not_found=True, default_base_job_template=TEMPLATE, worker_type=type)
        with socket_of(server, pool, first) as (socket, ready):
            read = ask(server, "GET", f"/work_pools/{pool}")
            assert read == ready["payload"]["initial_snapshot"]["work_pool"]
            queues = ask(server, "POST", f"/work_pools/{pool}/queues/filter", {})
            assert [queue["id"] for queue in queues] == [read["default_queue_id"]]
            events = awaited_events(server, read["id"], 2)
            assert told(socket, SILENCE) is None
        return {"pool": read | {"name": "pool"}, "events": events}

    both(pair, act)


def awaited_events(server: Server, pool: str, count: int) -> list[tuple[str, Any]]:
    """What has happened to a pool, when so much has."""
    query = {"filter": {"resource": {"id": [f"prefect.work-pool.{pool}"]}, "order": "ASC"}}
    for _ in range(100):
        events = ask(server, "POST", "/events/filter", query)["events"]
        if len(events) >= count:
            break
        time.sleep(0.1)
    return sorted((event["event"], json.dumps(event["payload"], sort_keys=True)) for event in events)


def test_a_pool_without_a_template_gets_one(pair: Pair) -> None:
    """The worker is told of that, too."""

    def act(server: Server) -> Any:
        pool = make_pool(server)
        with socket_of(server, pool, hello(default_base_job_template=TEMPLATE)) as (socket, ready):
            frames = [ready, told(socket), told(socket, SILENCE)]
        with socket_of(server, pool, hello(default_base_job_template={"x": 1})) as (socket, ready):
            frames += [ready, told(socket, SILENCE)]
        id = ready["payload"]["initial_snapshot"]["work_pool"]["id"]
        for read in filter(None, frames):
            payload = read["payload"].get("initial_snapshot", read["payload"])
            payload["work_pool"]["name"] = "pool"
        return frames, awaited_events(server, id, 4)

    both(pair, act)


def test_a_template_that_is_none_is_refused_where_the_pool_has_none(pair: Pair) -> None:
    def act(server: Server) -> Any:
        pool = make_pool(server)
        first = hello(default_base_job_template={"x": 1}, worker_name="unheard of")
        seen = talk(server, path(pool), ["prefect"], [AUTH, first], reads=2)
        workers = ask(server, "POST", f"/work_pools/{pool}/workers/filter", {})
        return seen, workers, ask(server, "GET", f"/work_pools/{pool}")["status"]

    _, workers, status = both(pair, act)
    assert (workers, status) == ([], "NOT_READY")


# --- heartbeats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        [heartbeat()],
        [heartbeat(), heartbeat(heartbeat_interval_seconds="5")],
        [heartbeat(worker_name="another")],
        [heartbeat(consumer_id=str(uuid4()))],
        [heartbeat(heartbeat_interval_seconds=0)],
        [heartbeat(worker_name=ABSENT)],
        [heartbeat(more=1)],
        [heartbeat(), hello()],
        [heartbeat(), "not json"],
        [heartbeat(), b"{}"],
        [heartbeat(), AUTH],
        [frame("work_pool.snapshot.v1", {})],
        [5],
        [operation("ack")],
        [operation("release", reason="busy"), operation("renew")],
        [operation("release")],
        [operation("ack", reason="busy")],
    ],
    ids=lambda frames: without_ids(json.dumps([f if not isinstance(f, bytes) else "bytes" for f in frames]))[-80:],
)
@pytest.mark.parametrize("first", [hello(), hello(**CLEANUP)], ids=["without cleanups", "with cleanups"])
def test_what_a_worker_says(pair: Pair, first: Json, frames: list[Any]) -> None:
    def act(server: Server) -> list[Any]:
        pool = make_pool(server)
        with socket_of(server, pool, first) as (socket, _):
            for sent in frames:
                socket.send(sent if isinstance(sent, str | bytes) else json.dumps(sent))
            heard: list[Any] = []
            while (frame := told(socket, SILENCE)) is not None:
                heard.append(frame)
                if not isinstance(frame, dict):
                    break
            return heard

    both(pair, act)


def test_a_heartbeat_is_one(pair: Pair) -> None:
    """It makes a pool ready, as one over HTTP does."""

    def act(server: Server) -> Any:
        pool = make_pool(server)
        with socket_of(server, pool) as (socket, _):
            [before] = ask(server, "POST", f"/work_pools/{pool}/workers/filter", {})
            ask(server, "DELETE", f"/work_pools/{pool}/workers/a worker")
            socket.send(json.dumps(heartbeat(heartbeat_interval_seconds=11)))
            for _ in range(100):
                workers = ask(server, "POST", f"/work_pools/{pool}/workers/filter", {})
                if workers:
                    break
                time.sleep(0.05)
            assert workers[0]["id"] != before["id"]
            status = ask(server, "GET", f"/work_pools/{pool}")["status"]
            return status, workers[0]["heartbeat_interval_seconds"], workers[0]["status"]

    assert both(pair, act) == ["READY", 11, "ONLINE"]


# --- the pool --------------------------------------------------------------------------------------------


def snapshot(read: Any) -> Any:
    """What a snapshot says of the pool, without its name."""
    if not isinstance(read, dict) or read["type"] != "work_pool.snapshot.v1":
        return read
    payload = read["payload"]
    payload["work_pool"]["name"] = "pool"
    return payload


@pytest.mark.parametrize(
    "body",
    [
        {"is_paused": True},
        {"concurrency_limit": 3},
        {"concurrency_limit": 0},
        {"base_job_template": TEMPLATE},
        {"storage_configuration": {"bundle_upload_step": {"x": 1}}},
        {"is_paused": True, "description": "described", "concurrency_limit": 1},
    ],
    ids=str,
)
def test_a_worker_is_told_of_its_pool(pair: Pair, body: Json) -> None:
    def act(server: Server) -> list[Any]:
        pool = make_pool(server)
        with socket_of(server, pool) as (socket, _):
            change(server, pool, **body)
            heard = [snapshot(told(socket)), told(socket, SILENCE)]
            socket.send(json.dumps(heartbeat()))
            return [*heard, told(socket, SILENCE)]

    told_of, *more = both(pair, act)
    assert (told_of["snapshot_sequence"], told_of["reason"], more) == (2, "work_pool_updated", [None, None])


def test_of_other_changes_it_hears_with_its_heartbeat(pair: Pair) -> None:
    def act(server: Server) -> list[Any]:
        pool = make_pool(server)
        with socket_of(server, pool) as (socket, _):
            change(server, pool, description="described")
            ask(server, "POST", f"/work_pools/{pool}/queues", {"name": "q"})
            ask(server, "PATCH", f"/work_pools/{pool}/queues/q", {"is_paused": True})
            heard = [told(socket, SILENCE)]
            for _ in range(2):
                socket.send(json.dumps(heartbeat()))
                heard.append(snapshot(told(socket, SILENCE)))
            return heard

    nothing, told_of, nothing_more = both(pair, act)
    assert (nothing, told_of["reason"], nothing_more) == (None, "heartbeat_reconciliation", None)


def test_queues_do_not_concern_it(pair: Pair) -> None:
    def act(server: Server) -> list[Any]:
        pool = make_pool(server)
        with socket_of(server, pool) as (socket, _):
            ask(server, "POST", f"/work_pools/{pool}/queues", {"name": "q"})
            ask(server, "PATCH", f"/work_pools/{pool}/queues/q", {"is_paused": True})
            socket.send(json.dumps(heartbeat()))
            ask(server, "DELETE", f"/work_pools/{pool}/queues/q")
            return [told(socket, SILENCE)]

    assert both(pair, act) == [None]


def test_changes_at_once_are_told_together(pair: Pair) -> None:
    """The last that is told is the last that was written, on every channel; sequences have no gap."""

    def act(server: Server) -> list[Any]:
        pool = make_pool(server)
        with socket_of(server, pool) as (one, _), socket_of(server, pool, hello(worker_name="other")) as (other, _):
            with ThreadPoolExecutor(8) as pool_of_threads:
                list(pool_of_threads.map(lambda limit: change(server, pool, concurrency_limit=limit), range(10, 30)))
            change(server, pool, concurrency_limit=7)
            last = []
            for socket in (one, other):
                heard: list[Json] = []
                while frame := told(socket, SILENCE):
                    heard.append(snapshot(frame))
                assert [read["snapshot_sequence"] for read in heard] == list(range(2, len(heard) + 2))
                assert len(heard) < 21, "what is written at once is told together"
                last.append(heard[-1]["work_pool"]["concurrency_limit"])
            return last

    assert both(pair, act) == [7, 7]


def test_a_pool_that_is_deleted(pair: Pair) -> None:
    def act(server: Server) -> Any:
        pool = make_pool(server)
        with socket_of(server, pool) as (socket, _):
            ask(server, "DELETE", f"/work_pools/{pool}")
            return told(socket)

    assert both(pair, act) == [1008, "authorization_failed"]


def test_a_change_to_what_it_was_is_told_with_the_heartbeat(pair: Pair) -> None:
    """The real server tells of it at once, though nothing is new."""
    pool = make_pool(pair.subject, concurrency_limit=3)
    with socket_of(pair.subject, pool) as (socket, _):
        change(pair.subject, pool, concurrency_limit=3)
        assert told(socket, SILENCE) is None
        socket.send(json.dumps(heartbeat()))
        assert told(socket)["payload"]["reason"] == "heartbeat_reconciliation"


# --- cleanups --------------------------------------------------------------------------------------------

CLEANUP_SETTINGS = {
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
    "PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_LEASE_SECONDS": "6",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "0.5",
}
# From the end of a cancellation's time to the cleanup, at most.
TIMED_OUT = 30.0


@pytest.fixture(scope="module")
def cleaning() -> Iterator[Pair]:
    """Both servers with cancellations that soon take too long, and short leases."""
    with asked_side_by_side(CLEANUP_SETTINGS) as pair:
        yield pair


def stuck_run(server: Server, pool: str, queue: str | None = None, pid: str | None = "host:1") -> str:
    """A run of a pool that is to be cancelled, and that nobody cancels; returns its id."""
    flow = ask(server, "POST", "/flows/", {"name": f"flow-{uuid4().hex}"})["id"]
    place = {"work_pool_name": pool} | ({"work_queue_name": queue} if queue else {})
    body = {"name": f"deployment-{uuid4().hex}", "flow_id": flow, **place}
    deployment = ask(server, "POST", "/deployments/", body)["id"]
    run: str = ask(server, "POST", f"/deployments/{deployment}/create_flow_run", {})["id"]
    for type in ("PENDING", "RUNNING"):
        set_state(server, run, type)
    if pid:
        ask(server, "PATCH", f"/flow_runs/{run}", {"infrastructure_pid": pid})
    set_state(server, run, "CANCELLING")
    return run


def set_state(server: Server, run: str, type: str) -> None:
    ask(server, "POST", f"/flow_runs/{run}/set_state", {"state": {"type": type}, "force": True})


def cleaner(**changes: Any) -> Json:
    return hello(**CLEANUP | changes)


def result(socket: ClientConnection, sent: Json) -> tuple[str, str | None]:
    """Sends what a worker does with a cleanup; returns what became of it."""
    socket.send(json.dumps(sent))
    read = told(socket)
    assert read["type"] == "cleanup.operation_result.v1" and read["payload"]["request_frame_id"] == sent["id"]
    return read["payload"]["status"], read["payload"]["reason"]


def test_a_cancellation_that_takes_too_long_is_cleaned_up(cleaning: Pair) -> None:
    def act(server: Server) -> Any:
        pool = make_pool(server)
        with socket_of(server, pool, cleaner()) as (socket, ready):
            assert ready["payload"]["effective_max_cleanup_concurrency"] == 1
            run = stuck_run(server, pool)
            message = told(socket, TIMED_OUT)
            assert message["payload"]["target"]["flow_run_id"] == run
            queue = ask(server, "GET", f"/work_pools/{pool}")["default_queue_id"]
            assert message["payload"]["work_queue_id"] == queue
            read = ask(server, "GET", f"/flow_runs/{run}")
            renew = operation("renew", message)
            socket.send(json.dumps(renew))
            renewed = told(socket)
            done = [result(socket, operation(kind, message)) for kind in ("ack", "ack", "renew")]
            return message, read["state"]["type"], read["state"]["message"], renewed, done, told(socket, SILENCE)

    _, type, _, renewed, done, nothing = both(cleaning, act)
    assert (type, renewed["payload"]["status"], nothing) == ("CANCELLED", "accepted", None)
    assert done == [["accepted", None], ["not_found", "message_not_found"], ["not_found", "message_not_found"]]


def test_what_was_left_before_a_worker_came(cleaning: Pair) -> None:
    """Also of a run whose infrastructure nobody knows; not of one without a worker, or that ended in time."""

    def act(server: Server) -> Any:
        pool, push = make_pool(server), make_pool(server, type="ecs:push")
        run, of_push, in_time = stuck_run(server, pool, pid=None), stuck_run(server, push), stuck_run(server, pool)
        set_state(server, in_time, "CANCELLED")
        for id in (run, of_push):
            until(lambda: ask(server, "GET", f"/flow_runs/{id}")["state_type"] == "CANCELLED")
        with socket_of(server, pool, cleaner(max_cleanup_concurrency=5)) as (socket, _):
            message = told(socket)
            assert message["payload"]["target"]["flow_run_id"] == run
            heard = [message, told(socket, SILENCE)]
        with socket_of(server, push, cleaner(max_cleanup_concurrency=5)) as (socket, _):
            return [*heard, told(socket, SILENCE)]

    message, *nothing = both(cleaning, act)
    assert message["payload"]["target"]["infrastructure_pid"] is None and nothing == [None, None]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMED_OUT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_worker_that_dies_lets_another_one_have_it(cleaning: Pair) -> None:
    """Its token is worth nothing from then on."""

    def act(server: Server) -> Any:
        pool = make_pool(server)
        run = stuck_run(server, pool)
        with socket_of(server, pool, cleaner()) as (socket, _):
            first = told(socket, TIMED_OUT)
        with socket_of(server, pool, cleaner(consumer_id=str(uuid4()), worker_name="other")) as (socket, _):
            second = told(socket, TIMED_OUT)
            assert {message["payload"]["target"]["flow_run_id"] for message in (first, second)} == {run}
            assert first["payload"]["reservation_token"] != second["payload"]["reservation_token"]
            results = [result(socket, operation("ack", message)) for message in (first, second)]
            return [message["payload"]["delivery_count"] for message in (first, second)], results

    counts, results = both(cleaning, act)
    assert counts == [1, 2]
    assert results == [["invalid_token", "reservation_token_mismatch"], ["accepted", None]]


def test_what_is_released_comes_again_until_it_has_come_often_enough(cleaning: Pair) -> None:
    def act(server: Server) -> Any:
        pool = make_pool(server)
        stuck_run(server, pool)
        results: list[Any] = []
        with socket_of(server, pool, cleaner()) as (socket, _):
            message = told(socket, TIMED_OUT)
            for _ in range(3):
                results.append(result(socket, operation("release", message, reason="busy")))
                again = told(socket, SILENCE)
                results.append(again and again["payload"]["delivery_count"])
                message = again or message
            results.append(result(socket, operation("ack", message)))
        return results

    results = both(cleaning, act)
    assert results[-2:] == [None, ["not_found", "message_not_found"]]


def test_a_worker_gets_no_more_at_once_than_it_takes(cleaning: Pair) -> None:
    def act(server: Server) -> Any:
        pool = make_pool(server)
        runs = {stuck_run(server, pool) for _ in range(3)}
        for run in runs:
            until(lambda: ask(server, "GET", f"/flow_runs/{run}")["state_type"] == "CANCELLED")
        with socket_of(server, pool, cleaner(max_cleanup_concurrency=2)) as (socket, _):
            messages = [told(socket), told(socket)]
            nothing = told(socket, SILENCE / 2)
            results = [result(socket, operation("ack", messages[0]))]
            messages.append(told(socket))
            assert {message["payload"]["target"]["flow_run_id"] for message in messages} == runs
            results += [result(socket, operation("ack", message)) for message in messages[1:]]
            return nothing, results

    nothing, results = both(cleaning, act)
    assert nothing is None and results == [["accepted", None]] * 3


def test_workers_of_the_runs_queue_are_asked_first_and_by_turns(cleaning: Pair) -> None:
    def act(server: Server) -> Any:
        pool = make_pool(server)
        for name in ("one", "other"):
            ask(server, "POST", f"/work_pools/{pool}/queues", {"name": name})
        first = [
            cleaner(consumer_id=str(uuid4()), worker_name=name, work_queue_names=[queue])
            for name, queue in (("a", "other"), ("b", "one"), ("c", "one"))
        ]
        with (
            socket_of(server, pool, first[0]) as (a, _),
            socket_of(server, pool, first[1]) as (b, _),
            socket_of(server, pool, first[2]) as (c, _),
        ):
            asked = []
            for _ in range(2):
                stuck_run(server, pool, "one")
                asked.append(one_of(a, b, c))
            stuck_run(server, pool, "other")
            asked.append(one_of(a, b, c))
            return asked

    assert both(cleaning, act) == [1, 2, 0]


def one_of(*sockets: ClientConnection) -> int:
    """Waits for a cleanup, acknowledges it, and returns which of the workers got it."""
    end = time.monotonic() + TIMED_OUT
    while time.monotonic() < end:
        for place, socket in enumerate(sockets):
            if message := told(socket, 0.05):
                assert message["type"] == "cleanup.message.v1"
                assert result(socket, operation("ack", message)) == ("accepted", None)
                return place
    raise AssertionError("no worker was asked")


def test_cleanups_of_another_pool_are_nobodys(cleaning: Pair) -> None:
    """The real server says that there is one."""
    server = cleaning.subject
    pool, other = make_pool(server), make_pool(server)
    stuck_run(server, pool)
    with socket_of(server, pool, cleaner()) as (socket, _):
        message = told(socket, TIMED_OUT)
        with socket_of(server, other, cleaner()) as (stranger, _):
            assert result(stranger, operation("ack", message)) == ("not_found", "message_not_found")
        assert result(socket, operation("ack", message)) == ("accepted", None)
