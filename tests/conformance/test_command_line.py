"""The `prefect` command says the same, whichever of the two servers it talks to."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from . import servers
from .conftest import asked_side_by_side
from .side_by_side import Pair, Server, without_references

VARIABLES = {"type": "object", "properties": {"command": {"type": "string"}}}
DRIVER = Path(__file__).with_name("commands.py")


class Prefect:
    """The unmodified command, in a process that talks to one server."""

    def __init__(self, server: Server, home: Path) -> None:
        self.server = server
        environment = {
            **servers.inherited_environment(),
            "PREFECT_API_URL": server.url,
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_CLI_COLORS": "false",
            "PREFECT_CLI_PROMPT": "false",
            "NO_COLOR": "1",
            "COLUMNS": "20000",
            "TZ": "UTC",
        }
        self.process = subprocess.Popen(
            [servers.oracle_executable().with_name("python"), DRIVER],
            env=environment,
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: tuple[str, ...]) -> tuple[int, str]:
        """Runs the command; returns its exit code and what it printed."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps([self.server.resolve(argument) for argument in arguments]), file=self.process.stdin, flush=True)
        code, printed = json.loads(self.process.stdout.readline())
        return code, printed.replace(self.server.root, "<server>")


# How far a spinner has turned says how long the command took.
SPINNER = re.compile("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]")
# And from ten seconds on, how old something is says how busy the machine was; a table is as wide as its longest age.
SECONDS_AGO = re.compile(r"\d+ seconds ago")
BORDER = re.compile(r"([━─])\1+")


def readable(printed: str) -> Any:
    """The JSON that a command printed, or else its lines, however wide the table."""
    try:
        return json.loads(printed)
    except ValueError:
        shown = SECONDS_AGO.sub("a few seconds ago", SPINNER.sub("⠋", printed))
        return [" ".join(BORDER.sub(r"\1", line).split()) for line in shown.splitlines()]


@dataclass
class Commands:
    """The command against both servers."""

    pair: Pair
    oracle: Prefect
    subject: Prefect
    threads: ThreadPoolExecutor

    def check(self, *arguments: str, code: int = 0) -> Any:
        """Runs a command against both servers, and fails where it ends otherwise or says something else."""
        __tracebackhide__ = True
        self.pair.comparison.note_sent(without_references(list(arguments)))
        theirs, ours = self.threads.map(lambda prefect: prefect.run(arguments), (self.oracle, self.subject))
        command = f"prefect {' '.join(arguments)}"
        assert (theirs[0], ours[0]) == (code, code), f"{command}\noracle:  {theirs[1]}\nsubject: {ours[1]}"
        found = self.pair.comparison.differences(readable(theirs[1]), readable(ours[1]))
        differences = "\n".join(f"  ≠ {difference}" for difference in found)
        assert not found, f"{command}\n{differences}\noracle:  {theirs[1]}\nsubject: {ours[1]}"
        return readable(theirs[1])


@contextmanager
def ended(prefect: Prefect) -> Iterator[Prefect]:
    try:
        yield prefect
    finally:
        prefect.process.communicate()


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """The command against two servers of its own, since most commands list all that is there."""
    with ExitStack() as stack:
        pair = stack.enter_context(asked_side_by_side())
        both = [
            stack.enter_context(ended(Prefect(server, tmp_path_factory.mktemp("home"))))
            for server in (pair.oracle, pair.subject)
        ]
        yield Commands(pair, *both, stack.enter_context(ThreadPoolExecutor()))


def flow_id(pair: Pair) -> str:
    return pair.prepare("POST", "/flows/", {"name": "greet"})["id"]


SCHEMA = {
    "type": "object",
    "title": "Parameters",
    "properties": {"whom": {"type": "string", "title": "whom", "position": 0}, "times": {"type": "integer"}},
    "required": ["whom"],
}


def add_deployment(pair: Pair, name: str, **more: Any) -> str:
    body = {"name": name, "flow_id": flow_id(pair), "parameter_openapi_schema": SCHEMA, **more}
    return pair.prepare("POST", "/deployments/", body)["id"]


