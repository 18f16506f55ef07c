"""Compares what the server holds with what it acknowledged; each difference is a line of text."""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import stored
from histories import legal_pairs
from ledger import FlowRun, Ledger
from load import LEASED_LIMIT

Json = dict[str, Any]
PAGE = 200
# How many flow runs' logs are read together.
AT_ONCE = 50
# States that the server enters by itself, as time goes by.
BY_ITSELF = {"Late"}
# How long something may be under way in a server that is quiet.
PATIENCE_SECONDS = 3.0


class Checks:
    """What is wrong, found over HTTP in a server that has become quiet."""

    def __init__(self, url: str, ledger: Ledger) -> None:
        self.http = httpx.Client(base_url=f"{url}/", timeout=60)
        self.ledger = ledger
        self._histories: dict[str, list[Json]] = {}
        self._flow_runs: dict[str, Json] = {}

    def all(self) -> list[str]:
        """Returns everything that is wrong."""
        checks = (
            self.answers,
            self.flow_runs,
            self.histories,
            self.state_events,
            self.client_events,
            self.task_runs,
            self.logs,
            self.values,
            self.operations,
            self.scheduled_runs,
            self.dead_letters,
        )
        return [f"{check.__name__}: {line}" for check in checks for line in check()]

    def get(self, path: str, **parameters: str) -> Any:
        """Returns the decoded answer of a GET, which is to succeed."""
        response = self.http.get(path, params=parameters or None)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, body: Any) -> Any:
        """Returns the decoded answer of a POST, which is to succeed."""
        response = self.http.post(path, json=body)
        response.raise_for_status()
        return response.json()

    def pages(self, path: str, body: Json) -> Iterator[Json]:
        """Yields all records of a filter, page by page."""
        for offset in itertools.count(0, PAGE):
            page = self.post(path, {**body, "offset": offset, "limit": PAGE})
            yield from page
            if len(page) < PAGE:
                return

    def all_events(self, prefix: str) -> Iterator[Json]:
        """Yields all events whose names begin with `prefix`."""
        body = {"filter": {"event": {"prefix": [prefix]}, "order": "ASC"}, "limit": 50}
        page = self.post("events/filter", body)
        while True:
            yield from page["events"]
            if not page["next_page"]:
                return
            page = self.get(page["next_page"])

    def answers(self) -> Iterator[str]:
        """No client saw an answer that none may see."""
        yield from self.ledger.unexpected

    def flow_runs(self) -> Iterator[str]:
        """Each acknowledged run is there once, and each other one at most once."""
        runs = {run["id"]: run for run in self.pages("flow_runs/filter", {"sort": "ID_DESC"})}
        self._flow_runs = runs
        names = Counter(run["name"] for run in runs.values())
        for id, run in self.ledger.flow_runs.items():
            if run.is_deleted:
                continue
            if id not in runs:
                yield f"{id} is lost"
            elif names[run.name] != 1:
                yield f"{run.name} is there {names[run.name]} times"
        for name in self.ledger.unanswered_flow_runs:
            if names[name] > 1:
                yield f"{name}, which was never answered, is there {names[name]} times"
        for name in self.ledger.refused_flow_runs:
            if names[name]:
                yield f"{name} is there, whose creation was answered 503"
        owners = Counter(run["idempotency_key"] for run in runs.values())
        for key, id in self.ledger.keys.items():
            if owners[key] > 1:
                yield f"{key} has {owners[key]} runs"
            if id in runs and runs[id]["idempotency_key"] != key:
                yield f"{id} has lost {key}"

    def history(self, id: str) -> list[Json]:
        """Returns the states of a flow run, oldest first."""
        if id not in self._histories:
            states = self.get("flow_run_states/", flow_run_id=id)
            self._histories[id] = sorted(states, key=lambda state: state["timestamp"])
        return self._histories[id]

    def histories(self) -> Iterator[str]:
        """Each history holds every acknowledged state once, in a legal order, and ends with the run's own."""
        legal = legal_pairs()
        for id, run in self.ledger.flow_runs.items():
            # One that is lost has been told of.
            if not run.is_deleted and id in self._flow_runs:
                yield from (f"{id}: {line}" for line in self._wrong_in(id, run, legal))

    def _wrong_in(self, id: str, run: FlowRun, legal: set[tuple[str, str]]) -> Iterator[str]:
        current = self._flow_runs.get(id, {}).get("state")
        states = self.history(id)
        if not states or current != states[-1]:
            # It may have become late since the runs were read.
            self._histories.pop(id)
            current, states = self.get(f"flow_runs/{id}")["state"], self.history(id)
        there = Counter((state["id"], state["type"]) for state in states)
        for state in run.states:
            if there[state] != 1:
                yield f"the acknowledged state {state} is there {there[state]} times"
        illegal = set(itertools.pairwise(state["type"] for state in states)) - legal
        if illegal:
            yield f"impossible: {illegal} in {[state['type'] for state in states]}"
        if not states or current != states[-1]:
            yield f"is in {current}, and its history is {states}"
        transitions = Counter(state["state_details"]["transition_id"] for state in states)
        for transition in run.transitions:
            if transitions[transition] != 1:
                yield f"the transition {transition} was made {transitions[transition]} times"
        if run.is_certain:
            more = [state for state in states if (state["id"], state["type"]) not in run.states]
            if unknown := [state["name"] for state in more if state["name"] not in BY_ITSELF]:
                yield f"has states that nobody was told of: {unknown}"

    def state_events(self) -> Iterator[str]:
        """Each state has one event, and each event a state."""
        told: dict[str, list[str]] = defaultdict(list)
        for event in self.all_events("prefect.flow-run."):
            resource = event["resource"]
            run = resource["prefect.resource.id"].removeprefix("prefect.flow-run.")
            if "prefect.state-type" in resource:
                told[event["id"]].append(f"{run} {resource['prefect.state-type']}")
        known: set[str] = set()
        for id, run in self.ledger.flow_runs.items():
            there = [] if run.is_deleted else self.history(id)
            known |= {state["id"] for state in there} | {state for state, _ in run.states}
            for state, type in {*run.states, *((state["id"], state["type"]) for state in there)}:
                if told[state] != [f"{id} {type}"]:
                    yield f"the state {type} {state} of {id} has the events {told[state]}"
        runs = {run for run, entry in self.ledger.flow_runs.items() if not entry.is_deleted}
        for state, texts in told.items():
            if state not in known and any(text.split()[0] in runs for text in texts):
                yield f"an event tells of {texts}, which is in no history"

    def client_events(self) -> Iterator[str]:
        """Each acknowledged event is there once."""
        there: Counter[str] = Counter()
        for prefix in ("resilience.", "prefect.task-run."):
            there.update(event["id"] for event in self.all_events(prefix))
        for id in self.ledger.events:
            if there[id] != 1:
                yield f"{id} is there {there[id]} times"

    def task_runs(self) -> Iterator[str]:
        """Each task run has the states that its events told of, each once."""
        for id, reported in self.ledger.task_runs.items():
            states = self.get("task_run_states/", task_run_id=id)
            types = [state["type"] for state in sorted(states, key=lambda state: state["timestamp"])]
            if types != reported:
                yield f"{id} has the states {types}"
                continue
            if (current := self.get(f"task_runs/{id}")["state_type"]) != reported[-1]:
                yield f"{id} is {current}"

    def logs(self) -> Iterator[str]:
        """Each acknowledged log line is there once; of a batch that was refused, no line is."""
        refused = defaultdict(list)
        for run_id, texts in self.ledger.refused_logs:
            refused[run_id].append(texts)
        logging = [id for id, run in self.ledger.flow_runs.items() if run.logs or refused[id]]
        there: Counter[str] = Counter()
        for start in range(0, len(logging), AT_ONCE):
            filter = {"logs": {"flow_run_id": {"any_": logging[start : start + AT_ONCE]}}}
            there.update(line["message"] for line in self.pages("logs/filter", filter))
        for id in logging:
            run = self.ledger.flow_runs[id]
            if wrong := {text: there[text] for text in run.logs if there[text] != 1}:
                yield f"lines of {id} are there so often: {wrong}"
            for texts in refused[id]:
                if written := sum(there[text] for text in texts):
                    yield f"{written} of {len(texts)} lines are there of a batch that was answered 503"

    def values(self) -> Iterator[str]:
        """Variables and deployments have the last value that was acknowledged, or one after it."""
        for name, variable in self.ledger.variables.items():
            value = self.get(f"variables/name/{name}")["value"]
            if not variable.may_be(value):
                yield f"{name} is {value}, not {variable}"
        for id, deployment in self.ledger.deployments.items():
            value = self.get(f"deployments/{id}")["description"]
            if not deployment.may_be(value):
                yield f"the deployment {id} is {value}, not {deployment}"

    def operations(self) -> Iterator[str]:
        """Each operation has ended, and has treated each of its flow runs once."""
        for id, operation in self.ledger.operations.items():
            progress = self.get(f"operations/{id}")
            if progress["status"] != "COMPLETED" or progress["failed"]:
                yield f"ended as {progress}"
            for run_id in operation.runs:
                if operation.kind == "bulk_delete":
                    if self.http.get(f"flow_runs/{run_id}").status_code != 404:
                        yield f"{run_id} is left, which {id} was to delete"
                    continue
                states = self.history(run_id)
                types = [state["type"] for state in states if state["name"] not in BY_ITSELF]
                if types[1:] != [operation.state]:
                    yield f"{run_id} has the states {types}, and {id} was to enter {operation.state}"

    def scheduled_runs(self) -> Iterator[str]:
        """A deployment's schedule has made one run for each time."""
        for id in self.ledger.deployments:
            filter = {
                "deployments": {"id": {"any_": [id]}},
                "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
            }
            runs = [run for run in self.pages("flow_runs/filter", filter) if run["auto_scheduled"]]
            times = Counter(run["next_scheduled_start_time"] for run in runs)
            if twice := [time for time, count in times.items() if count > 1]:
                yield f"the deployment {id} has several runs at {twice}"

    def dead_letters(self) -> Iterator[str]:
        """Nothing was given up."""
        for letter in self.get("dead_letters"):
            yield f"{letter['kind']} {str(letter['content'])[:300]}: {letter['reason']}"


def left_undone(data: Path) -> Iterator[str]:
    """Yields what is left of that which follows from writes, in a server that had time to become quiet."""
    # A timer that falls due at this moment is no work that was left.
    until = time.monotonic() + PATIENCE_SECONDS
    while left := stored.backlog(data):
        if time.monotonic() > until:
            yield f"{left} changes and messages are left undone"
            return
        time.sleep(0.1)


def wrong_in_file(data: Path, ledger: Ledger) -> Iterator[str]:
    """Yields what is wrong in the file of a server that has ended: slots without leases."""
    for name, (active, leased) in stored.slots(data).items():
        plain = ledger.slots.get(name)
        if plain and not plain.may_be(active):
            yield f"{name} has {active} slots taken, not {plain}"
        if not plain and active != leased:
            yield f"{name} has {active} slots taken, and its leases hold {leased}"
    leases = stored.leases(data)
    for id in ledger.held_leases - leases.keys():
        yield f"the lease {id} is lost"
    for id in ledger.returned_leases & leases.keys():
        yield f"the lease {id} is there, which was given back"
    if LEASED_LIMIT not in stored.slots(data):
        yield f"the limit {LEASED_LIMIT} is lost"
