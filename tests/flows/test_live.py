"""What clients are told as it happens: subscribers of events, `prefect event stream`, and the commands that watch runs."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from datetime import UTC, datetime

from harness import Api, Runner, eventually


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def add_run(api: Api, name: str) -> str:
    flow = api.post("flows/", {"name": name})
    run: str = api.post("flow_runs/", {"flow_id": flow["id"], "name": name, "state": {"type": "PENDING"}})["id"]
    return run


def test_a_subscriber_of_events(runner: Runner, api: Api) -> None:
    listening = runner.start("listening")
    assert json.loads(first_line(listening)) == "listening"
    run = add_run(api, "listened to")
    for state in ("RUNNING", "COMPLETED"):
        api.set_state(run, {"type": state})
    names = json.loads(runner.finish(listening).lines[-1])
    assert names[-3:] == ["prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.Completed"]


def test_the_command_that_shows_events(runner: Runner, api: Api) -> None:
    stream = runner.start_prefect("event", "stream", "--format", "json")
    try:
        # The command says that it listens before it does.
        deadline = time.monotonic() + 60
        made = 0
        while time.monotonic() < deadline:
            api.post("variables/", {"name": f"shown_{made}", "value": 1})
            made += 1
            line = first_line(stream) if made > 3 else ""
            if '"prefect.variable.created"' in line:
                break
            time.sleep(1)
        assert '"prefect.variable.created"' in line
    finally:
        stream.send_signal(signal.SIGINT)
        runner.finish(stream, None)


def test_a_run_is_watched_until_it_ends(runner: Runner, api: Api) -> None:
    run = add_run(api, "watched")
    watching = runner.start_prefect("flow-run", "watch", run)
    assert "Pending" in first_line(watching)
    api.set_state(run, {"type": "RUNNING"})
    log = {"name": "prefect.flow_runs", "level": 20, "message": "told at once", "flow_run_id": run}
    api.http.post("logs/", json=[{**log, "timestamp": datetime.now(UTC).isoformat()}]).raise_for_status()
    time.sleep(1)
    began = time.monotonic()
    api.set_state(run, {"type": "COMPLETED"})
    printed = "".join(runner.finish(watching).lines)
    assert time.monotonic() - began < 10
    assert "told at once" in printed and "Completed" in printed


def test_a_cancelled_run_is_seen_at_once(runner: Runner, api: Api) -> None:
    run = add_run(api, "cancelled")
    watching = runner.start_prefect("flow-run", "watch", run)
    assert "Pending" in first_line(watching)
    began = time.monotonic()
    api.set_state(run, {"type": "CANCELLED"}, force=True)
    printed = "".join(runner.finish(watching, 1).lines)
    assert time.monotonic() - began < 10
    assert "ancelled" in printed


def test_a_deployment_is_run_and_watched(runner: Runner, api: Api) -> None:
    serving = runner.start("serving")
    try:

        def is_served() -> None:
            assert api.http.get("deployments/name/add/served").status_code == 200

        eventually(is_served, 60)
        printed = runner.prefect("deployment", "run", "add/served", "--param", "first=3", "--watch", "--watch-timeout", "60")
        assert "Completed" in printed
    finally:
        serving.send_signal(signal.SIGINT)
        runner.finish(serving, None)