def test_work_pools(commands: Commands, tmp_path: Path) -> None:
    template = tmp_path / "template.json"
    template.write_text(json.dumps({"job_configuration": {"command": "{{ command }}"}, "variables": VARIABLES}))
    check = commands.check
    check("work-pool", "ls")
    check("work-pool", "ls", "--output", "json")
    check("work-pool", "create", "one", "--type", "process")
    check("work-pool", "create", "one", "--type", "process", code=1)
    check("work-pool", "create", "one", "--base-job-template", str(template), "--overwrite")
    check("work-pool", "create", "still", "--type", "process", "--paused")
    check("work-pool", "create", "untyped", code=1)
    check("work-pool", "create", " ", "--type", "process", code=1)
    check("work-pool", "create", "prefect-own", "--type", "process", code=1)
    check("work-pool", "ls")
    check("work-pool", "ls", "--verbose")
    for name in ("one", "still"):
        check("work-pool", "inspect", name, "--output", "json")
    check("work-pool", "inspect", "nowhere", code=1)
    check("work-pool", "pause", "one")
    check("work-pool", "inspect", "one", "--output", "json")
    check("work-pool", "resume", "one")
    check("work-pool", "update", "one", "--description", "said", "--concurrency-limit", "7")
    check("work-pool", "update", "one", "--base-job-template", str(template))
    check("work-pool", "set-concurrency-limit", "one", "3")
    check("work-pool", "set-concurrency-limit", "one", "-1", code=1)
    check("work-pool", "inspect", "one", "--output", "json")
    check("work-pool", "clear-concurrency-limit", "one")
    check("work-pool", "ls", "--output", "json")
    check("work-pool", "slots", "one")
    check("work-pool", "slots", "one", "--output", "json")
    check("work-pool", "preview", "one", "--hours", "3")
    check("work-pool", "provision-infrastructure", "one", code=1)
    for missing in ("pause", "resume", "update", "delete", "clear-concurrency-limit", "slots", "preview"):
        check("work-pool", missing, "nowhere", code=1)
    check("work-pool", "set-concurrency-limit", "nowhere", "3", code=1)
    check("work-pool", "delete", "one")
    check("work-pool", "inspect", "one", code=1)


def test_default_base_job_templates(commands: Commands, tmp_path: Path) -> None:
    commands.check("work-pool", "get-default-base-job-template", "--type", "process")
    file = tmp_path / "template.json"
    commands.check("work-pool", "get-default-base-job-template", "--type", "process", "--file", str(file))
    assert "job_configuration" in json.loads(file.read_text())


def test_storage_of_work_pools(commands: Commands) -> None:
    step = {"prefect_aws.experimental.bundles.upload": {"bucket": "bundles", "requires": "prefect-aws"}}
    storage = {"bundle_upload_step": step, "bundle_execution_step": step}
    pool = {"name": "stored", "type": "process", "storage_configuration": storage}
    commands.pair.prepare("POST", "/work_pools/", pool)
    commands.check("work-pool", "create", "unstored", "--type", "process")
    for name in ("stored", "unstored"):
        commands.check("work-pool", "storage", "inspect", name)
        commands.check("work-pool", "storage", "inspect", name, "--output", "json")
    commands.check("work-pool", "storage", "inspect", "nowhere", code=1)


