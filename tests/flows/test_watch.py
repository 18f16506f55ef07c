"""A real flow through `cargo lambda watch`: each function a process of its own, on the local server's database."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness import Api, Runner
from servers import REPOSITORY, Server, free_port, launch, start_subject, subject_binary

# Each function is started on its first request, and cargo first looks whether it is built.
START_TIMEOUT_SECONDS = 600


def cargo_lambda() -> Path:
    """Returns the program, which tests/requirements.txt installs beside this Python."""
    beside = Path(sys.executable).parent / "cargo-lambda"
    found = beside if beside.is_file() else shutil.which("cargo-lambda")
    assert found, "cargo-lambda is not installed: pip install -r tests/requirements.txt"
    return Path(found)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API's address: functions behind `cargo lambda watch`, and the local server for the websockets."""
    home = tmp_path_factory.mktemp("watch")
    database, functions, front = free_port(), free_port(), free_port()
    servers: list[Server] = []
    try:
        servers.append(start_subject(home, "--in-memory", "--database-port", str(database)))
        environment = os.environ | {
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{database}",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": "local",
            "PROCTOR_SHARDS": "1",
            "PROCTOR_AUTH_MODE": "none",
        }
        watch: list[str | Path] = [cargo_lambda(), "lambda", "watch", "--ignore-changes"]
        watch += ["--invoke-address", "127.0.0.1", "--invoke-port", str(functions)]
        watch += ["--release"] if subject_binary().parent.name == "release" else []
        servers.append(start(watch, functions, environment, home / "watch.log"))
        command: list[str | Path] = [sys.executable, REPOSITORY / "tests" / "front.py", str(front)]
        command += ["--http", f"127.0.0.1:{functions}", "--websockets", f"127.0.0.1:{servers[0].port}"]
        servers.append(start(command, front, environment, home / "front.log"))
        yield servers[-1].api_url
    finally:
        for server in reversed(servers):
            server.stop()


def start(command: list[str | Path], port: int, environment: dict[str, str], log: Path) -> Server:
    return launch(command, port, dict(environment), log, START_TIMEOUT_SECONDS)


def test_hello_through_functions(watched: str, tmp_path: Path) -> None:
    runner, api = Runner(watched, tmp_path), Api(watched)
    runner.command(REPOSITORY / "examples" / "hello.py")
    (run,) = api.post("flow_runs/filter", {"flows": {"name": {"any_": ["hello"]}}})
    assert run["state_name"] == "Completed"
    assert len(api.finished_task_runs(run["id"], 4)) == 4


def test_invoke_with_the_sample_event(watched: str) -> None:
    command = [cargo_lambda(), "lambda", "invoke", "create_flow", "--data-file", "events/create_flow.json"]
    command += ["--invoke-address", "127.0.0.1", "--invoke-port", str(httpx.URL(watched).port)]
    invoked = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    answer = json.loads(invoked.stdout)
    assert answer["statusCode"] in (200, 201)
    assert json.loads(answer["body"])["name"] == "hello"
