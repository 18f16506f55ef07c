"""The scheduler beside the real server's: how long the first runs of many deployments take, and a tick with nothing to do.

Usage: .venv/bin/python tests/benchmark/schedules_side_by_side.py [--deployments 1000] [--rules-from 1970] [--server BIN]
    [--schedules BIN]

Makes the same deployments in both servers over HTTP, one in ten with a recurrence rule that began in 1970 (some eight
seconds each for the real server), while their schedulers are off. Then each server is started anew with its scheduler, alone on the machine, and watched until it has made
all runs. In the end a tick is timed over the database that it left, without HTTP. The real server is that of the environment
of PROCTOR_ORACLE_PYTHON; its scheduler needs an SQLAlchemy older than 2.1 (tests/conformance/README.md).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import servers  # noqa: E402

# The real server answers nobody while it expands a rule of old.
PATIENCE_SECONDS = 3_600
# Ours never pauses as long as this before it has made all runs.
QUIET_SECONDS = 15
SCHEDULER = "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"
# What is measured is the scheduler's work, not how long it waits for its next tick.
AT_ONCE = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1"}
ORACLE_PYTHON = os.environ.get("PROCTOR_ORACLE_PYTHON", sys.executable)

ORACLE_TICK = """
import asyncio, logging, statistics, time
from prefect.server.services.scheduler import schedule_deployments

async def main():
    times = []
    for _ in range(11):
        started = time.perf_counter()
        await schedule_deployments()
        times.append((time.perf_counter() - started) * 1e3)
    print(statistics.median(times))

logging.disable(logging.CRITICAL)
asyncio.run(main())
"""


def schedule(number: int, rules_from: int) -> dict[str, Any]:
    """Returns one of ten schedules, as `schedules` has them."""
    hour = {"interval": 3_600, "anchor_date": "1970-01-01T00:00:00Z", "timezone": "UTC"}
    cron = ["*/15 * * * *", "0 9 * * MON-FRI", "0 0 L * *", "30 2 * * *"]
    match number % 10:
        case 0:
            rule = "FREQ=SECONDLY;INTERVAL=1200" if number % 20 == 0 else "FREQ=MINUTELY;INTERVAL=30"
            return {"rrule": f"DTSTART:{rules_from}0101T000000\nRRULE:{rule}", "timezone": "Europe/Berlin"}
        case 1 | 2 | 3:
            return hour
        case 4 | 5:
            return {**hour, "interval": 86_400}
        case kind:
            return {"cron": cron[kind - 6], "timezone": "America/New_York"}


@dataclass
class Contender:
    """A server that can be started anew on the database that it left, and a command that prints a tick's milliseconds."""

    name: str
    command: Callable[[int], list[str | Path]]
    tick: list[str | Path]
    home: Path
    settings: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return servers.clean_environment(self.home) | AT_ONCE | self.settings

    @contextmanager
    def running(self, *, scheduler: bool) -> Iterator[tuple[servers.Server, httpx.Client]]:
        port = servers.free_port()
        environment = self.environment | {SCHEDULER: str(scheduler).lower()}
        server = servers.launch(self.command(port), port, environment, self.home / "server.log", 120)
        try:
            with httpx.Client(base_url=server.api_url, timeout=PATIENCE_SECONDS) as api:
                yield server, api
        finally:
            server.stop(timeout_seconds=PATIENCE_SECONDS)


@dataclass
class Measured:
    """What a server took: seconds, and milliseconds of a tick."""

    creation: float
    first_runs: float
    processor: float
    runs: int
    tick: float


def post(api: httpx.Client, path: str, body: Any) -> Any:
    """Sends a request until the server is not too busy for it; returns the answer."""
    while (answer := api.post(path, json=body)).status_code == 503:
        time.sleep(0.1)
    answer.raise_for_status()
    return answer.json()


def processor_seconds(server: servers.Server) -> float:
    """The processor time that the server has used so far."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(api: httpx.Client, deployments: int, rules_from: int) -> float:
    """Makes the deployments; returns the seconds that it took."""
    flow = post(api, "/flows/", {"name": "flow"})["id"]
    started = time.perf_counter()
    for number in range(deployments):
        body = {"name": f"deployment-{number}", "flow_id": flow, "schedules": [{"schedule": schedule(number, rules_from)}]}
        post(api, "/deployments/", body)
    return time.perf_counter() - started


def watch(server: servers.Server, api: httpx.Client, expected: int | None) -> tuple[float, float, int]:
    """Waits until as many runs are made as are expected, or else no more of them.

    Returns the seconds to the last of them, those of the processor, and how many there are.
    """
    started, at_start = time.perf_counter(), processor_seconds(server)
    count, last, used = 0, started, 0.0
    while True:
        found, now = post(api, "/flow_runs/count", {}), time.perf_counter()
        if found != count:
            count, last, used = found, now, processor_seconds(server) - at_start
        if count >= expected if expected else count and now - last > QUIET_SECONDS:
            return last - started, used, count
        if now - started > PATIENCE_SECONDS:
            raise SystemExit(f"{server.api_url} has made {count} runs of {expected} in {PATIENCE_SECONDS} s")
        time.sleep(0.5)


def measure(contender: Contender, deployments: int, rules_from: int, expected: int | None) -> Measured:
    with contender.running(scheduler=False) as (_, api):
        creation = fill(api, deployments, rules_from)
    with contender.running(scheduler=True) as (server, api):
        first_runs, processor, runs = watch(server, api, expected)
    ticked = subprocess.run(
        [str(part) for part in contender.tick], env=contender.environment, check=True, capture_output=True, text=True
    )
    measured = Measured(creation, first_runs, processor, runs, float(ticked.stdout.split()[-1]))
    print(f"[{contender.name}] {measured}", file=sys.stderr, flush=True)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deployments", type=int, default=1_000)
    parser.add_argument("--rules-from", type=int, default=1970, help="the year in which the recurrence rules begin")
    parser.add_argument("--server", type=Path, default=Path("target/release/proctor"))
    parser.add_argument("--schedules", type=Path, default=Path("target/release/schedules"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="schedules-") as directory:
        ours, theirs = Path(directory, "ours"), Path(directory, "theirs")
        for home in (ours, theirs):
            home.mkdir()
        serve = [ORACLE_PYTHON, "-m", "prefect", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port"]
        oracle = Contender(
            "the real server",
            lambda port: [*serve, str(port)],
            [ORACLE_PYTHON, "-c", ORACLE_TICK],
            theirs,
            {"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{theirs}/oracle.db"},
        )
        subject = Contender(
            "ours",
            lambda port: [options.server, "--no-ui", "--host", "127.0.0.1", "--data", ours, "--port", str(port)],
            [options.schedules, "--tick", ours / "proctor.db"],
            ours,
            {},
        )
        us = measure(subject, options.deployments, options.rules_from, None)
        them = measure(oracle, options.deployments, options.rules_from, us.runs)
    print(f"{options.deployments} deployments, {us.runs} runs (the real server: {them.runs})\n")
    print("| what | ours | the real server | ratio |\n|---|--:|--:|--:|")
    for what, mine, theirs_ in (
        ("deployments made, s", us.creation, them.creation),
        ("first runs of all, s", us.first_runs, them.first_runs),
        ("the same, processor s", us.processor, them.processor),
        ("a tick with nothing to do, ms", us.tick, them.tick),
    ):
        print(f"| {what} | {mine:.2f} | {theirs_:.2f} | {theirs_ / mine:.1f}× |")


if __name__ == "__main__":
    main()