def test_work_queues(commands: Commands) -> None:
    check = commands.check
    check("work-pool", "create", "queued", "--type", "process")
    check("work-queue", "create", "urgent", "--pool", "queued", "--priority", "1", "--limit", "2")
    check("work-queue", "create", "idle", "--pool", "queued")
    check("work-queue", "create", "idle", "--pool", "queued", code=1)
    check("work-queue", "create", "idle", "--pool", "nowhere", code=1)
    check("work-queue", "create", "alone", "--limit", "4")
    check("work-queue", "ls")
    check("work-queue", "ls", "--verbose")
    check("work-queue", "ls", "--output", "json")
    check("work-queue", "ls", "--match", "ur")
    check("work-queue", "ls", "--pool", "queued")
    check("work-queue", "ls", "--pool", "queued", "--verbose")
    check("work-queue", "ls", "--pool", "queued", "--output", "json")
    check("work-queue", "ls", "--pool", "nowhere", code=1)
    check("work-queue", "inspect", "urgent", "--pool", "queued", "--output", "json")
    check("work-queue", "inspect", "alone", "--output", "json")
    check("work-queue", "inspect", "nobody", "--pool", "queued", code=1)
    check("work-queue", "inspect", "nobody", code=1)
    check("work-queue", "pause", "urgent", "--pool", "queued")
    check("work-queue", "pause", "alone", code=1)
    check("work-queue", "ls", "--pool", "queued")
    check("work-queue", "inspect", "urgent", "--pool", "queued", "--output", "json")
    check("work-queue", "resume", "urgent", "--pool", "queued")
    check("work-queue", "resume", "alone")
    check("work-queue", "set-concurrency-limit", "urgent", "5", "--pool", "queued")
    check("work-queue", "set-concurrency-limit", "alone", "6")
    check("work-queue", "set-concurrency-limit", "nobody", "6", code=1)
    check("work-queue", "slots", "urgent", "--pool", "queued")
    check("work-queue", "slots", "urgent", "--pool", "queued", "--output", "json")
    check("work-queue", "clear-concurrency-limit", "urgent", "--pool", "queued")
    check("work-queue", "clear-concurrency-limit", "alone")
    check("work-queue", "inspect", "urgent", "--pool", "queued", "--output", "json")
    for empty in ("preview", "read-runs"):
        check("work-queue", empty, "urgent", "--pool", "queued")
        check("work-queue", empty, "alone")
        check("work-queue", empty, "nobody", "--pool", "queued", code=1)
    check("work-queue", "delete", "urgent", "--pool", "queued")
    check("work-queue", "delete", "urgent", "--pool", "queued", code=1)
    check("work-queue", "delete", "alone")
    check("work-queue", "ls")


def test_what_waits_is_previewed(commands: Commands) -> None:
    check, pair = commands.check, commands.pair
    check("work-pool", "create", "waiting", "--type", "process")
    check("work-queue", "create", "low", "--pool", "waiting", "--priority", "9")
    for queue in ("default", "low"):
        deployment = add_deployment(pair, f"in-{queue}", work_pool_name="waiting", work_queue_name=queue)
        for number in range(2):
            later = ("--start-at", f"2041-05-06 07:08:0{number}")
            check("deployment", "run", "--id", deployment, "--param", "whom=you", "--flow-run-name", f"{queue}-{number}", *later)
    for hours in ((), ("--hours", "200000")):
        check("work-pool", "preview", "waiting", *hours, "--output", "json")
        check("work-queue", "preview", "low", "--pool", "waiting", *hours, "--output", "json")
    check("work-pool", "preview", "waiting")
    check("work-queue", "preview", "low", "--pool", "waiting")
    check("work-queue", "read-runs", "low", "--pool", "waiting")
    runs = pair.prepare("POST", "/flow_runs/filter", {"flow_runs": {"name": {"any_": ["low-0"]}}})
    pair.prepare("POST", f"/flow_runs/{runs.at(0, 'id')}/set_state", {"state": {"type": "PENDING"}})
    check("work-pool", "slots", "waiting")
    check("work-pool", "slots", "waiting", "--output", "json")
    check("work-queue", "slots", "low", "--pool", "waiting")
    check("work-queue", "slots", "low", "--pool", "waiting", "--output", "json")


def with_sorted_tags(runs: Any) -> Any:
    """The real server leaves the order of tags to chance."""
    return [{**run, "tags": sorted(run["tags"])} for run in runs]


