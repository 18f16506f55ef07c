"""How a transition is recorded: the run before, what was proposed, the answer, the run after."""

from __future__ import annotations

import datetime
import itertools
import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

Json = dict[str, Any]

STATE_TYPES = (
    "SCHEDULED",
    "PENDING",
    "RUNNING",
    "PAUSED",
    "CANCELLING",
    "COMPLETED",
    "FAILED",
    "CRASHED",
    "CANCELLED",
)

# What the 3.8.8 client sends; orchestration reads both.
CLIENT_HEADERS = {
    "X-PREFECT-API-VERSION": "0.8.4",
    "User-Agent": "prefect/3.8.8 (API 0.8.4)",
}


class UnexpectedAnswer(RuntimeError):
    """A step that only prepares a case was not answered as the case needs it."""


def utc_now() -> datetime.datetime:
    """Returns the current time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def seconds_from_now(seconds: float) -> str:
    """Returns the time so many seconds from now (before now, if negative) as ISO 8601 in UTC."""
    return (utc_now() + datetime.timedelta(seconds=seconds)).isoformat()


def state(type: str, name: str | None = None, **fields: Any) -> Json:
    """Returns a state to propose; `message` and `data` are its own, all else goes to its details."""
    proposed: Json = {"type": type}
    if name is not None:
        proposed["name"] = name
    for own in ("message", "data"):
        if own in fields:
            proposed[own] = fields.pop(own)
    if fields:
        proposed["state_details"] = fields
    return proposed


class Api:
    """The oracle's REST API, spoken to as the client would, and the database behind it."""

    def __init__(self, url: str, database: Path) -> None:
        # An absolute base keeps its path only for relative requests, so paths here start without "/".
        self.http = httpx.Client(base_url=f"{url}/", headers=CLIENT_HEADERS, timeout=60)
        self.database = sqlite3.connect(database, timeout=30, isolation_level=None)
        self._counter = itertools.count()

    def send(self, request: httpx.Request) -> httpx.Response:
        """Sends until the answer is not a 503, which the oracle gives while SQLite is locked."""
        for _ in range(5):
            response = self.http.send(request)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
        return response

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Returns the decoded answer, and raises where it is not a success."""
        response = self.send(self.http.build_request(method, path, json=body, **options))
        if response.is_error:
            raise UnexpectedAnswer(f"{method} {path}: {response.status_code} {response.text}")
        return response.json() if response.content else None

    def unique(self, prefix: str) -> str:
        """Returns a name that no other call returned."""
        return f"{prefix}-{next(self._counter)}"


class Runs:
    """Runs of one kind (`flow_runs` or `task_runs`) and the cases recorded on them."""

    kind: str
    run_parameter: str

    def __init__(self, api: Api) -> None:
        self.api = api
        self.cases: list[Json] = []
        self._names: set[str] = set()

    def read(self, run_id: str) -> Json:
        """Returns the run as `GET` answers it."""
        return self.api.call("GET", f"{self.kind}/{run_id}")

    def propose(self, run_id: str, proposed: Json, *, force: bool = False, **options: Any) -> Json:
        """Proposes a state, whatever the verdict, and returns the orchestration result."""
        body = {"state": proposed, "force": force}
        return self.api.call("POST", f"{self.kind}/{run_id}/set_state", body, **options)

    def drive(self, run_id: str, *states: Json, force: bool = False) -> None:
        """Takes the run through these states, each of which has to be accepted."""
        for proposed in states:
            result = self.propose(run_id, proposed, force=force)
            if result["status"] != "ACCEPT":
                raise UnexpectedAnswer(f"{self.kind}/{run_id}: {proposed} gave {result}")

    def forget_state(self, run_id: str) -> None:
        """Takes a new run's state away in the database: no route leaves a run without a state."""
        table = self.kind[:-1]
        self.api.database.execute(
            f"UPDATE {table} SET state_id = NULL, state_type = NULL, state_name = NULL,"
            " state_timestamp = NULL, expected_start_time = NULL WHERE id = ?",
            [run_id],
        )
        self.api.database.execute(f"DELETE FROM {table}_state WHERE {table}_id = ?", [run_id])

    def _create(self, body: Json, path: tuple[Json, ...]) -> str:
        """Creates a run in the first state of `path` and takes it along the rest."""
        created = body | ({"state": path[0]} if path else {})
        run_id: str = self.api.call("POST", f"{self.kind}/", created)["id"]
        if not path:
            self.forget_state(run_id)
        self.drive(run_id, *path[1:])
        return run_id

    def history(self, run_id: str) -> list[Json]:
        """Returns the run's states in the order in which the API lists them."""
        parameters = {self.run_parameter: run_id}
        return self.api.call("GET", f"{self.kind[:-1]}_states/", params=parameters)

    def facts(self, run: Json) -> Json:
        """Returns what an orchestration rule may read beside the run itself."""
        raise NotImplementedError

    def record(
        self,
        name: str,
        run_id: str,
        proposed: Json,
        *,
        force: bool = False,
        headers: Mapping[str, str | None] | None = None,
        **extra: Any,
    ) -> Json:
        """Records one case and returns the answer's body.

        `headers` replace the client's own, or take them away where the value is None. `extra` is
        kept in the case as it is.
        """
        if name in self._names:
            raise ValueError(f"two cases are named {name!r}")
        self._names.add(name)

        sent = dict(CLIENT_HEADERS) | dict(headers or {})
        run_before = self.read(run_id)
        facts_before = self.facts(run_before)
        path = f"{self.kind}/{run_id}/set_state"
        request = self.api.http.build_request(
            "POST", path, json={"state": proposed, "force": force}
        )
        for header, value in sent.items():
            if value is None:
                del request.headers[header]
            else:
                request.headers[header] = value

        sent_at = utc_now()
        response = self.api.send(request)
        received_at = utc_now()

        run_after = self.read(run_id)
        self.cases.append(
            {
                "name": name,
                "run_before": run_before,
                "facts_before": facts_before,
                "headers": {header: value for header, value in sent.items() if value is not None},
                "proposed": proposed,
                "force": force,
                "sent_at": sent_at.isoformat(),
                "received_at": received_at.isoformat(),
                "status_code": response.status_code,
                "response": response.json(),
                "run_after": run_after,
                "facts_after": self.facts(run_after),
                "history_after": [
                    {key: entry[key] for key in ("id", "type", "name", "timestamp")}
                    for entry in self.history(run_id)
                ],
                **extra,
            }
        )
        return response.json()

    def write(self, path: Path) -> None:
        """Writes the cases as one JSON array with a case on each line, so that they compare well."""
        lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in self.cases)
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


