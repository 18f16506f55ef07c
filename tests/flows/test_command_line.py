"""The unmodified `prefect` command, against the server under test."""

from __future__ import annotations

import json

import pytest
from harness import Api, Runner, eventually


@pytest.fixture(scope="module")
def shared_runner(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(api_url, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def run_id(shared_runner: Runner, api: Api) -> str:
    """A completed run of `arithmetic.py` whose logs have arrived."""
    run_id: str = shared_runner.run("arithmetic").answer["flow_run_id"]

    def logged() -> None:
        assert any("Finished in state" in log["message"] for log in api.logs(run_id))

    eventually(logged)
    return run_id


def test_flow_run_ls(shared_runner: Runner, run_id: str) -> None:
    listed = shared_runner.prefect("flow-run", "ls", "--flow-name", "arithmetic")
    assert run_id in listed
    assert "sums up to 5" in listed and "COMPLETED" in listed
    failed = shared_runner.prefect("flow-run", "ls", "--state-type", "FAILED", "--limit", "200")
    assert run_id not in failed


def test_flow_run_inspect(shared_runner: Runner, run_id: str) -> None:
    inspected = json.loads(shared_runner.prefect("flow-run", "inspect", run_id, "--output", "json"))
    assert inspected["id"] == run_id
    assert inspected["name"] == "sums up to 5"
    assert inspected["state"]["type"] == "COMPLETED"


def test_flow_run_logs(shared_runner: Runner, run_id: str) -> None:
    logs = shared_runner.prefect("flow-run", "logs", run_id)
    assert "the sum is 30" in logs and "adding 1 and 2" in logs
    assert (
        len(shared_runner.prefect("flow-run", "logs", run_id, "--head", "-n", "2").splitlines())
        == 2
    )
    assert "Finished in state" in shared_runner.prefect(
        "flow-run", "logs", run_id, "--tail", "-n", "1"
    )


def test_flow_run_cancel_and_delete(shared_runner: Runner, api: Api) -> None:
    flow = api.post("flows/", {"name": "to-be-cancelled"})
    run = api.post("flow_runs/", {"flow_id": flow["id"], "state": {"type": "SCHEDULED"}})
    cancelled = shared_runner.prefect("flow-run", "cancel", run["id"])
    assert run["id"] in cancelled
    assert api.flow_run(run["id"])["state_type"] == "CANCELLED"
    shared_runner.prefect("--no-prompt", "flow-run", "delete", run["id"])
    assert api.http.get(f"flow_runs/{run['id']}").status_code == 404


def test_flow_ls(shared_runner: Runner, run_id: str, api: Api) -> None:
    listed = shared_runner.prefect("flow", "ls", "--limit", "200")
    assert "arithmetic" in listed and api.flow_run(run_id)["flow_id"] in listed


def test_version(shared_runner: Runner) -> None:
    version = shared_runner.prefect("version")
    assert "3.9.1" in version and "0.8.4" in version


def test_config_view(shared_runner: Runner, api_url: str) -> None:
    assert f"PREFECT_API_URL='{api_url}'" in shared_runner.prefect("config", "view")


def test_variables(shared_runner: Runner, api: Api) -> None:
    def prefect(*arguments: str) -> str:
        return shared_runner.prefect("--no-prompt", "variable", *arguments)

    prefect("set", "from-the-shell", '{"a": [1, 2]}', "--tag", "x", "--tag", "y")
    kept = api.get("variables/name/from-the-shell")
    assert (kept["value"], kept["tags"]) == ({"a": [1, 2]}, ["x", "y"])
    assert json.loads(prefect("get", "from-the-shell")) == {"a": [1, 2]}
    refused = shared_runner.finish(
        shared_runner.start_prefect("variable", "set", "from-the-shell", "5"), exit_code=1
    )
    assert "already exists" in "".join([*refused.lines, refused.errors])
    prefect("set", "from-the-shell", "5", "--overwrite")
    inspected = json.loads(prefect("inspect", "from-the-shell", "--output", "json"))
    assert (inspected["id"], inspected["value"], inspected["tags"]) == (kept["id"], 5, [])
    assert "from-the-shell" in prefect("ls")
    prefect("unset", "from-the-shell")
    assert "from-the-shell" not in prefect("ls")
    assert api.http.get(f"variables/{kept['id']}").status_code == 404
