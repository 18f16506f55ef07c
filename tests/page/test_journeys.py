"""What people do on the page, from its start to its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import oracle_environment, ours
from servers import Server, clean_environment
from watched import Watched

FLOW = Path(__file__).with_name("served_flow.py")


@pytest.fixture(scope="module")
def served(proctor_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """Our server with a process that serves a deployment to it, and the deployment's id."""
    home = tmp_path_factory.mktemp("served")
    with ours() as server:
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
            url = f"{server.api_url}/deployments/name/basket-flow/basket-deployment"
            deadline = time.monotonic() + 90
            while (answer := httpx.get(url)).status_code != 200:
                assert process.poll() is None and time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.2)
            yield server, answer.json()["id"]
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


@pytest.mark.parametrize("base", ["", "/v2"], ids=["first", "second"])
def test_a_deployment_is_run_with_parameters_and_seen_to_finish(
    opened: Callable[..., Watched], served: tuple[Server, str], base: str
) -> None:
    server, deployment = served
    window = opened(server).open(f"{base}/deployments/deployment/{deployment}/run")
    orchard = "west" if base else "south"
    fill_parameter(window, base, orchard)
    window.page.get_by_role("button", name="Submit").click()
    runs = {"deployments": {"id": {"any_": [deployment]}}, "sort": "START_TIME_DESC"}
    deadline = time.monotonic() + 60

    def started() -> list[dict[str, Any]]:
        found = httpx.post(f"{server.api_url}/flow_runs/filter", json=runs).json()
        return [run for run in found if run["parameters"].get("orchard") == orchard]

    while not (found := started()):
        assert time.monotonic() < deadline, window.problems
        time.sleep(0.2)
    window.open(f"{base}/runs/flow-run/{found[0]['id']}")
    # The page shows the end without being loaded again.
    window.page.get_by_text("Completed", exact=True).first.wait_for(timeout=60_000)
    # What the run has said follows; the second interface does not look for it after the end.
    said = {"logs": {"flow_run_id": {"any_": [found[0]["id"]]}}}
    message = f"counted 3 baskets in the {orchard}"
    while message not in httpx.post(f"{server.api_url}/logs/filter", json=said).text:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    window.page.reload()
    window.shows(message).is_well()


HAS_DEFAULT = "() => [...document.querySelectorAll('input, textarea')].some(one => one.value === 'north')"


def fill_parameter(window: Watched, base: str, orchard: str) -> None:
    """Replaces the default of the parameter, which is the only field with that text."""
    field = window.page.get_by_label(re.compile("^orchard")) if base else window.page.get_by_role("textbox")
    window.page.wait_for_function(HAS_DEFAULT)
    for candidate in field.all():
        if candidate.evaluate("one => one.value") == "north":
            candidate.fill(orchard)
            return
    raise AssertionError("no field has the default")
