"""`prefect deployment inspect` prints of a deployment here what it prints with the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import servers
from conformance.compare import TOKEN, Comparison
from harness import Api, Runner

DEPLOYMENT = {
    "name": "inspected",
    "tags": ["a"],
    "parameters": {"whom": "you"},
    "work_pool_name": "inspected",
    "schedules": [{"schedule": {"cron": "0 0 1 1 *"}, "slug": "yearly"}],
    "paused": True,
    "concurrency_limit": 2,
    "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": "/opt"}}],
}


@pytest.fixture(scope="module")
def runners(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Runner]]:
    """The client with the real server and with the one under test, each with the deployment."""
    with servers.oracle(services=False) as oracle:
        urls = (oracle.api_url, api_url)
        for api in map(Api, urls):
            flow = api.post("flows/", {"name": "inspected"})["id"]
            api.post("work_pools/", {"name": "inspected", "type": "process"})
            api.post("deployments/", {**DEPLOYMENT, "flow_id": flow})
        yield [Runner(url, tmp_path_factory.mktemp("home")) for url in urls]


def test_as_json(runners: list[Runner]) -> None:
    command = ("deployment", "inspect", "inspected/inspected", "--output", "json")
    theirs, ours = (json.loads(runner.prefect(*command)) for runner in runners)
    assert theirs["automations"] == []
    comparison = Comparison()
    comparison.note_sent(DEPLOYMENT)
    assert comparison.differences(theirs, ours) == []


def test_as_text(runners: list[Runner]) -> None:
    command = ("deployment", "inspect", "inspected/inspected")
    theirs, ours = (TOKEN.sub("…", runner.prefect(*command)) for runner in runners)
    assert "'automations': []" in theirs
    assert theirs == ours


def test_of_nobody(runners: list[Runner]) -> None:
    for runner in runners:
        answer = runner.finish(runner.start_prefect("deployment", "inspect", "nobody/nobody"), 1)
        assert "Deployment 'nobody/nobody' not found!" in "".join([*answer.lines, answer.errors])
