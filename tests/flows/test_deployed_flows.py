"""Deployments that a process serves: their schedules, `run_deployment`, and the commands around them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from harness import Api, Json, Runner, eventually


@pytest.fixture(scope="module")
def runner(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(api_url, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def served(runner: Runner, api: Api) -> Iterator[Json]:
    """The scheduled one of the deployments that `serving.py` serves, while it does."""
    serving = runner.start("serving")
    try:

        def is_deployed() -> Json:
            answer = api.http.get("deployments/name/add/served")
            assert answer.status_code == 200
            assert api.http.get("deployments/name/linger/served").status_code == 200
            return answer.json()

        yield eventually(is_deployed, 60)
    finally:
        serving.send_signal(signal.SIGINT)
        runner.finish(serving, None)


def runs_of(api: Api, deployment: Json, *types: str) -> list[Json]:
    states = {"state": {"type": {"any_": list(types)}}}
    wanted = {"deployment_id": {"any_": [deployment["id"]]}} | (states if types else {})
    return api.post("flow_runs/filter", {"flow_runs": wanted, "sort": "EXPECTED_START_TIME_ASC"})


def test_a_schedule_s_runs_are_made_once_and_run(api: Api, served: Json) -> None:
    def have_run() -> list[Json]:
        ended = runs_of(api, served, "COMPLETED")
        assert len([run for run in ended if run["auto_scheduled"]]) >= 2
        return ended

    eventually(have_run, 90)
    instants = [run["expected_start_time"] for run in runs_of(api, served) if run["auto_scheduled"]]
    assert len(instants) == len(set(instants))


def test_a_deployment_is_run_and_waited_for(runner: Runner, api: Api, served: Json) -> None:
    answer = runner.run("asking", "add/served", json.dumps({"first": 40})).answer
    assert answer["state"] == "COMPLETED"
    assert api.flow_run(answer["id"])["parameters"] == {"first": 40}


def test_a_paused_schedule_runs_nothing(runner: Runner, api: Api, served: Json) -> None:
    listed = runner.prefect("deployment", "schedule", "ls", "add/served")
    assert "interval" in listed
    schedule = served["schedules"][0]["id"]
    runner.prefect("deployment", "schedule", "pause", "add/served", schedule)
    assert runs_of(api, served, "SCHEDULED") == []
    assert api.get(f"deployments/{served['id']}")["schedules"][0]["active"] is False
    runner.prefect("deployment", "schedule", "resume", "add/served", schedule)

    def is_scheduled() -> None:
        assert runs_of(api, served, "SCHEDULED")

    eventually(is_scheduled, 30)
    assert "add/served" in runner.prefect("deployment", "ls")


def test_a_running_flow_is_cancelled_by_command(runner: Runner, api: Api, served: Json) -> None:
    runner.prefect("deployment", "run", "linger/served", "--param", "seconds=300")
    deployment = api.get("deployments/name/linger/served")

    def is_running() -> str:
        running = runs_of(api, deployment, "RUNNING")
        assert running
        return running[0]["id"]

    run = eventually(is_running, 60)
    runner.prefect("flow-run", "cancel", run)

    def is_cancelled() -> None:
        assert api.flow_run(run)["state_type"] == "CANCELLED"

    eventually(is_cancelled, 90)
