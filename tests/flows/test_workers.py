"""Work pools, work queues and workers with the unmodified `prefect` command."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from harness import Api, Json, Runner, eventually


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


def deploy(runner: Runner, api: Api, flow: str, name: str, pool: str) -> Json:
    """Deploys a flow of `deployed.py` by the command, and returns the deployment."""
    entrypoint = f"tests/flows/scripts/deployed.py:{flow}"
    runner.prefect("--no-prompt", "deploy", entrypoint, "--name", name, "--pool", pool)
    return api.get(f"deployments/name/{flow}/{name}")


def deploy_from_python(runner: Runner, api: Api, flow: str, name: str, pool: str, **options: Any) -> Json:
    """Deploys a flow of `deployed.py` by `flow.deploy()`, and returns the deployment."""
    deployed = runner.run("deploying", flow, name, pool, json.dumps(options)).answer
    return api.get(f"deployments/{deployed}")


def add_run(api: Api, deployment: Json, queue: str = "default", **parameters: Any) -> str:
    body = {
        "flow_id": deployment["flow_id"],
        "deployment_id": deployment["id"],
        "work_pool_name": deployment["work_pool_name"],
        "work_queue_name": queue,
        "parameters": parameters,
        "state": {"type": "SCHEDULED"},
    }
    return api.post("flow_runs/", body)["id"]


def ask_for_run(runner: Runner, api: Api, deployment: str, name: str, *options: str) -> Json:
    """Asks for a run of a deployment by the command, and returns the run, whose name is new."""
    runner.prefect("deployment", "run", deployment, "--flow-run-name", name, *options)
    return api.post("flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})[0]


def finish(api: Api, *runs: str) -> None:
    for run in runs:

        def has_ended(run: str = run) -> None:
            assert api.flow_run(run)["state_type"] in ("COMPLETED", "FAILED", "CRASHED")

        eventually(has_ended, 120)


def test_a_worker_runs_what_is_deployed(runner: Runner, api: Api) -> None:
    runner.prefect("work-pool", "create", "deployed-to", "--type", "process")
    deployment = deploy(runner, api, "add", "added", "deployed-to")
    assert deployment["status"] == "NOT_READY"
    run = add_run(api, deployment, first=1)
    with working(runner, "deployed-to", "adder"):
        finish(api, run)
        assert api.get(f"deployments/{deployment['id']}")["status"] == "READY"
    states = api.states(run)
    assert (states[0], states[-2:]) == ("Scheduled", ["Running", "Completed"])


def test_a_pool_runs_as_many_as_it_may(runner: Runner, api: Api) -> None:
    """Two workers serve a pool with one slot: what they run never overlaps."""
    runner.prefect("work-pool", "create", "narrow", "--type", "process")
    runner.prefect("work-pool", "set-concurrency-limit", "narrow", "1")
    deployment = deploy(runner, api, "linger", "lingered", "narrow")
    runs = [add_run(api, deployment, seconds=2) for _ in range(3)]
    with working(runner, "narrow", "one"), working(runner, "narrow", "other"):
        finish(api, *runs)
    ended = [api.flow_run(run) for run in runs]
    assert {run["state_type"] for run in ended} == {"COMPLETED"}

    def time(run: Json, which: str) -> datetime:
        return datetime.fromisoformat(run[which])

    ended.sort(key=lambda run: time(run, "start_time"))
    for before, after in zip(ended, ended[1:], strict=False):
        assert time(before, "end_time") <= time(after, "start_time")


def test_a_worker_runs_what_python_deploys(runner: Runner, api: Api) -> None:
    runner.prefect("work-pool", "create", "deployed-from-python", "--type", "process")
    deployment = deploy_from_python(
        runner,
        api,
        "add",
        "from-python",
        "deployed-from-python",
        parameters={"first": 1},
        tags=["deployed"],
        description="adds",
        cron="0 0 1 1 *",
        version="7",
    )
    assert deployment["entrypoint"] == "deployed.py:add"
    assert deployment["work_queue_name"] == "default"
    assert [schedule["schedule"]["cron"] for schedule in deployment["schedules"]] == ["0 0 1 1 *"]
    assert (deployment["tags"], deployment["description"]) == (["deployed"], "adds")
    again = deploy_from_python(runner, api, "add", "from-python", "deployed-from-python", parameters={"first": 5})
    assert (again["id"], again["parameters"]) == (deployment["id"], {"first": 5})
    run = ask_for_run(runner, api, "add/from-python", "watched", "--param", "second=3")
    with working(runner, "deployed-from-python", "python"):
        finish(api, run["id"])
    assert run["parameters"] == {"first": 5, "second": 3}
    ended = api.flow_run(run["id"])
    assert (ended["state_type"], ended["deployment_version"]) == ("COMPLETED", again["version"])


def test_job_variables_reach_the_process(runner: Runner, api: Api) -> None:
    """Those of a run are put upon those of its deployment."""
    runner.prefect("work-pool", "create", "varied", "--type", "process")
    deployed = {"LEVEL": "deployment", "ONLY_DEPLOYED": "1"}
    deployment = deploy_from_python(runner, api, "surrounded", "varied", "varied", job_variables={"env": deployed})
    assert deployment["job_variables"] == {"env": deployed}
    runs = []
    for name, more in (("as-deployed", {}), ("of-its-own", {"LEVEL": "run", "ONLY_RUN": "2"})):
        expected = json.dumps({"environment": deployed | more})
        options = ["--job-variable", f"env={json.dumps(more)}"] if more else []
        runs.append(ask_for_run(runner, api, "surrounded/varied", name, "--params", expected, *options)["id"])
    with working(runner, "varied", "varied"):
        finish(api, *runs)
    for run in runs:
        said = "\n".join(log["message"] for log in api.logs(run))
        assert api.flow_run(run)["state_type"] == "COMPLETED", said


def test_queues_are_worked_off_by_priority(runner: Runner, api: Api) -> None:
    runner.prefect("work-pool", "create", "ranked", "--type", "process")
    runner.prefect("work-pool", "set-concurrency-limit", "ranked", "1")
    for queue, priority in (("first", "1"), ("last", "9")):
        runner.prefect("work-queue", "create", queue, "--pool", "ranked", "--priority", priority)
    deployment = deploy(runner, api, "add", "ranked", "ranked")
    late = [add_run(api, deployment, "last", first=number) for number in range(2)]
    early = [add_run(api, deployment, "first", first=number) for number in range(2)]
    with working(runner, "ranked", "ranked"):
        finish(api, *early, *late)
    started = sorted(early + late, key=lambda run: api.flow_run(run)["start_time"])
    assert set(started[:2]) == set(early)


def test_a_worker_serves_the_queues_that_it_is_told_to(runner: Runner, api: Api) -> None:
    runner.prefect("work-pool", "create", "split", "--type", "process")
    runner.prefect("work-queue", "create", "mine", "--pool", "split")
    deployment = deploy(runner, api, "add", "split", "split")
    others, mine = add_run(api, deployment, first=1), add_run(api, deployment, "mine", first=2)
    with working(runner, "split", "split", "--work-queue", "mine"):
        finish(api, mine)
        assert api.get("work_pools/split/queues/mine")["status"] == "READY"
    assert api.states(others)[0] == "Scheduled"
    assert api.flow_run(others)["state_type"] == "SCHEDULED"
    assert api.get("work_pools/split/queues/default")["status"] == "NOT_READY"
