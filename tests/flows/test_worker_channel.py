"""Workers over their channel, with the unmodified `prefect worker start`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Api, Json, Runner, eventually
from servers import Server, free_port, start_subject

# A worker that has no channel sends as many heartbeats as requests.
EAGER = {"PREFECT_WORKER_HEARTBEAT_SECONDS": "1", "PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_LOGGING_LEVEL": "DEBUG"}
BY_CHANNEL = "Skipping REST worker heartbeat because the worker channel is healthy"
SETTINGS = {
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
    "PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_LEASE_SECONDS": "5",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, whose data outlives it."""
    server = serve(tmp_path, free_port())
    yield server
    server.stop()


def serve(home: Path, port: int) -> Server:
    return start_subject(home, "--data", home / "data", port=port, settings=SETTINGS)


@contextmanager
def working(runner: Runner, home: Path, *command: str) -> Iterator[Path]:
    """A worker that works until it is told to stop; what it says is in the file."""
    said = home / f"worker-{time.monotonic_ns()}.log"
    with said.open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, *command],
            env=runner.environment | EAGER,
            cwd=Path(__file__).resolve().parents[2],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield said
        finally:
            worker.send_signal(signal.SIGINT)
            worker.wait(60)


def command(pool: str, name: str, *options: str) -> list[str]:
    return ["-m", "prefect", "worker", "start", "--pool", pool, "--name", name, *options]


def deploy(runner: Runner, api: Api, flow: str, pool: str) -> Json:
    entrypoint = f"tests/flows/scripts/deployed.py:{flow}"
    runner.prefect("--no-prompt", "deploy", entrypoint, "--name", "channel", "--pool", pool)
    found: Json = api.get(f"deployments/name/{flow}/channel")
    return found


def ask_for_run(api: Api, deployment: Json, **parameters: object) -> str:
    run: str = api.post(f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})["id"]
    return run


def ends(api: Api, run: str, state: str) -> None:
    def has_ended() -> None:
        assert api.flow_run(run)["state_type"] == state, api.flow_run(run)["state"]

    eventually(has_ended, 90)


def worker_of(api: Api, pool: str) -> Json:
    workers: list[Json] = api.post(f"work_pools/{pool}/workers/filter", {})
    assert len(workers) == 1
    return workers[0]


def is_served_by_channel(api: Api, pool: str, said: Path) -> None:
    """Waits until the worker sends its heartbeats over the channel, and the server notes them."""
    count = len(re.findall(BY_CHANNEL, said.read_text()))

    def speaks() -> None:
        assert len(re.findall(BY_CHANNEL, said.read_text())) >= count + 2

    eventually(speaks, 60)
    before = worker_of(api, pool)["last_heartbeat_time"]

    def beats() -> None:
        assert worker_of(api, pool)["last_heartbeat_time"] > before
        assert worker_of(api, pool)["status"] == "ONLINE"

    eventually(beats, 20)


def test_a_worker_makes_its_pool_and_goes_on_after_a_restart(server: Server, tmp_path: Path) -> None:
    api, runner = Api(server.api_url), Runner(server.api_url, tmp_path / "home")
    with working(runner, tmp_path, *command("made", "one", "--type", "process")) as said:
        eventually(lambda: api.get("work_pools/made"), 60)
        is_served_by_channel(api, "made", said)
        assert api.get("work_pools/made")["status"] == "READY"
        add = deploy(runner, api, "add", "made")
        run = ask_for_run(api, add, first=1)
        ends(api, run, "COMPLETED")
        surrounded = deploy(runner, api, "surrounded", "made")

        # It goes by the pool's template as it is, though it never asks for it.
        template = api.get("work_pools/made")["base_job_template"]
        template["variables"]["properties"]["env"]["default"] = {"CHANGED": "while it worked"}
        assert api.http.patch("work_pools/made", json={"base_job_template": template}).is_success
        run = ask_for_run(api, surrounded, environment={"CHANGED": "while it worked"})
        ends(api, run, "COMPLETED")

        for stop in (signal.SIGTERM, signal.SIGKILL):
            server.stop(stop)
            time.sleep(2)
            server.process = serve(tmp_path, server.port).process
            is_served_by_channel(api, "made", said)
            run = ask_for_run(api, add, first=1)
            ends(api, run, "COMPLETED")


