"""Runs the main flows with releases of the client, against the real server and against ours, and compares.

    python tests/clients/compare.py 3.0.11 3.9.1

`run` makes the environments that it needs, and starts it. It ends with 1 if anything differs, and with the
differences.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import assets  # noqa: E402
from conformance.servers import ORACLE_SUPPLEMENT, QUIET_SERVICES, oracle_executable  # noqa: E402
from observe import observe  # noqa: E402
from servers import clean_environment, free_port, launch, subject_binary  # noqa: E402


@dataclass(frozen=True)
class Unbuilt:
    """A scenario that needs what is not built: what that is, for which releases, and where its traces differ."""

    scenario: str
    needs: str
    traces: tuple[str, ...]
    versions: tuple[str, ...] = ()

    def concerns(self, version: str, scenarios: list[str]) -> bool:
        return self.scenario in scenarios and (not self.versions or version in self.versions)


# It is an error if one of these scenarios does not differ: strike it then.
UNBUILT = (
    Unbuilt(
        "background_tasks",
        "the websocket /api/task_runs/subscriptions/scheduled",
        ("tasks outside of flows/", "artifacts/None/", "events/-: prefect.task-run."),
    ),
    # Later releases go on by polls where there is no such websocket, and earlier ones never ask for it.
    Unbuilt(
        "work_pool",
        "the websocket /api/events/out",
        ("flows/deployed-", "artifacts/deployed-", "events/deployed-", "events/-: prefect."),
        ("3.4.25",),
    ),
    Unbuilt(
        "served",
        "the websocket /api/events/out",
        ("flows/asking-a-deployment/", "artifacts/asking-a-deployment/", "events/asking-a-deployment: "),
        ("3.4.25",),
    ),
)

# Services that these flows need; the others act by the clock, and would change runs at another time on each server.
NEEDED = ("CANCELLATION_CLEANUP", "REPOSSESSOR")
SETTINGS = {
    **{name: value for name, value in QUIET_SERVICES.items() if not any(needed in name for needed in NEEDED)},
    "PREFECT_SERVER_TASKS_TAG_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
}
TIMEOUT_SECONDS = 900
SETTLED_SECONDS = 60


@dataclass
class Told:
    """What came of the scenarios on one server: what each answered, and what the server knows."""

    answers: dict[str, Any]
    known: dict[str, Any]
    errors: str


def python_of(version: str) -> Path:
    return HERE.parent.parent / ".venv-clients" / version / "bin" / "python"


def run_scenarios(version: str, url: str, scenarios: list[str]) -> tuple[dict[str, Any], str]:
    """Runs the scenarios with that release against the server; returns their answers, and what went to stderr."""
    with tempfile.TemporaryDirectory(prefix="clients-") as home:
        environment = {
            **clean_environment(Path(home)),
            "PREFECT_API_URL": url,
            # 3.4 keeps results in the account's home, whatever PREFECT_HOME says, so that the two would share a cache.
            "PREFECT_LOCAL_STORAGE_PATH": f"{home}/storage",
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "NO_COLOR": "1",
        }
        command = [python_of(version), HERE / "scenarios.py", *scenarios]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, cwd=HERE)
        answers = [json.loads(line) for line in ran.stdout.splitlines()]
        return {answer["scenario"]: answer["answer"] for answer in answers}, ran.stderr


@contextlib.contextmanager
def both_servers(keep: Path | None, version: str) -> Iterator[list[str]]:
    """Runs the real server and ours on empty databases; yields their addresses."""
    real = [oracle_executable(), "server", "start", "--no-ui"]
    ours = [subject_binary(), "--in-memory"]
    with contextlib.ExitStack() as stack:
        urls = []
        for name, command in (("real", real), ("ours", ours)):
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clients-server-")))
            environment = {**clean_environment(home), **SETTINGS, "PYTHONPATH": str(ORACLE_SUPPLEMENT)}
            port = free_port()
            log = home / "server.log"
            server = launch([*command, "--host", "127.0.0.1", "--port", str(port)], port, environment, log, 120)
            if keep:
                stack.callback(shutil.copy, log, keep / f"{version}-{name}-server.log")
            stack.callback(server.stop)
            urls.append(server.api_url)
        yield urls


def flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Everything that was observed, each with its place, down to a flow, an artifact or an event."""
    if isinstance(value, dict) and place.count("/") < 2:
        for name, each in value.items():
            yield from flat(each, f"{place}{name}/")
    else:
        yield place, value


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, str]:
    """Where the two observations differ, and how."""
    both = [dict(flat(each)) for each in (theirs, ours)]
    found = {}
    for place in sorted(set(both[0]) | set(both[1])):
        # As values, since SQLite makes the real server answer 55 for an artifact's 55.0.
        pair = [each.get(place) for each in both]
        if pair[0] != pair[1]:
            pair = [json.dumps(each, indent=1, ensure_ascii=False, default=str).splitlines() for each in pair]
            lines = difflib.unified_diff(*pair, "real", "ours", n=2, lineterm="")
            found[place] = "\n".join(list(lines)[2:])
    return found