def test_deployments(commands: Commands) -> None:
    check, pair = commands.check, commands.pair
    first = add_deployment(pair, "first", tags=["kept"], parameters={"times": 2})
    add_deployment(pair, "second", paused=True)
    other = pair.prepare("POST", "/flows/", {"name": "other"})["id"]
    pair.prepare("POST", "/deployments/", {"name": "elsewhere", "flow_id": other})
    for options in ((), ("--by-created",), ("greet",), ("nobody",), ("--output", "json")):
        check("deployment", "ls", *options)
    run = ("deployment", "run", "greet/first", "--flow-run-name")
    check(*run, "plain", "--param", "whom=you")
    check(*run, "named-{whom}", "--params", '{"whom": "me", "times": 3}', "--tag", "one", "--tag", "two")
    check(*run, "varied", "--param", "whom=you", "--job-variable", "env.KEY=1", "--job-variable", "stream=true")
    check(*run, "later", "--param", "whom=you", "--start-at", "2041-05-06 07:08:09")
    check(*run, "unknown", "--param", "nobody=1", code=1)
    check(*run, "wrong", "--param", "times=many", code=1)
    check(*run, "missing-{nobody}", "--param", "whom=you", code=1)
    check("deployment", "run", "greet/nowhere", code=1)
    check("deployment", "run", "nowhere", code=1)
    check("deployment", "run", "--id", "00000000-0000-0000-0000-000000000000", code=1)
    wanted = {"flow_runs": {"deployment_id": {"any_": [first]}}, "sort": "NAME_ASC"}
    pair.check("POST", "/flow_runs/filter", wanted, view=with_sorted_tags)
    check("deployment", "delete", "greet/first")
    check("deployment", "delete", "greet/first", code=1)
    check("deployment", "delete", "--id", "00000000-0000-0000-0000-000000000000", code=1)
    check("deployment", "delete", code=1)
    check("deployment", "delete", "--all")
    check("deployment", "ls")


def by_creation(deployment: Any) -> Any:
    """The schedules of a deployment, the oldest first."""
    return sorted(deployment["schedules"], key=lambda schedule: schedule["created"])


def test_schedules(commands: Commands) -> None:
    check, pair = commands.check, commands.pair
    deployment = add_deployment(pair, "timed", parameters={"whom": "you"})
    create = ("deployment", "schedule", "create", "greet/timed")
    check("deployment", "schedule", "ls", "greet/timed")
    check(*create, "--interval", "600")
    check(*create, "--interval", "600", "--anchor-date", "2030-01-02T03:04:05+00:00", "--timezone", "Europe/Berlin")
    check(*create, "--cron", "0 9 * * MON", "--timezone", "America/New_York")
    check(*create, "--rrule", "FREQ=DAILY;INTERVAL=2")
    check(*create, "--rrule", '{"rrule": "FREQ=WEEKLY", "timezone": "Asia/Tokyo"}')
    check(*create, "--cron", "no cron", code=1)
    check(*create, "--interval", "0", code=1)
    check(*create, code=1)
    check("deployment", "schedule", "create", "greet/nowhere", "--interval", "600", code=1)
    found = pair.check("GET", f"/deployments/{deployment}", view=by_creation)
    check("deployment", "schedule", "ls", "greet/timed")
    schedules = [by_creation(response.json()) for response in (found.oracle, found.subject)]
    ids = [pair.refer(theirs["id"], ours["id"]) for theirs, ours in zip(*schedules, strict=True)]
    for schedule in ids[1:4]:
        check("deployment", "schedule", "pause", "greet/timed", schedule)
    check("deployment", "schedule", "pause", "greet/timed", ids[1], code=1)
    check("deployment", "schedule", "resume", "greet/timed", ids[1])
    check("deployment", "schedule", "resume", "greet/timed", ids[1], code=1)
    check("deployment", "schedule", "pause", "greet/timed", "00000000-0000-0000-0000-000000000000", code=1)
    check("deployment", "schedule", "pause", code=1)
    check("deployment", "schedule", "delete", "greet/timed", ids[3], "--accept-yes")
    check("deployment", "schedule", "delete", "greet/timed", ids[3], "--accept-yes", code=1)
    check("deployment", "schedule", "pause", "--all")
    check("deployment", "schedule", "pause", "--all")
    check("deployment", "schedule", "resume", "--all")
    check("deployment", "schedule", "ls", "greet/timed")
    check(*create, "--interval", "60", "--replace", "--accept-yes")
    check("deployment", "schedule", "clear", "greet/timed", "--accept-yes")
    check("deployment", "schedule", "clear", "greet/timed", "--accept-yes")
    check("deployment", "schedule", "clear", "greet/nowhere", "--accept-yes", code=1)
    check("deployment", "schedule", "ls", "greet/timed")


