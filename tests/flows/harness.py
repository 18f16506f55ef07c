"""What the flow tests share: running a script against the server, and waiting for what follows."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from servers import REPOSITORY, clean_environment

SCRIPTS = Path(__file__).resolve().parent / "scripts"
SCRIPT_TIMEOUT_SECONDS = 120

Json = dict[str, Any]
T = TypeVar("T")


def eventually(probe: Callable[[], T], timeout_seconds: float = 20) -> T:
    """Returns what `probe` returns, once its assertions hold; task runs and logs arrive a bit later.

    The last assertion error is raised if they do not hold in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return probe()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


@dataclass
class Finished:
    """A script that has ended: its exit code, its output by line, and what went to its stderr."""

    exit_code: int
    lines: list[str]
    errors: str

    @property
    def answer(self) -> Any:
        """What the script printed last, decoded."""
        return json.loads(self.lines[-1])


class Runner:
    """Runs scripts with the unmodified client, in processes with a PREFECT_HOME of their own."""

    def __init__(self, api_url: str, home: Path) -> None:
        self.environment = clean_environment(home) | {
            "PREFECT_API_URL": api_url,
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
            "PREFECT_CLI_COLORS": "false",
            "NO_COLOR": "1",
            "COLUMNS": "240",
        }

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Starts a script and returns at once; `finish` is to follow."""
        return self._python(SCRIPTS / f"{script}.py", *arguments)

    def run(self, script: str, *arguments: str, exit_code: int | None = 0) -> Finished:
        """Runs a script to its end; `exit_code` is the one that it is to end with, None for any."""
        return self.finish(self.start(script, *arguments), exit_code)

    def finish(self, process: subprocess.Popen[str], exit_code: int | None = 0) -> Finished:
        """Waits for a started script; the output that was read before is no longer part of it."""
        try:
            output, errors = process.communicate(timeout=SCRIPT_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            raise AssertionError(f"{process.args} did not end in time:\n{errors[-4000:]}") from None
        if exit_code is not None:
            assert process.returncode == exit_code, errors[-4000:]
        return Finished(process.returncode, output.splitlines(), errors)

    def command(self, *arguments: str | Path) -> Finished:
        """Runs Python with these arguments, such as `-m prefect`, which is to succeed."""
        return self.finish(self._python(*arguments))

    def prefect(self, *arguments: str) -> str:
        """Runs a `prefect` command, which is to succeed, and returns what it printed."""
        return "\n".join(self.command("-m", "prefect", *arguments).lines)

    def start_prefect(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a `prefect` command and returns at once; `finish` is to follow."""
        return self._python("-m", "prefect", *arguments)

    def _python(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=self.environment,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


class Api:
    """The server's REST API, read to see what the client left behind."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=f"{url}/", timeout=30)

    def get(self, path: str, **parameters: Any) -> Any:
        """Returns the decoded answer of a GET, which is to succeed."""
        return self._decoded(self.http.get(path, params=parameters))

    def post(self, path: str, body: Any) -> Any:
        """Returns the decoded answer of a POST, which is to succeed."""
        return self._decoded(self.http.post(path, json=body))

    @staticmethod
    def _decoded(response: httpx.Response) -> Any:
        assert response.is_success, (
            f"{response.request.url}: {response.status_code} {response.text}"
        )
        return response.json()

    def flow_run(self, run_id: str) -> Json:
        """Returns the flow run."""
        return self.get(f"flow_runs/{run_id}")

    def states(self, run_id: str) -> list[str]:
        """Returns the names of the flow run's states, in order."""
        states = self.get("flow_run_states/", flow_run_id=run_id)
        return [state["name"] for state in sorted(states, key=lambda state: state["timestamp"])]

    def task_states(self, run_id: str) -> list[str]:
        """Returns the names of the task run's states, in order."""
        states = self.get("task_run_states/", task_run_id=run_id)
        return [state["name"] for state in sorted(states, key=lambda state: state["timestamp"])]

    def task_runs(self, flow_run_id: str) -> list[Json]:
        """Returns the task runs of a flow run that the server has recorded so far, oldest first."""
        body = {
            "flow_runs": {"id": {"any_": [flow_run_id]}},
            "sort": "EXPECTED_START_TIME_ASC",
            "limit": 200,
        }
        return self.post("task_runs/filter", body)

    def finished_task_runs(
        self, flow_run_id: str, count: int, timeout_seconds: float = 20
    ) -> list[Json]:
        """Waits until exactly `count` task runs are recorded, each in a terminal state."""
        terminal = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}

        def probe() -> list[Json]:
            runs = self.task_runs(flow_run_id)
            types = Counter(run["state_type"] for run in runs)
            assert types.total() == count and set(types) <= terminal, types
            return runs

        return eventually(probe, timeout_seconds)

    def logs(self, flow_run_id: str, **more: Any) -> list[Json]:
        """Returns the logs of a flow run that have arrived so far, oldest first."""
        logs = {"flow_run_id": {"any_": [flow_run_id]}, **more}
        return self.post("logs/filter", {"logs": logs, "sort": "TIMESTAMP_ASC", "limit": 200})

    def set_state(self, run_id: str, state: Json, force: bool = False) -> Json:
        """Proposes a state to a flow run and returns the orchestration result."""
        return self.post(f"flow_runs/{run_id}/set_state", {"state": state, "force": force})
