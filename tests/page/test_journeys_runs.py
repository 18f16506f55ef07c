"""What people do with runs on the page, from the start to the end of a run that a real process makes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import oracle_environment, subject
from interfaces import First, Interface, Second
from servers import Server, clean_environment
from watched import Watched

FLOW = Path(__file__).with_name("served_flow.py")

# What it may take until a process runs, on a machine that is busy.
PATIENCE_SECONDS = 60


@dataclass
class Served:
    """A server, and a process that serves deployments to it."""

    server: Server
    api: httpx.Client

    def deployment(self, name: str) -> dict[str, Any]:
        answer = self.api.get(f"/deployments/name/{name}-flow/{name}-deployment")
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def start(self, name: str) -> str:
        """Starts a run of a deployment, and returns its id."""
        made = self.api.post(f"/deployments/{self.deployment(name)['id']}/create_flow_run", json={})
        id: str = made.raise_for_status().json()["id"]
        return id

    def run(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"/flow_runs/{id}").raise_for_status().json()
        return found

    def wait_for_state(self, id: str, *types: str) -> dict[str, Any]:
        self.wait(lambda: self.run(id)["state_type"] in types, f"{types}")
        return self.run(id)

    def states(self, id: str) -> list[str]:
        """Returns the names of a run's states, from the first to the last."""
        found = self.api.get("/flow_run_states/", params={"flow_run_id": id}).raise_for_status().json()
        return [state["name"] for state in sorted(found, key=lambda state: state["timestamp"])]

    def wait_for_log(self, id: str, message: str) -> None:
        filter = {"logs": {"flow_run_id": {"any_": [id]}}}
        self.wait(lambda: message in self.api.post("/logs/filter", json=filter).text, message)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"in vain for {what}"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def served(proctor_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("served")
    with subject() as server, httpx.Client(base_url=server.api_url, timeout=30) as api:
        environment = {
            **clean_environment(home),
            "PREFECT_API_URL": server.api_url,
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        }
        log = (home / "log").open("wb")
        python = oracle_environment() / "bin" / "python"
        process = subprocess.Popen(
            [python, FLOW], env=environment, cwd=home, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 90
            while api.post("/deployments/count", json={}).json() < 4:
                assert process.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.2)
            yield Served(server, api)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


@pytest.fixture(params=[Second, First], ids=["second", "first"])
def interface(request: pytest.FixtureRequest, opened: Callable[..., Watched], served: Served) -> Interface:
    made: Interface = request.param(opened(served.server))
    # The second interface may leave the page of a run before the graph on it has begun to be drawn.
    made.window.lets_pass("reading 'canvas'")
    return made


def wait_until_shown(interface: Interface, state: str) -> None:
    """Waits until the page of a run shows its state, without being loaded again."""
    interface.page.get_by_text(state, exact=True).first.wait_for(timeout=PATIENCE_SECONDS * 1000)


def test_a_deployment_is_run_with_parameters_and_seen_to_finish(interface: Interface, served: Served) -> None:
    deployment = served.deployment("basket")["id"]
    orchard = "west" if isinstance(interface, Second) else "south"

    def started() -> list[dict[str, Any]]:
        runs = {"deployments": {"id": {"any_": [deployment]}}, "sort": "START_TIME_DESC"}
        found = served.api.post("/flow_runs/filter", json=runs).json()
        return [run for run in found if run["parameters"].get("orchard") == orchard]

    interface.start_run(deployment, "north", orchard)
    served.wait(started, "the run")
    run = started()[0]["id"]
    interface.open(f"/runs/flow-run/{run}")
    wait_until_shown(interface, "Completed")
    # What the run has said follows; the second interface does not look for it after the end.
    message = f"counted 3 baskets in the {orchard}"
    served.wait_for_log(run, message)
    interface.page.reload()
    interface.window.shows(message).is_well()


def test_a_run_is_paused_resumed_and_seen_to_finish(interface: Interface, served: Served) -> None:
    run = served.start("ladder")
    served.wait_for_state(run, "RUNNING")
    interface.open(f"/runs/flow-run/{run}")
    interface.pause_run()
    wait_until_shown(interface, "Suspended")
    state = served.run(run)["state"]
    assert (state["type"], state["state_details"]["pause_reschedule"]) == ("PAUSED", True)
    interface.resume_run()
    served.wait_for_log(run, "reached the top")
    wait_until_shown(interface, "Completed")
    states = served.states(run)
    after = ["Suspended", "Resuming", "Pending", "Submitting", "Running", "Completed"]
    assert states[states.index("Suspended") :] == after
    interface.window.is_well()


def test_a_run_is_cancelled_and_its_process_ends(interface: Interface, served: Served) -> None:
    run = served.start("night")
    served.wait_for_state(run, "RUNNING")
    interface.open(f"/runs/flow-run/{run}")
    interface.cancel_run()
    wait_until_shown(interface, "Cancelled")
    assert served.run(run)["state_type"] == "CANCELLED"
    assert served.states(run)[-2:] == ["Cancelling", "Cancelled"]
    interface.window.is_well()


def test_a_paused_run_is_resumed_with_input(interface: Interface, served: Served) -> None:
    run = served.start("harvest")
    served.wait_for_state(run, "PAUSED")
    interface.open(f"/runs/flow-run/{run}")
    interface.window.shows("Paused")
    # The first interface asks for a description of the input, which the flow has not given.
    interface.window.lets_pass("404.*/input/[^/]*description", "Flow run input description not found")
    interface.resume_run_with("12", "medlar")
    wait_until_shown(interface, "Completed")
    message = "harvested 12 baskets of medlar"
    served.wait_for_log(run, message)
    interface.page.reload()
    interface.window.shows(message).is_well()
