"""What a server knows of the runs of `scenarios.py`, in a form that two servers can be compared by.

Ids, times, addresses and the names that a client makes up are replaced by what they stand for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx

Json = dict[str, Any]

PAGE = 200

# What a message says anew each time, and what stands in its place.
VARYING = [
    (re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"), "<id>"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "<server>"),
    (re.compile(r"/tmp/clients-[^/\s'\"]+"), "<home>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d| ?UTC|Z)?"), "<time>"),
    (re.compile(r"\b(PID|pid|process|Process)([ :='\"]+)\d+"), r"\1\2<number>"),
    (re.compile(r"\b\d+\.\d+(e-\d+)?( ?(s|seconds?|second\(s\)))"), r"<number>\2"),
    (re.compile(r"\b0x[0-9a-f]+\b"), "<address>"),
    # Clients name a task run by its task and the first characters of a made-up key.
    (re.compile(r"-[0-9a-f]{3}\b"), "-<key>"),
]

# Events that come as often as somebody looks or as long as something lasts: only whether they came is compared.
AS_OFTEN_AS_IT_TAKES = re.compile(
    r"prefect\.(flow-run\.heartbeat|(deployment|work-pool|work-queue)\.(ready|not-ready)|worker\.\w+|.*AwaitingConcurrencySlot)"
)


class Server:
    """A server whose runs are read, page by page."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/", timeout=60)

    def request(self, method: str, path: str, **named: Any) -> Any:
        """Returns the decoded answer; the real server's 503 is asked again, as the client does."""
        while (response := self.http.request(method, path, **named)).status_code == 503:
            pass
        response.raise_for_status()
        return response.json()

    def all(self, kind: str, sort: str) -> list[Json]:
        """Reads every record of a kind by its filter operation."""
        found: list[Json] = []
        while True:
            page = self.request("POST", f"{kind}/filter", json={"limit": PAGE, "offset": len(found), "sort": sort})
            found += page
            if len(page) < PAGE:
                return found

    def events(self) -> Iterator[Json]:
        """Reads every event."""
        page = self.request("POST", "events/filter", json={"limit": 50})
        yield from page["events"]
        while page["next_page"]:
            page = self.request("GET", page["next_page"])
            yield from page["events"]


def observe(url: str) -> Json:
    """Returns what there is on the server: runs by their flow, artifacts, limits, and how many events of which kind."""
    server = Server(url)
    flows = {flow["id"]: flow["name"] for flow in server.all("flows", "NAME_ASC")}
    runs = server.all("flow_runs", "ID_DESC")
    names = {run["name"]: f"<a run of {flows[run['flow_id']]}>" for run in runs if made_up(run["name"])}
    flow_of = {run["id"]: flows[run["flow_id"]] for run in runs}
    plain = Plain(names)
    task_runs = server.all("task_runs", "ID_DESC")
    logs = server.all("logs", "TIMESTAMP_ASC")
    observed: dict[str, list[Json]] = {name: [] for name in flows.values()}
    for run in runs:
        own_tasks = [task_run for task_run in task_runs if task_run["flow_run_id"] == run["id"]]
        own_logs = [log for log in logs if log["flow_run_id"] == run["id"]]
        observed[flows[run["flow_id"]]].append(plain(flow_run(server, run, own_tasks, own_logs)))
    outside = [task_of(server, run) for run in task_runs if run["flow_run_id"] is None]
    return {
        "flows": {name: ordered(found) for name, found in observed.items()},
        "tasks outside of flows": ordered(plain(outside)),
        "artifacts": artifacts_by_flow(server, flow_of, plain),
        "variables": ordered([plain(without(each, "created", "updated", "id")) for each in server.all("variables", "NAME_ASC")]),
        "events": events(server, flow_of),
    }


def made_up(name: str) -> bool:
    """Returns whether a run's name is one that the client invented: an adjective and an animal."""
    return re.fullmatch(r"[a-z]+-[a-z]+", name) is not None


def flow_run(server: Server, run: Json, task_runs: list[Json], logs: list[Json]) -> Json:
    kept = ("name", "parameters", "run_count", "flow_version", "empirical_policy", "work_queue_name")
    return {
        **{field: run[field] for field in kept},
        "tags": sorted(run["tags"]),
        "created by": run["created_by"] and run["created_by"]["type"],
        "is a subflow": run["parent_task_run_id"] is not None,
        "deployed": run["deployment_id"] is not None,
        "start": run["start_time"] is not None,
        "end": run["end_time"] is not None,
        "states": states(server, "flow_run", run["id"]),
        "tasks": [task_of(server, task_run) for task_run in task_runs],
        "logs": [[log["name"], log["level"], log["message"], log["task_run_id"] is not None] for log in logs],
    }


