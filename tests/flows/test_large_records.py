"""A client that fails with long messages, takes large parameters, and makes large things."""

from __future__ import annotations

from typing import Any

import pytest
from harness import Api, Runner, eventually


@pytest.fixture(scope="module")
def outcomes(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How each flow of `large.py` ended, by its name."""
    answer: dict[str, Any] = Runner(api_url, tmp_path_factory.mktemp("home")).run("large").answer
    return answer


@pytest.mark.parametrize("name", ["ascii", "cjk", "beside", "parameters"])
def test_a_run_fails_and_is_told_of(outcomes: dict[str, Any], api: Api, name: str) -> None:
    outcome = outcomes[name]
    run = api.flow_run(outcome["flow_run_id"])
    assert run["state_name"] == "Failed"
    # The client itself says what the flow raised, and more.
    assert len(run["state"]["message"]) == outcome["message"] > 0
    filter = {"event": {"name": ["prefect.flow-run.Failed"]}, "resource": {"id": [f"prefect.flow-run.{run['id']}"]}}
    eventually(lambda: the_only_event(api, filter))


def the_only_event(api: Api, filter: dict[str, Any]) -> dict[str, Any]:
    """Returns the event that a filter finds, which has to be one."""
    found = api.post("events/filter", {"filter": filter})["events"]
    assert len(found) == 1
    event: dict[str, Any] = found[0]
    return event


def test_what_a_run_makes_is_kept(outcomes: dict[str, Any], api: Api) -> None:
    run = api.flow_run(outcomes["makes"]["flow_run_id"])
    assert run["state_name"] == "Completed"
    assert len(run["parameters"]["text"]) == 500_000
    artifacts = api.post("artifacts/filter", {"artifacts": {"key": {"any_": ["large"]}}})
    assert [artifact["data"] for artifact in artifacts] == [run["parameters"]["text"]]
    event = eventually(lambda: the_only_event(api, {"resource": {"id": ["large.resource"]}}))
    assert len(event["payload"]["text"]) == 600_000
    api.finished_task_runs(run["id"], 21)


def test_nothing_is_given_up(outcomes: dict[str, Any], api: Api) -> None:
    assert api.get("dead_letters") == []