def test_a_run_of_a_worker_is_cancelled_at_once(api_url: str, api: Api, tmp_path: Path) -> None:
    """By its worker, which hears of it as it happens, long before the cancellation takes too long."""
    runner = Runner(api_url, tmp_path / "home")
    with working(runner, tmp_path, *command("cancelled", "one", "--type", "process")) as said:
        is_served_by_channel(api, "cancelled", said)
        run = ask_for_run(api, deploy(runner, api, "linger", "cancelled"), seconds=600)

        def is_running() -> None:
            assert api.flow_run(run)["state_type"] == "RUNNING"

        eventually(is_running, 60)
        began = time.monotonic()
        runner.prefect("flow-run", "cancel", run)
        ends(api, run, "CANCELLED")
        assert time.monotonic() - began < 40, "it takes a moment to end a process, and minutes to wait for it"


def test_a_queues_worker_that_is_not_to_be_is_told_so(server: Server, tmp_path: Path) -> None:
    """Without a channel it works on, as it does where the server has none."""
    api, runner = Api(server.api_url), Runner(server.api_url, tmp_path / "home")
    runner.prefect("work-pool", "create", "queued", "--type", "process")
    with working(runner, tmp_path, *command("queued", "one", "--work-queue", "nowhere")) as said:
        eventually(lambda: worker_of(api, "queued"), 60)
        assert BY_CHANNEL not in said.read_text()


def test_what_a_dead_worker_left_is_torn_down_by_another(server: Server, tmp_path: Path) -> None:
    """The cancellation takes too long, for nobody carries it out; a worker is asked over its channel."""
    api, runner = Api(server.api_url), Runner(server.api_url, tmp_path / "home")
    runner.prefect("work-pool", "create", "left", "--type", "process")
    linger = deploy(runner, api, "linger", "left")
    left_behind = subprocess.Popen(["sleep", "600"])
    notes = tmp_path / "notes"
    try:
        # The run of a worker that is gone, on this machine.
        run = ask_for_run(api, linger, seconds=600)
        for state in ("PENDING", "RUNNING"):
            api.set_state(run, {"type": state}, force=True)
        pid = f"here:{left_behind.pid}"
        assert api.http.patch(f"flow_runs/{run}", json={"infrastructure_pid": pid}).is_success
        script = str(Path(__file__).with_name("scripts") / "cleaning_worker.py")
        with working(runner, tmp_path, script, "left", "cleaner", str(notes)) as said:
            is_served_by_channel(api, "left", said)
            api.set_state(run, {"type": "CANCELLING"}, force=True)
            ends(api, run, "CANCELLED")
            left_behind.wait(30)
            time.sleep(7)
            assert notes.read_text() == f"{pid}\n", "asked once: it was acknowledged before the lease expired"
    finally:
        left_behind.kill()
        left_behind.wait()


def test_what_was_left_to_a_worker_that_dies_is_left_to_the_next(server: Server, tmp_path: Path) -> None:
    """Also over a restart of the server: nothing of it is in memory alone."""
    api, runner = Api(server.api_url), Runner(server.api_url, tmp_path / "home")
    runner.prefect("work-pool", "create", "kept", "--type", "process")
    linger = deploy(runner, api, "linger", "kept")
    run = ask_for_run(api, linger, seconds=600)
    left_behind = subprocess.Popen(["sleep", "600"])
    notes = tmp_path / "notes"
    try:
        for state in ("PENDING", "RUNNING"):
            api.set_state(run, {"type": state}, force=True)
        assert api.http.patch(f"flow_runs/{run}", json={"infrastructure_pid": f"here:{left_behind.pid}"}).is_success
        api.set_state(run, {"type": "CANCELLING"}, force=True)
        ends(api, run, "CANCELLED")
        server.stop(signal.SIGKILL)
        server.process = serve(tmp_path, server.port).process
        script = str(Path(__file__).with_name("scripts") / "cleaning_worker.py")
        with working(runner, tmp_path, script, "kept", "cleaner", str(notes)):
            left_behind.wait(60)
        assert notes.read_text() == f"here:{left_behind.pid}\n"
    finally:
        left_behind.kill()
        left_behind.wait()
