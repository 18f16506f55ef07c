"""Work pools, work queues and workers with the unmodified `prefect` command."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness import Api, Runner, eventually


@pytest.fixture(scope="module")
def runner(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(api_url, tmp_path_factory.mktemp("home"))


@contextmanager
def working(runner: Runner, pool: str, name: str, *options: str) -> Iterator[None]:
    """A worker that serves the pool until it is told to stop, and then ends well."""
    worker = runner.start_prefect("worker", "start", "--pool", pool, "--name", name, *options)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGINT)
        runner.finish(worker)


def test_work_pool_commands(runner: Runner, api: Api) -> None:
    runner.prefect("work-pool", "create", "commanded", "--type", "process")
    assert "commanded" in runner.prefect("work-pool", "ls")
    inspected = json.loads(runner.prefect("work-pool", "inspect", "commanded", "--output", "json"))
    assert (inspected["type"], inspected["status"]) == ("process", "NOT_READY")
    runner.prefect("work-pool", "pause", "commanded")
    assert api.get("work_pools/commanded")["status"] == "PAUSED"
    runner.prefect("work-pool", "resume", "commanded")
    assert api.get("work_pools/commanded")["status"] == "NOT_READY"
    runner.prefect("work-pool", "set-concurrency-limit", "commanded", "3")
    assert api.get("work_pools/commanded")["concurrency_limit"] == 3
    runner.prefect("work-pool", "clear-concurrency-limit", "commanded")
    assert api.get("work_pools/commanded")["concurrency_limit"] is None
    runner.prefect("work-pool", "update", "commanded", "--description", "said")
    assert api.get("work_pools/commanded")["description"] == "said"
    runner.prefect("work-pool", "preview", "commanded")
    runner.prefect("--no-prompt", "work-pool", "delete", "commanded")
    assert api.http.get("work_pools/commanded").status_code == 404


def test_work_queue_commands(runner: Runner, api: Api) -> None:
    runner.prefect("work-pool", "create", "queued", "--type", "process")
    runner.prefect("work-queue", "create", "urgent", "--pool", "queued", "--priority", "1", "--limit", "2")
    assert "urgent" in runner.prefect("work-queue", "ls", "--pool", "queued")
    path = "work_pools/queued/queues/urgent"
    assert (api.get(path)["priority"], api.get(path)["concurrency_limit"]) == (1, 2)
    runner.prefect("work-queue", "inspect", "urgent", "--pool", "queued")
    runner.prefect("work-queue", "pause", "urgent", "--pool", "queued")
    assert api.get(path)["status"] == "PAUSED"
    runner.prefect("work-queue", "resume", "urgent", "--pool", "queued")
    runner.prefect("work-queue", "set-concurrency-limit", "urgent", "5", "--pool", "queued")
    assert api.get(path)["concurrency_limit"] == 5
    runner.prefect("work-queue", "clear-concurrency-limit", "urgent", "--pool", "queued")
    assert api.get(path)["concurrency_limit"] is None
    runner.prefect("work-queue", "read-runs", "urgent", "--pool", "queued")
    runner.prefect("--no-prompt", "work-queue", "delete", "urgent", "--pool", "queued")
    assert api.http.get(path).status_code == 404


def test_a_worker_serves_its_pool(runner: Runner, api: Api) -> None:
    runner.prefect("work-pool", "create", "served", "--type", "process")
    with working(runner, "served", "server"):

        def is_served() -> None:
            workers = api.post("work_pools/served/workers/filter", {})
            assert [(worker["name"], worker["status"]) for worker in workers] == [("server", "ONLINE")]
            assert api.get("work_pools/served")["status"] == "READY"
            assert api.get("work_pools/served/queues/default")["status"] == "READY"

        eventually(is_served, 60)
    assert "served" in runner.prefect("work-pool", "ls")