def test_global_concurrency_limits(commands: Commands) -> None:
    check, pair = commands.check, commands.pair
    for group in ("gcl", "global-concurrency-limit"):
        check(group, "ls")
    check("gcl", "ls", "--output", "json")
    check("gcl", "create", "slots", "--limit", "3")
    check("gcl", "create", "slots", "--limit", "3", code=1)
    check("gcl", "create", "rate", "--limit", "2", "--slot-decay-per-second", "0.5", "--active-slots", "1", "--disable")
    check("gcl", "create", "wrong", "--limit", "-1", code=1)
    check("gcl", "create", "closed", "--limit", "0")
    check("gcl", "create", "wrong", code=1)
    pair.check("POST", "/v2/concurrency_limits/increment", {"names": ["slots"], "slots": 2, "mode": "concurrency"})
    check("gcl", "ls")
    for command in (("ls",), ("inspect", "slots"), ("inspect", "rate")):
        check("gcl", *command, "--output", "json")
    check("gcl", "update", "slots", "--limit", "5", "--active-slots", "1")
    check("gcl", "update", "rate", "--enable", "--slot-decay-per-second", "1.5")
    check("gcl", "update", "rate", "--enable", "--disable", code=1)
    check("gcl", "update", "rate", code=1)
    check("gcl", "disable", "slots")
    check("gcl", "disable", "slots", code=1)
    check("gcl", "enable", "slots")
    check("gcl", "enable", "slots", code=1)
    check("gcl", "ls", "--output", "json")
    check("gcl", "delete", "slots")
    for command in ("inspect", "enable", "disable", "delete"):
        check("gcl", command, "slots", code=1)
    check("gcl", "update", "slots", "--limit", "5", code=1)
    # The real server pages through all limits before it leaves out those that are of no tag.
    for name in ("rate", "closed"):
        check("gcl", "delete", name)
    check("gcl", "ls")


def test_concurrency_limits_of_tags(commands: Commands) -> None:
    check, pair = commands.check, commands.pair
    for form in ((), ("--output", "json")):
        check("concurrency-limit", "ls", *form)
    for tag, limit in (("db", "2"), ("disk", "0"), ("db", "3")):
        check("concurrency-limit", "create", tag, limit)
    check("concurrency-limit", "create", "many", "few", code=1)
    runs = [f"0000000{number}-0000-4000-8000-000000000000" for number in range(2)]
    for run in runs:
        pair.check("POST", "/concurrency_limits/increment", {"names": ["db"], "task_run_id": run})
    for command in (("ls",), ("ls", "--limit", "1"), ("ls", "--offset", "1"), ("inspect", "db"), ("inspect", "disk")):
        for form in ((), ("--output", "json")):
            check("concurrency-limit", *command, *form)
    check("concurrency-limit", "reset", "db")
    check("concurrency-limit", "inspect", "db", "--output", "json")
    check("concurrency-limit", "delete", "disk")
    for command in ("inspect", "reset", "delete"):
        check("concurrency-limit", command, "disk", code=1)
    check("concurrency-limit", "ls")


def test_variables(commands: Commands) -> None:
    check = commands.check
    check("variable", "ls")
    check("variable", "set", "text", "ä☃", "--tag", "kept")
    check("variable", "set", "object", '{"a": [1, 2.5, null, {"b": true}]}')
    check("variable", "set", "number", "-12.5")
    check("variable", "set", "text", "again", code=1)
    check("variable", "set", "Wrong Name!", "5", code=1)
    check("variable", "set", "long", "x" * 6000, code=1)
    check("variable", "set", "object", "5", "--overwrite", "--tag", "one", "--tag", "two")
    for name in ("text", "object", "number"):
        check("variable", "get", name)
        check("variable", "inspect", name, "--output", "json")
    for options in ((), ("--limit", "2"), ("--output", "json")):
        check("variable", "ls", *options)
    check("variable", "unset", "text")
    check("variable", "delete", "object")
    for command in ("get", "inspect", "unset"):
        check("variable", command, "text", code=1)
    check("variable", "ls")