def task_of(server: Server, run: Json) -> Json:
    kept = ("name", "task_version", "run_count", "flow_run_run_count", "empirical_policy")
    key = run["task_key"].rsplit("-", 1)[0]
    return {
        **{field: run[field] for field in kept},
        "name": "<made up>" if made_up(run["name"]) and not names_a_task(run["name"], key) else run["name"],
        "task": key,
        "tags": sorted(run["tags"]),
        "inputs": {name: [each["input_type"] for each in given] for name, given in run["task_inputs"].items()},
        "is cached": run["cache_key"] is not None,
        "start": run["start_time"] is not None,
        "end": run["end_time"] is not None,
        "states": states(server, "task_run", run["id"]),
    }


def names_a_task(name: str, key: str) -> bool:
    """Returns whether a task run's name is one that the client makes of the task's; the server makes up others.

    Some releases put the functions around the task into its key.
    """
    return re.fullmatch(re.escape(key.rsplit(".", 1)[-1]) + r"-[0-9a-f]{3}", name) is not None


def states(server: Server, kind: str, run_id: str) -> list[Any]:
    """The run's states in their order, those that repeat while it waits once."""
    found = server.request("GET", f"{kind}_states/", params={f"{kind}_id": run_id})
    found.sort(key=lambda state: state["timestamp"])
    said = [[state["type"], state["name"], state["message"], kind_of_data(state["data"])] for state in found]
    return [state for number, state in enumerate(said) if number == 0 or state != said[number - 1] or state[1] != "Running"]


def kind_of_data(data: Any) -> Any:
    return data.get("type") or sorted(data) if isinstance(data, dict) else data


def artifacts_by_flow(server: Server, flow_of: dict[str, str], plain: Plain) -> Json:
    """The artifacts, those of results too, by the flow that made them."""
    found: dict[str, list[Json]] = {}
    for artifact in server.all("artifacts", "ID_DESC"):
        said = without(artifact, "id", "created", "updated", "flow_run_id", "task_run_id", "metadata_")
        said["of a task"] = artifact["task_run_id"] is not None
        found.setdefault(str(flow_of.get(artifact["flow_run_id"])), []).append(plain(said))
    return {flow: ordered(each) for flow, each in found.items()}


def events(server: Server, flow_of: dict[str, str]) -> Json:
    """How often each event came, by the flow that it tells of."""
    counts: Counter[str] = Counter()
    for event in server.events():
        ids = [resource["prefect.resource.id"] for resource in [event["resource"], *event["related"]]]
        runs = [flow_of[id.removeprefix("prefect.flow-run.")] for id in ids if id.removeprefix("prefect.flow-run.") in flow_of]
        kinds = sorted({"/".join([r.get("prefect.resource.role", ""), kind_of(r)]) for r in event["related"]})
        counts[f"{runs[0] if runs else '-'}: {event['event']} {kind_of(event['resource'])} {kinds}"] += 1
    return {name: True if AS_OFTEN_AS_IT_TAKES.search(name) else count for name, count in sorted(counts.items())}


def kind_of(resource: Json) -> str:
    """A resource's kind: its id without what is its own."""
    id = resource["prefect.resource.id"]
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", id)


def without(record: Json, *fields: str) -> Json:
    return {name: value for name, value in record.items() if name not in fields}


def ordered(records: list[Any]) -> list[Any]:
    """The records in an order that depends on nothing but what they say."""
    return sorted(records, key=repr)


class Plain:
    """Replaces in what is said whatever differs from run to run; lists of logs and tasks lose their order."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.made_up = re.compile("|".join(map(re.escape, names)) or "(?!)")

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            value = self.made_up.sub(lambda found: self.names[found.group()], value)
            for pattern, replacement in VARYING:
                value = pattern.sub(replacement, value)
            return value
        if isinstance(value, list):
            return [self(each) for each in value]
        if isinstance(value, dict):
            plain = {self(name): self(each) for name, each in value.items()}
            return {name: ordered(each) if name in ("logs", "tasks") else each for name, each in plain.items()}
        return value
