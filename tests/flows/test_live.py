"""What clients are told as it happens: subscribers of events, `prefect event stream`, and the commands that watch runs."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness import Api, Runner, eventually
from servers import start_subject

# Far above what a client takes to start on a busy machine.
PATIENCE = 120.0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server without a past: who subscribes is told of the last quarter of an hour, too."""
    server = start_subject(tmp_path_factory.mktemp("live"), "--in-memory")
    try:
        yield server.api_url
    finally:
        server.stop()


@pytest.fixture
def runner(url: str, tmp_path: Path) -> Runner:
    return Runner(url, tmp_path)


@pytest.fixture
def api(url: str) -> Api:
    return Api(url)


class Printing:
    """A process that prints as things happen."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def prints(self, text: str) -> bool:
        return text in "".join(self.lines)

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.prints(text):
            assert time.monotonic() < deadline and self.process.poll() is None, self.lines
            time.sleep(0.05)

    def end(self) -> str:
        """Waits for its end; returns what it has printed."""
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
        self.reading.join(PATIENCE)
        return "".join(self.lines)


def add_run(api: Api, name: str) -> str:
    flow = api.post("flows/", {"name": name})
    run: str = api.post("flow_runs/", {"flow_id": flow["id"], "name": name, "state": {"type": "PENDING"}})["id"]
    return run


def test_a_subscriber_of_events(runner: Runner, api: Api) -> None:
    listening = Printing(runner.start("listening"))
    listening.wait_for("listening")
    run = add_run(api, "listened to")
    for state in ("RUNNING", "COMPLETED"):
        api.set_state(run, {"type": state})
    names = json.loads(listening.end().splitlines()[-1])
    assert names == ["prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.Completed"]


def test_the_command_that_shows_events(runner: Runner, api: Api) -> None:
    stream = Printing(runner.start_prefect("event", "stream", "--format", "json"))
    try:
        # The command does not say since when it listens, and what it shows first may have happened before.
        deadline = time.monotonic() + PATIENCE
        made = 0
        while not stream.prints(f"shown_{made - 2}") or made < 3:
            assert time.monotonic() < deadline, stream.lines
            api.post("variables/", {"name": f"shown_{made}", "value": 1})
            made += 1
            time.sleep(0.5)
        assert stream.prints('"prefect.variable.created"')
    finally:
        stream.process.send_signal(signal.SIGINT)
        stream.end()


def test_a_run_is_watched_until_it_ends(runner: Runner, api: Api) -> None:
    run = add_run(api, "watched")
    watching = Printing(runner.start_prefect("flow-run", "watch", run))
    watching.wait_for("Pending")
    api.set_state(run, {"type": "RUNNING"})
    log = {"name": "prefect.flow_runs", "level": 20, "message": "told at once", "flow_run_id": run}
    api.http.post("logs/", json=[{**log, "timestamp": datetime.now(UTC).isoformat()}]).raise_for_status()
    watching.wait_for("told at once")
    began = time.monotonic()
    api.set_state(run, {"type": "COMPLETED"})
    assert "Completed" in watching.end()
    assert time.monotonic() - began < 20


def test_a_cancelled_run_is_seen_at_once(runner: Runner, api: Api) -> None:
    run = add_run(api, "cancelled")
    watching = Printing(runner.start_prefect("flow-run", "watch", run))
    watching.wait_for("Pending")
    began = time.monotonic()
    api.set_state(run, {"type": "CANCELLED"}, force=True)
    assert "ancelled" in watching.end()
    assert time.monotonic() - began < 20


def test_a_suspended_run_is_seen_at_once(runner: Runner, api: Api) -> None:
    run = add_run(api, "suspended")
    watching = Printing(runner.start_prefect("flow-run", "watch", run))
    watching.wait_for("Pending")
    api.set_state(run, {"type": "RUNNING"})
    watching.wait_for("Running")
    began = time.monotonic()
    api.set_state(run, {"type": "PAUSED", "name": "Suspended"}, force=True)
    watching.wait_for("Suspended")
    assert time.monotonic() - began < 10
    api.set_state(run, {"type": "COMPLETED"}, force=True)
    watching.end()


def test_a_deployment_is_run_and_watched(runner: Runner, api: Api) -> None:
    serving = runner.start("serving")
    try:

        def is_served() -> None:
            assert api.http.get("deployments/name/add/served").status_code == 200

        eventually(is_served, PATIENCE)
        printed = runner.prefect("deployment", "run", "add/served", "--param", "first=3", "--watch", "--watch-timeout", "60")
        assert "Completed" in printed
    finally:
        serving.send_signal(signal.SIGINT)
        runner.finish(serving, None)