def test_artifacts(commands: Commands) -> None:
    check, pair = commands.check, commands.pair
    check("artifact", "ls")
    kept = [{"key": "report", "type": "markdown", "data": f"# {number}", "description": "said"} for number in range(3)]
    kept.append({"key": "table", "type": "table", "data": json.dumps([{"a": 1, "b": None}])})
    ids = [pair.prepare("POST", "/artifacts/", body)["id"] for body in kept]
    for options in ((), ("--limit", "1"), ("--all",), ("--output", "json"), ("--output", "xml")):
        check("artifact", "ls", *options, code=int("xml" in options))
    check("artifact", "inspect", "table")
    for options in ((), ("--limit", "2"), ("--output", "json")):
        check("artifact", "inspect", "report", *options)
    check("artifact", "inspect", "nobody's", code=1)
    check("artifact", "delete", "--id", ids[1])
    check("artifact", "delete", "--id", ids[1], code=1)
    check("artifact", "delete", "table")
    check("artifact", "delete", "table", code=1)
    check("artifact", "delete", code=1)
    check("artifact", "delete", "report", "--id", ids[0], code=1)
    check("artifact", "inspect", "report", "--output", "json")


def test_profiles(commands: Commands) -> None:
    check = commands.check
    check("profile", "ls")
    check("profile", "create", "one")
    check("profile", "create", "one", code=1)
    check("profile", "create", "two", "--from", "one")
    check("profile", "inspect", "one")
    check("profile", "inspect", "nobody's", code=1)
    check("--profile", "one", "config", "set", "PREFECT_API_URL=http://127.0.0.1:9/api")
    check("profile", "inspect", "one")
    check("profile", "use", "one")
    check("profile", "ls")
    check("profile", "rename", "two", "three")
    check("profile", "delete", "three")
    check("profile", "delete", "three", code=1)
    check("--profile", "nobody's", "config", "view", code=1)


def add_runs(pair: Pair) -> list[Any]:
    """Adds a failed run with a task run and logs, and one that waits."""
    flow = pair.prepare("POST", "/flows/", {"name": "watched"})["id"]
    failed = {"type": "FAILED", "message": "on purpose"}
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "broken", "tags": ["one"], "state": failed})
    pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "waiting", "state": {"type": "SCHEDULED"}})
    task_run = pair.prepare(
        "POST",
        "/task_runs/",
        {"flow_run_id": run["id"], "name": "step", "task_key": "step", "dynamic_key": "0", "state": failed},
    )
    logs = [
        {"name": "prefect.flow_runs", "level": 20, "message": f"line {number}", "timestamp": f"2024-01-02T03:04:0{number}Z"}
        for number in range(5)
    ]
    pair.prepare("POST", "/logs/", [{**log, "flow_run_id": run["id"], "task_run_id": task_run["id"]} for log in logs])
    return [flow, run["id"], task_run["id"]]


def test_runs(commands: Commands) -> None:
    check, pair = commands.check, commands.pair
    nobody = "00000000-0000-0000-0000-000000000000"
    _, run, task_run = add_runs(pair)
    check("flow", "ls", "--limit", "1")
    check("flow-run", "ls", "--flow-name", "nobody's")
    for group in (("flow-run", "ls", "--state-type", "FAILED"), ("flow-run", "ls", "--state", "Failed", "--limit", "1")):
        check(*group, "--flow-name", "watched", "--output", "json")
    check("flow-run", "ls", "--state", "Nobody's")
    check("flow-run", "inspect", run, "--output", "json")
    check("flow-run", "inspect", nobody, code=1)
    for options in ((), ("--head",), ("--head", "--num-logs", "2"), ("--tail", "--num-logs", "2"), ("--reverse",)):
        check("flow-run", "logs", run, *options)
        check("task-run", "logs", task_run, *options)
    check("flow-run", "logs", run, "--head", "--tail", code=1)
    check("flow-run", "logs", nobody, code=1)
    check("task-run", "inspect", task_run, "--output", "json")
    for command in ("inspect", "logs"):
        check("task-run", command, nobody, code=1)
    for options in (("--task-run-name", "step"), ("--state-type", "FAILED"), ("--state-type", "RUNNING")):
        check("task-run", "ls", *options, "--output", "json")
    check("flow-run", "watch", run, code=1)
    check("flow-run", "cancel", run, code=1)
    check("flow-run", "cancel", nobody, code=1)
    check("flow-run", "retry", run, code=1)
    check("flow-run", "delete", run)
    check("flow-run", "delete", run, code=1)


