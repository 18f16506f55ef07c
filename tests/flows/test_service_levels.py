"""Service level agreements of a deployment that the unmodified client makes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import Api, Json, Runner, eventually

pytestmark = pytest.mark.skipif(
    "PROCTOR_SUBJECT_IS_ORACLE" in os.environ, reason="the real server has no service level agreements"
)


def test_a_violation_of_what_the_client_agreed_on(api_url: str, api: Api, tmp_path: Path) -> None:
    runner = Runner(api_url, tmp_path)
    # The client has agreements with Prefect Cloud only, which it tells by the address.
    runner.environment |= {"PREFECT_CLOUD_API_URL": api_url}
    deployment = runner.run("agreeing").answer["deployment_id"]
    run = api.post(f"deployments/{deployment}/create_flow_run", {"parameters": {"first": 1}})
    api.post(f"flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}})

    def is_told() -> Json:
        wanted = {"resource": {"id": [f"prefect.flow-run.{run['id']}"]}, "event": {"prefix": ["prefect.sla."]}}
        [event] = api.post("events/filter", {"filter": wanted})["events"] or [None]
        assert event
        return event

    event = eventually(is_told)
    assert event["event"] == "prefect.sla.violation"
    assert event["payload"]["sla"] == {"type": "TimeToCompletionSla", "duration": 1, "name": "slow", "severity": "high"}
