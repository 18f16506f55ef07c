"""Mixed load: clients that do what Prefect's clients do, note what was acknowledged, and outlive the server."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from conformance.events import event, task_run_event
from ledger import FlowRun, Ledger, Operation, Slots, Value
from subject import Subject
from websockets import State
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

ANSWER_SECONDS = 30.0
# How long a client repeats a request that is not answered.
INSISTENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.05
ANSWERS = {200, 201, 202, 204, 423}
LIVES = (
    ("RUNNING", "COMPLETED"),
    ("RUNNING", "FAILED"),
    ("RUNNING", "PAUSED", "RUNNING", "COMPLETED"),
    ("SCHEDULED", "PENDING", "RUNNING", "CRASHED"),
    ("RUNNING", "CANCELLING", "CANCELLED"),
    ("RUNNING",),
)
ENDS = ("CANCELLED", "CRASHED", "COMPLETED", "FAILED")
TASK_STATES = ("PENDING", "RUNNING", "COMPLETED")
LEASED_LIMIT = "resilience-leased"

Json = dict[str, Any]


class NotAnswered(Exception):
    """The request may have been carried out, or not: the server has died, or said that it is unavailable."""


class Unavailable(NotAnswered):
    """The server said 503, by which it says that nothing was changed."""


class Unexpected(Exception):
    """The server gave an answer that no client may ever see; it is in the ledger."""


class Load:
    """Clients that write until they are told to stop."""

    def __init__(
        self, subject: Subject, clients: int, seed: int, *, is_killed: bool, pause_seconds: float = 0.0
    ) -> None:
        self.subject = subject
        self.ledger = Ledger()
        # Whether the server may die, so that a connection may break.
        self.is_killed = is_killed
        # How long a client waits before each thing it does and each state it enters, on average.
        self.pause_seconds = pause_seconds
        self.is_over = threading.Event()
        # Deployments, with their flow runs, for operations that are begun when the moment has come.
        self.prepared: deque[tuple[str, list[str]]] = deque()
        self._clients = [Client(self, seed, number) for number in range(clients)]
        self._beginner = Client(self, seed, clients)
        self._threads = [threading.Thread(target=client.run, daemon=True) for client in self._clients]

    @contextlib.contextmanager
    def running(self) -> Iterator[Ledger]:
        """Has all clients at work; at the end each has had its last request answered."""
        self._clients[0].prepare()
        for thread in self._threads:
            thread.start()
        try:
            yield self.ledger
        finally:
            self.is_over.set()
        for thread in self._threads:
            thread.join(INSISTENCE_SECONDS + ANSWER_SECONDS)
            assert not thread.is_alive(), "a client still waits for its answer"

    def begin_operations(self, most: int) -> None:
        """Begins operations for which all is prepared."""
        for _ in range(min(most, len(self.prepared))):
            with contextlib.suppress(NotAnswered, Unexpected):
                self._beginner.begin_operation(*self.prepared.popleft())


class Client:
    """One client: it does one thing after the other, chosen by chance."""

    def __init__(self, load: Load, seed: int, number: int) -> None:
        self.load = load
        self.ledger = load.ledger
        self.number = number
        self.random = random.Random(f"{seed}/{number}")
        self.http = httpx.Client(base_url=f"{load.subject.url}/", timeout=ANSWER_SECONDS)
        self.flow_id = ""
        self.deployment_ids: list[str] = []
        self.counter = itertools.count()
        self.leases: list[str] = []
        self.names: list[str] = []
        bulk = 8 if number % 4 == 0 else 1
        self.actions: list[tuple[Callable[[], None], int]] = [
            (self.live, 30),
            (self.send_events, 8),
            (self.send_events_by_websocket, 8),
            (self.run_task, 8),
            (self.change_variable, 8),
            (self.change_deployment, 6),
            (self.lease_slots, 10),
            (self.take_slots, 6),
            (self.change_many, bulk),
            (self.read, 8),
        ]

    def prepare(self) -> None:
        """Makes what all clients share."""
        body = {"name": LEASED_LIMIT, "limit": 1_000_000}
        self.insist("POST", "v2/concurrency_limits/", body)

    def run(self) -> None:
        """Works until the load is over."""
        actions, weights = zip(*self.actions, strict=True)
        try:
            self.flow_id = self.insist("POST", "flows/", {"name": f"flow-{self.number}"})["id"]
            while not self.load.is_over.is_set():
                self.pause()
                with contextlib.suppress(NotAnswered, Unexpected):
                    self.random.choices(actions, weights)[0]()
        except Exception as error:
            self.ledger.unexpected.append(f"a client ended: {error!r}")
            raise

    def pause(self) -> None:
        """Waits for a moment, as clients do that have more to do than to write."""
        time.sleep(self.random.uniform(0, 2 * self.load.pause_seconds))

    # Requests

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Sends a request once, and returns the decoded answer."""
        self.load.subject.is_up.wait(ANSWER_SECONDS)
        sent_to = self.load.subject.kills
        try:
            response = self.http.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            if isinstance(error, httpx.TimeoutException) or not self.load.is_killed:
                kills = self.load.subject.kills - sent_to
                self.ledger.unexpected.append(f"{method} {path}: {error!r} after {kills} kills")
            time.sleep(PAUSE_SECONDS)
            raise NotAnswered from error
        if response.status_code == 503:
            self.ledger.unavailable[f"{method} {path.split('/')[0]}"] += 1
            time.sleep(self.random.uniform(PAUSE_SECONDS, 4 * PAUSE_SECONDS))
            raise Unavailable
        if response.status_code not in ANSWERS:
            self.ledger.unexpected.append(
                f"{method} {path} {json.dumps(body)[:200]}: {response.status_code} {response.text[:300]}"
            )
            raise Unexpected
        if method != "GET" and not path.endswith(("filter", "count")):
            self.ledger.acknowledged[f"{method} {path.split('/')[0]}"] += 1
        return response.json() if response.content else response.status_code

    def insist(self, method: str, path: str, body: Any = None) -> Any:
        """Sends a request that may be repeated, until it is answered."""
        until = time.monotonic() + INSISTENCE_SECONDS
        while True:
            try:
                return self.send(method, path, body)
            except NotAnswered:
                if time.monotonic() > until:
                    self.ledger.unexpected.append(f"{method} {path} was never answered")
                    raise

    # What the clients do

    def create_flow_run(self, **fields: Any) -> str:
        """Creates a flow run, half of them with an idempotency key, and so for certain."""
        name = f"{self.number}-{next(self.counter)}"
        body = {"flow_id": self.flow_id, "name": name, **fields}
        if self.random.random() < 0.5:
            key = f"key-{name}"
            run = self.insist("POST", "flow_runs/", {**body, "idempotency_key": key})
            again = self.random.random() < 0.2 and self.insist(
                "POST", "flow_runs/", {**body, "idempotency_key": key}
            )
            if again and again["id"] != run["id"]:
                self.ledger.unexpected.append(f"{key} made {run['id']} and {again['id']}")
            self.ledger.keys[key] = run["id"]
        else:
            try:
                run = self.send("POST", "flow_runs/", body)
            except Unavailable:
                self.ledger.refused_flow_runs.append(name)
                raise
            except NotAnswered:
                self.ledger.unanswered_flow_runs.append(name)
                raise
        state = (run["state"]["id"], run["state"]["type"])
        self.ledger.flow_runs[run["id"]] = FlowRun(name, [state])
        return run["id"]

    def live(self) -> None:
        """Takes a flow run through states, with log lines in between."""
        deployment = self.random.random() < 0.3 and self.deployment_ids
        fields = {"deployment_id": self.random.choice(deployment)} if deployment else {}
        path = "flow_runs/"
        if deployment and self.random.random() < 0.5:
            fields = {}
            path = f"deployments/{self.random.choice(deployment)}/create_flow_run"
        run_id = self.create_flow_run(**fields) if path == "flow_runs/" else self.run_deployment(path)
        for state in self.random.choice(LIVES):
            self.pause()
            self.set_state(run_id, state)
            if self.random.random() < 0.5:
                self.log(run_id)

    def run_deployment(self, path: str) -> str:
        """Has a deployment run."""
        key = f"key-{self.number}-{next(self.counter)}"
        run = self.insist("POST", path, {"name": key, "idempotency_key": key})
        self.ledger.keys[key] = run["id"]
        state = (run["state"]["id"], run["state"]["type"])
        self.ledger.flow_runs[run["id"]] = FlowRun(run["name"], [state])
        return run["id"]

    def set_state(self, run_id: str, state: str) -> None:
        """Proposes a state: half the time with a transition id, so that it may be repeated."""
        run = self.ledger.flow_runs[run_id]
        body: Json = {"state": {"type": state}}
        if self.random.random() < 0.5:
            transition = str(uuid.uuid4())
            body["state"]["state_details"] = {"transition_id": transition}
            result = self.insist("POST", f"flow_runs/{run_id}/set_state", body)
            if result["state"] and result["state"]["state_details"]["transition_id"] == transition:
                run.transitions.append(transition)
                # Whether this answer or one that was lost had accepted it, the state is there.
                result["status"] = "ACCEPT"
        else:
            try:
                result = self.send("POST", f"flow_runs/{run_id}/set_state", body)
            except Unavailable:
                raise
            except NotAnswered:
                run.is_certain = False
                raise
        if result["status"] == "ACCEPT":
            run.states.append((result["state"]["id"], result["state"]["type"]))

    def log(self, run_id: str) -> None:
        """Writes some log lines of a flow run."""
        at = "2026-11-01T00:00:00Z"
        texts = [f"{run_id}/{next(self.counter)}" for _ in range(self.random.randint(1, 10))]
        lines = [
            {"name": "load", "level": 20, "message": text, "timestamp": at, "flow_run_id": run_id}
            for text in texts
        ]
        try:
            self.send("POST", "logs/", lines)
        except Unavailable:
            self.ledger.refused_logs.append((run_id, texts))
            raise
        self.ledger.flow_runs[run_id].logs += texts

    def events(self) -> list[Json]:
        """Returns some events with ids of their own."""
        names = (f"resilience.{self.number}.{next(self.counter)}" for _ in range(self.random.randint(1, 8)))
        return [event(n, "resilience.event", name) for n, name in enumerate(names)]

    def send_events(self) -> None:
        """Sends events over HTTP, until they are taken."""
        sent = self.events()
        self.insist("POST", "events", sent)
        self.ledger.events += [event["id"] for event in sent]

    def send_events_by_websocket(self, sent: list[Json] | None = None) -> None:
        """Sends events over a websocket; the answer to a ping confirms all before it."""
        sent = sent or self.events()
        until = time.monotonic() + INSISTENCE_SECONDS
        while time.monotonic() < until:
            self.load.subject.is_up.wait(ANSWER_SECONDS)
            with contextlib.suppress(WebSocketException, OSError):
                if self.confirmed(sent):
                    self.ledger.events += [event["id"] for event in sent]
                    self.ledger.acknowledged["events by websocket"] += 1
                    return
            self.ledger.unavailable["websocket"] += 1
            time.sleep(PAUSE_SECONDS)
        self.ledger.unexpected.append("events by websocket were never confirmed")

    def confirmed(self, events: list[Json]) -> bool:
        """Sends events over a new connection, and returns whether the server has confirmed them."""
        address = f"{self.load.subject.url.replace('http://', 'ws://')}/events/in"
        with connect(address, subprotocols=[Subprotocol("prefect")], ping_interval=None) as socket:
            socket.send(json.dumps({"type": "auth", "token": None}))
            socket.recv(timeout=ANSWER_SECONDS)
            for event in events:
                socket.send(json.dumps(event))
            is_answered = socket.ping(ack_on_close=True).wait(ANSWER_SECONDS)
            return is_answered and socket.state is State.OPEN

    def run_task(self) -> None:
        """Reports a task run by the events of its states, as the task engine does."""
        run_id = self.create_flow_run()
        task_run = str(uuid.uuid4())
        pairs = itertools.pairwise((None, *TASK_STATES))
        reported = [
            task_run_event(task_run, run_id, second, state, before=before)
            for second, (before, state) in enumerate(pairs, 1)
        ]
        if self.random.random() < 0.5:
            self.send_events_by_websocket(reported)
        else:
            self.insist("POST", "events", reported)
            self.ledger.events += [event["id"] for event in reported]
        self.ledger.task_runs[task_run] = list(TASK_STATES)

    def change_variable(self) -> None:
        """Makes a variable, or gives one of its own another value."""
        number = next(self.counter)
        if len(self.names) < 3:
            name = f"variable_{self.number}_{number}"
            self.send("POST", "variables/", {"name": name, "value": number})
            self.names.append(name)
            self.ledger.variables[name] = Value(number)
            return
        name = self.random.choice(self.names)
        variable = self.ledger.variables[name]
        self.change(variable, number, f"variables/name/{name}", {"value": number})

    def change(self, value: Value, new: Any, path: str, body: Json) -> None:
        """Gives something another value."""
        try:
            self.send("PATCH", path, body)
        except NotAnswered as error:
            # A deployment is written before its outdated runs are deleted, which may be answered 503 by itself.
            if not isinstance(error, Unavailable) or path.startswith("deployments/"):
                value.unanswered.append(new)
            raise
        value.acknowledge(new)

    def change_deployment(self) -> None:
        """Makes a deployment with a limit and perhaps a schedule, or describes one anew."""
        text = f"description {next(self.counter)}"
        if len(self.deployment_ids) < 2:
            body: Json = {"name": text, "flow_id": self.flow_id, "description": text}
            body["concurrency_limit"] = 100_000
            if self.number % 3 == 0:
                body["schedules"] = [{"schedule": {"interval": 600.0}, "active": True}]
            deployment = self.insist("POST", "deployments/", body)
            self.deployment_ids.append(deployment["id"])
            self.ledger.deployments[deployment["id"]] = Value(text)
            return
        deployment_id = self.random.choice(self.deployment_ids)
        deployment = self.ledger.deployments[deployment_id]
        self.change(deployment, text, f"deployments/{deployment_id}", {"description": text})

    def lease_slots(self) -> None:
        """Takes slots with a lease, or gives back or renews one."""
        chance = self.random.random()
        if len(self.leases) < 3 or chance < 0.4:
            body = {"slots": 2, "names": [LEASED_LIMIT], "lease_duration": 3600, "mode": "concurrency"}
            lease = self.send("POST", "v2/concurrency_limits/increment-with-lease", body)["lease_id"]
            self.leases.append(lease)
            self.ledger.held_leases.add(lease)
        elif chance < 0.8:
            lease = self.leases.pop()
            # Whether it is there is not known until the answer.
            self.ledger.held_leases.discard(lease)
            self.insist("POST", "v2/concurrency_limits/decrement-with-lease", {"lease_id": lease})
            self.ledger.returned_leases.add(lease)
        else:
            path = f"v2/concurrency_limits/leases/{self.random.choice(self.leases)}/renew"
            self.insist("POST", path, {"lease_duration": 3600})

    def take_slots(self) -> None:
        """Takes slots without a lease, or gives some back."""
        name = f"plain-{self.number}"
        if name not in self.ledger.slots:
            body = {"name": name, "limit": 1_000_000}
            self.send("POST", "v2/concurrency_limits/", body)
            self.ledger.slots[name] = Slots()
        slots = self.ledger.slots[name]
        # So many are taken for certain that none given back is one too many.
        sure = slots.taken - slots.given_back - slots.perhaps_given_back
        takes = sure < 5 or self.random.random() < 0.6
        verb = "increment" if takes else "decrement"
        try:
            self.send("POST", f"v2/concurrency_limits/{verb}", {"slots": 1, "names": [name]})
        except Unavailable:
            raise
        except NotAnswered:
            slots.perhaps_taken += takes
            slots.perhaps_given_back += not takes
            raise
        slots.taken += takes
        slots.given_back += not takes

    def change_many(self) -> None:
        """Begins an operation on many flow runs of its own, which goes on by itself."""
        name = f"many-{uuid.uuid4()}"
        body = {"name": name, "flow_id": self.flow_id}
        deployment_id = self.insist("POST", "deployments/", body)["id"]
        count = self.random.randint(10, 50)
        runs: list[str] = []
        while len(runs) < count and not self.load.is_over.is_set():
            with contextlib.suppress(NotAnswered):
                runs.append(self.create_flow_run(deployment_id=deployment_id))
        if self.load.is_killed and self.random.random() < 0.5:
            self.load.prepared.append((deployment_id, runs))
        else:
            self.begin_operation(deployment_id, runs)

    def begin_operation(self, deployment_id: str, runs: list[str]) -> None:
        """Begins an operation on the flow runs of a deployment."""
        body: Json = {"flow_runs": {"deployment_id": {"any_": [deployment_id]}}}
        kind = self.random.choice(("bulk_set_state", "bulk_set_state", "bulk_delete"))
        state = self.random.choice(ENDS)
        if kind == "bulk_set_state":
            body["state"] = {"type": state}
        # Whether it was begun is not known until the answer.
        for run_id in runs:
            self.ledger.flow_runs[run_id].is_certain = False
            self.ledger.flow_runs[run_id].is_deleted = kind == "bulk_delete"
        operation = self.send("POST", f"flow_runs/{kind}", body, Prefer="respond-async")
        self.ledger.operations[operation["id"]] = Operation(kind, state, runs)

    def read(self) -> None:
        """Reads what every page of the user interface reads."""
        body = {"limit": 20, "sort": "START_TIME_DESC"}
        for run in self.send("POST", "flow_runs/filter", body)[:2]:
            with contextlib.suppress(Unexpected):
                self.send("GET", f"flow_run_states/?flow_run_id={run['id']}")
        self.send("POST", "flow_runs/count", {"flows": {"id": {"any_": [self.flow_id]}}})