def test_the_server_and_what_else_there_is(commands: Commands) -> None:
    check = commands.check
    check("server", "status")
    check("server", "status", "--output", "json")
    check("server", "services", "ls")
    check("api", "GET", "/hello")
    check("api", "POST", "/variables/filter", "--data", '{"limit": 1}')
    check("api", "GET", "/nowhere", code=4)
    check("api", "POST", "/flows/", "--data", "{}", code=4)
    check("events", "emit", "said.so", "--resource-id", "said.resource", "--payload", '{"number": 1}')
    check("events", "emit", "said.so", code=1)
    check("config", "validate")
    check("version", "--omit-integrations")


BLOCKS = """
from prefect.blocks.core import Block
from pydantic import SecretStr


class Door(Block):
    _block_type_name = "Door"
    _block_type_slug = "door"

    colour: str = "red"
    key: SecretStr
"""


def test_blocks(commands: Commands, tmp_path: Path) -> None:
    check, pair = commands.check, commands.pair
    file = tmp_path / "doors.py"
    file.write_text(BLOCKS)
    check("block", "type", "ls")
    check("block", "register", "--file", str(file))
    check("block", "register", "--file", str(file))
    check("block", "register", "--module", "no.such.module", code=1)
    check("block", "type", "inspect", "door")
    check("block", "type", "inspect", "secret")
    check("block", "type", "inspect", "nobody-s", code=1)
    block_type = pair.prepare("GET", "/block_types/slug/door")
    schemas = pair.prepare("POST", "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [block_type["id"]]}}})
    document = {"name": "front", "data": {"colour": "blue", "key": "hidden"}, "block_type_id": block_type["id"]}
    kept = pair.prepare("POST", "/block_documents/", {**document, "block_schema_id": schemas.at(0, "id")})["id"]
    check("block", "ls")
    check("block", "inspect", "door/front")
    check("block", "inspect", "--id", kept)
    check("block", "inspect", "door/back", code=1)
    check("block", "delete", "door/front")
    check("block", "delete", "door/front", code=1)
    check("block", "delete", "--id", kept, code=1)
    check("block", "type", "delete", "secret", code=1)
    check("block", "type", "delete", "door")
    check("block", "type", "delete", "door", code=1)
    check("block", "ls")


def test_automations(commands: Commands, tmp_path: Path) -> None:
    check = commands.check
    trigger = {"type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.Failed"], "threshold": 3, "within": 60}
    again = {"name": "again", "description": "said", "trigger": trigger, "actions": [{"type": "do-nothing"}]}
    file = tmp_path / "automation.json"
    file.write_text(json.dumps(again))
    check("automation", "ls")
    check("automation", "create", "--from-file", str(file))
    check("automation", "create", "--from-json", json.dumps({**again, "name": "other", "enabled": False}))
    check("automation", "create", "--from-json", "{}", code=1)
    check("automation", "create", code=1)
    check("automation", "ls")
    for form in ("--json", "--yaml"):
        check("automation", "inspect", "again", form)
    check("automation", "pause", "again")
    check("automation", "inspect", "again", "--json")
    check("automation", "resume", "again")
    check("automation", "delete", "again")
    for command in ("inspect", "pause", "resume", "delete"):
        check("automation", command, "again", code=1)
    check("automation", "ls")