def compare(version: str, scenarios: list[str], keep: Path | None) -> dict[str, str]:
    """Runs the release against both servers; returns what differs, by the scenario or the place that it is in."""
    expected = [unbuilt for unbuilt in UNBUILT if unbuilt.concerns(version, scenarios)]
    with both_servers(keep, version) as urls, ThreadPoolExecutor() as threads:
        ran = list(threads.map(lambda url: run_scenarios(version, url, scenarios), urls))
        deadline = time.monotonic() + SETTLED_SECONDS
        # Task runs, logs and events arrive a while after the flow has ended.
        while True:
            known = list(threads.map(observe, urls))
            found = differences(*known)
            if not surprising(found, expected) or time.monotonic() > deadline:
                break
            time.sleep(2)
    theirs, ours = (Told(answers, each, errors) for (answers, errors), each in zip(ran, known, strict=True))
    if keep:
        for name, told in (("real", theirs), ("ours", ours)):
            (keep / f"{version}-{name}.json").write_text(json.dumps([told.answers, told.known], indent=1, default=str))
            (keep / f"{version}-{name}.errors").write_text(told.errors)
    return faults(theirs, ours, found, scenarios, expected)


def surprising(found: dict[str, str], expected: list[Unbuilt]) -> dict[str, str]:
    """What differs and is no trace of a scenario that is known to."""
    traces = tuple(trace for unbuilt in expected for trace in unbuilt.traces)
    return {place: how for place, how in found.items() if not place.startswith(traces)}


def faults(theirs: Told, ours: Told, found: dict[str, str], scenarios: list[str], expected: list[Unbuilt]) -> dict[str, str]:
    """What differs, by the scenario or the place that it is in."""
    told = {}
    needs = {unbuilt.scenario: unbuilt.needs for unbuilt in expected}
    for name in scenarios:
        pair = [each.answers.get(name, "was not reached") for each in (theirs, ours)]
        if name in needs:
            if pair[0] == pair[1]:
                told[name] = "does what it does on the real server; strike it from UNBUILT"
            else:
                print(f"  · {name} needs {needs[name]}")
        elif pair[0] != pair[1]:
            told[name] = f"real {pair[0]}\nours {pair[1]}"
        elif isinstance(pair[0], str) and "Error" in pair[0]:
            print(f"  · {name} fails on both servers: {pair[0]}")
    return told | surprising(found, expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="+", metavar="VERSION")
    parser.add_argument("--scenario", action="append", help="only this scenario; may be given more than once")
    parser.add_argument("--keep", type=Path, help="a directory for what was observed and for what the scripts said")
    options = parser.parse_args()
    listed = subprocess.run([sys.executable, HERE / "scenarios.py", "--list"], capture_output=True, text=True, check=True)
    scenarios = options.scenario or listed.stdout.split()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    with assets.made(subject_binary(), oracle_executable().parent.parent):
        differ = [version for version in options.versions if differs(version, scenarios, options.keep)]
    return int(bool(differ))


def differs(version: str, scenarios: list[str], keep: Path | None) -> bool:
    """Compares a release, and prints and returns whether it differs."""
    started = time.monotonic()
    print(f"{version}:", flush=True)
    told = compare(version, scenarios, keep)
    print(f"  {len(scenarios)} scenarios, {len(told)} differences, {time.monotonic() - started:.0f} s", flush=True)
    for place, how in told.items():
        print(f"  ≠ {place}", indented(how), flush=True)
    return bool(told)


def indented(text: str) -> str:
    return "".join(f"\n      {line}" for line in text.splitlines())


if __name__ == "__main__":
    sys.exit(main())