class FlowRuns(Runs):
    """Flow runs, with the parents, deployments and limits that their rules look at."""

    kind = "flow_runs"
    run_parameter = "flow_run_id"

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.flow_id: str = api.call("POST", "flows/", {"name": "golden"})["id"]

    def create(self, *path: Json, **fields: Any) -> str:
        """Creates a run in the first state of `path`, takes it along the rest, returns its id."""
        infrastructure_pid = fields.pop("infrastructure_pid", None)
        body = {"flow_id": self.flow_id, "name": "golden-run", **fields}
        run_id = self._create(body, path)
        if infrastructure_pid is not None:
            update = {"infrastructure_pid": infrastructure_pid}
            self.api.call("PATCH", f"flow_runs/{run_id}", update)
        return run_id

    def create_deployment(self, **fields: Any) -> Json:
        """Creates a deployment of the flow and returns it."""
        body = {"name": self.api.unique("golden"), "flow_id": self.flow_id, **fields}
        deployment_id = self.api.call("POST", "deployments/", body)["id"]
        return self.api.call("GET", f"deployments/{deployment_id}")

    def facts(self, run: Json) -> Json:
        """Returns the parent's task run, the deployment and the deployment's concurrency limit."""
        facts: Json = {}
        if run["parent_task_run_id"]:
            facts["parent_task_run"] = self.api.call(
                "GET", f"task_runs/{run['parent_task_run_id']}"
            )
        if run["deployment_id"]:
            deployment = self.api.call("GET", f"deployments/{run['deployment_id']}")
            facts["deployment"] = deployment
            if deployment["global_concurrency_limit"]:
                limit_id = deployment["global_concurrency_limit"]["id"]
                facts["concurrency_limit"] = self.api.call(
                    "GET", f"v2/concurrency_limits/{limit_id}"
                )
        return facts


class TaskRuns(Runs):
    """Task runs, with the flow runs and tag limits that their rules look at."""

    kind = "task_runs"
    run_parameter = "task_run_id"

    def create(self, *path: Json, flow_run_id: str | None, **fields: Any) -> str:
        """Creates a run in the first state of `path`, takes it along the rest, returns its id."""
        body = {
            "task_key": "golden-task",
            "dynamic_key": str(uuid.uuid4()),
            "name": "golden-task-run",
            "flow_run_id": flow_run_id,
            **fields,
        }
        return self._create(body, path)

    def facts(self, run: Json) -> Json:
        """Returns the flow run that the task runs in, and the concurrency limits of its tags."""
        facts: Json = {}
        if run["flow_run_id"]:
            response = self.api.http.get(f"flow_runs/{run['flow_run_id']}")
            facts["flow_run"] = response.json() if response.is_success else None
        limits = [self.api.http.get(f"v2/concurrency_limits/tag:{tag}") for tag in run["tags"]]
        found = [limit.json() for limit in limits if limit.is_success]
        if found:
            facts["concurrency_limits"] = found
        return facts


def path_to(initial: str | None) -> Iterator[Json]:
    """Yields the accepted states that lead a new run to the type `initial`; none leaves it without."""
    if initial is None:
        return
    yield state("SCHEDULED", scheduled_time=seconds_from_now(-10))
    if initial == "SCHEDULED":
        return
    yield state("PENDING")
    if initial == "PENDING":
        return
    yield state("RUNNING")
    if initial == "RUNNING":
        return
    if initial == "PAUSED":
        yield state("PAUSED", pause_key="first", pause_timeout=seconds_from_now(300))
        return
    yield state(initial)
