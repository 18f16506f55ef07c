"""Automations with the unmodified client: the `prefect automation` command, and the triggers of deployments."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from harness import Api, Runner, eventually

FILE = """
automations:
  - name: from-a-file
    description: when a flow fails, or none is heard of
    trigger:
      type: event
      match:
        prefect.resource.id: prefect.flow-run.*
      expect: [prefect.flow-run.Failed]
      for_each: [prefect.resource.id]
      posture: Reactive
      threshold: 2
      within: 60
    actions:
      - type: do-nothing
  - name: from-a-file-too
    tags: [quiet]
    trigger:
      type: sequence
      within: 90
      triggers:
        - {type: event, posture: Reactive, expect: [first]}
        - {type: event, posture: Proactive, expect: [second], within: 30}
    actions:
      - type: cancel-flow-run
"""


@pytest.fixture(scope="module")
def shared_runner(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(api_url, tmp_path_factory.mktemp("home"))


def automations(api: Api, *names: str) -> list[dict]:
    return api.post("automations/filter", {"automations": {"name": {"any_": names}}})


def test_the_command_line(shared_runner: Runner, api: Api, tmp_path: Path) -> None:
    def prefect(*arguments: str) -> str:
        return shared_runner.prefect("--no-prompt", "automation", *arguments)

    file = tmp_path / "automations.yaml"
    file.write_text(FILE)
    prefect("create", "--from-file", str(file))
    first, second = automations(api, "from-a-file", "from-a-file-too")
    assert (first["trigger"]["threshold"], first["trigger"]["within"]) == (2, 60)
    assert [trigger["within"] for trigger in second["trigger"]["triggers"]] == [0, 30]
    listed = prefect("ls")
    assert "from-a-file-too" in listed and first["id"] in listed
    [inspected] = json.loads(prefect("inspect", "from-a-file-too", "--json"))
    assert (inspected["id"], inspected["tags"]) == (second["id"], ["quiet"])
    assert "prefect.flow-run.Failed" in prefect("inspect", "--id", first["id"], "--yaml")

    prefect("pause", "from-a-file")
    assert not api.get(f"automations/{first['id']}")["enabled"]
    prefect("resume", "--id", first["id"])
    assert api.get(f"automations/{first['id']}")["enabled"]

    prefect("delete", "--id", first["id"])
    prefect("delete", "from-a-file-too")
    assert automations(api, "from-a-file", "from-a-file-too") == []
    shared_runner.finish(shared_runner.start_prefect("automation", "inspect", "from-a-file"), exit_code=1)


def test_a_refused_automation(shared_runner: Runner, api: Api) -> None:
    endless = {
        "name": "endless",
        "trigger": {"type": "event", "posture": "Reactive", "expect": ["prefect.flow-run.Running"]},
        "actions": [{"type": "run-deployment", "source": "inferred"}],
    }
    created = shared_runner.start_prefect("automation", "create", "--from-json", json.dumps(endless))
    refused = shared_runner.finish(created, exit_code=1)
    assert "422" in "".join([*refused.lines, refused.errors])
    assert automations(api, "endless") == []


def related_to(api: Api, deployment: str) -> dict[str, dict]:
    found = api.get(f"automations/related-to/prefect.deployment.{deployment}")
    return {automation["name"]: automation for automation in found}


def test_the_triggers_of_a_deployment(shared_runner: Runner, api: Api) -> None:
    def related() -> dict[str, dict]:
        return related_to(api, deployment)

    deployment = shared_runner.run("triggered", "two", "apply").lines[-1]
    made = related()
    assert set(made) == {"triggered__automation_1", "both"}
    [action] = made["triggered__automation_1"]["actions"]
    assert (action["deployment_id"], action["parameters"]) == (deployment, {"first": "{{ event.payload.count }}"})
    assert made["both"]["trigger"]["within"] == 60
    assert [trigger["expect"] for trigger in made["both"]["trigger"]["triggers"]] == [["order.paid"], ["order.packed"]]

    # Deployed anew, the deployment has the triggers that it is given then, and none of those before.
    assert shared_runner.run("triggered", "two", "apply").lines[-1] == deployment
    anew = related()
    assert set(anew) == set(made) and anew["both"]["id"] != made["both"]["id"]
    assert shared_runner.run("triggered", "none", "apply").lines[-1] == deployment
    assert related() == {}


def test_the_triggers_of_a_flow_in_a_pool(shared_runner: Runner, api: Api) -> None:
    api.post("work_pools/", {"name": "with-triggers", "type": "process"})
    deployment = shared_runner.run("triggered", "two", "with-triggers").lines[-1]
    made = related_to(api, deployment)
    assert set(made) == {"triggered in a pool__automation_1", "both"}
    assert made["both"]["actions"][0]["job_variables"] == {"cpu": 1}


def test_the_triggers_of_a_flow_that_is_served(runner: Runner, api: Api) -> None:
    def is_triggered() -> dict[str, dict]:
        answer = api.http.get("deployments/name/add/triggered by serving")
        assert answer.status_code == 200
        made = related_to(api, answer.json()["id"])
        assert len(made) == 2
        return made

    serving = runner.start("triggered", "two", "serve")
    try:
        made = eventually(is_triggered, 120)
        assert set(made) == {"triggered by serving__automation_1", "both"}
    finally:
        serving.send_signal(signal.SIGINT)
        runner.finish(serving, None)


def test_a_trigger_that_no_server_has(shared_runner: Runner, api: Api) -> None:
    """Metrics are Prefect Cloud's: the client's automation is refused, as the real server refuses it."""
    shared_runner.run("triggered", "a metric", "apply", exit_code=1)


@pytest.fixture(scope="module")
def chained(shared_runner: Runner, api: Api) -> Iterator[dict[str, str]]:
    """The deployments that `chained.py` serves, while it does."""

    def are_deployed() -> dict[str, str]:
        found = {name: api.http.get(f"deployments/name/chained-{name}/chained") for name in ("first", "second", "endless")}
        assert all(answer.status_code == 200 for answer in found.values())
        deployments = {name: answer.json()["id"] for name, answer in found.items()}
        assert related_to(api, deployments["second"])
        return deployments

    serving = shared_runner.start("chained")
    try:
        yield eventually(are_deployed, 120)
    finally:
        serving.send_signal(signal.SIGINT)
        shared_runner.finish(serving, None)


def test_a_deployment_runs_when_another_flow_has_completed(chained: dict[str, str], api: Api) -> None:
    run = api.post(f"deployments/{chained['first']}/create_flow_run", {"parameters": {"word": "hello"}})

    def has_followed() -> dict:
        found = api.post("flow_runs/filter", {"deployments": {"id": {"any_": [chained["second"]]}}})
        assert [other["state_type"] for other in found] == ["COMPLETED"]
        return found[0]

    followed = eventually(has_followed, 120)
    assert followed["parameters"] == {"of": run["name"], "state": "state Completed", "words": {"word": "hello"}}
    assert (followed["created_by"]["type"], followed["created_by"]["display_value"]) == ("AUTOMATION", "after the first")


def test_an_automation_cancels(chained: dict[str, str], api: Api) -> None:
    trigger = {"type": "event", "posture": "Reactive", "expect": ["enough"], "for_each": ["prefect.resource.id"], "threshold": 1}
    body = {"name": "cancels", "trigger": trigger, "actions": [{"type": "cancel-flow-run"}]}
    automation = api.post("automations/", body)["id"]
    run = api.post(f"deployments/{chained['endless']}/create_flow_run", {})["id"]

    def is_in(state: str) -> None:
        assert api.flow_run(run)["state_type"] == state

    eventually(lambda: is_in("RUNNING"), 60)
    resource = {"prefect.resource.id": f"prefect.flow-run.{run}"}
    now = datetime.now(UTC).isoformat()
    sent = [{"occurred": now, "event": "enough", "resource": resource, "payload": {}, "id": str(uuid4())}]
    assert api.http.post("events", json=sent).is_success
    eventually(lambda: is_in("CANCELLED"), 60)
    api.http.delete(f"automations/{automation}")
