"""Servers that ask who is there: one password for all, or API keys, with the unmodified client."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from harness import Api, Finished, Runner
from servers import REPOSITORY, Server, clean_environment, start_subject, subject_binary

PASSWORD = "admin:secret"
HELLO = REPOSITORY / "examples" / "hello.py"
HELLO_TASK_RUNS = 4


@dataclass
class Guarded:
    """A server that asks for something, and where it keeps its data."""

    server: Server
    home: Path

    def keys(self, *arguments: str) -> str:
        """Runs `keys` on the data of the running server and returns what it printed."""
        command = [subject_binary(), "--data", self.home / "data", "keys", *arguments]
        environment = clean_environment(self.home)
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def new_key(self, role: str) -> str:
        return self.keys("create", "--role", role, "--name", f"the {role}")

    def run_hello(self, home: Path, settings: dict[str, str], exit_code: int | None = 0) -> Finished:
        """Runs the example's flow with the client set up by `settings`."""
        runner = Runner(self.server.api_url, home)
        runner.environment |= settings
        return runner.finish(runner._python(HELLO), exit_code)

    def api(self, authorization: httpx.Auth) -> Api:
        api = Api(self.server.api_url)
        api.http.auth = authorization
        return api


def guarded(home: Path, settings: dict[str, str]) -> Iterator[Guarded]:
    server = start_subject(home, "--data", home / "data", settings=settings)
    try:
        yield Guarded(server, home)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def with_password(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server with the one password of the real server."""
    yield from guarded(
        tmp_path_factory.mktemp("password"), {"PREFECT_SERVER_API_AUTH_STRING": PASSWORD}
    )


@pytest.fixture(scope="module")
def with_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that asks for API keys, and looks each of them up on each request."""
    settings = {"PROCTOR_AUTH_MODE": "keys", "PROCTOR_API_KEY_MEMORY_SECONDS": "0"}
    yield from guarded(tmp_path_factory.mktemp("keys"), settings)


def newest_hello(api: Api) -> str:
    """Returns the id of the newest run of the example's flow, which is to be completed."""
    flows = {"name": {"any_": ["hello"]}}
    runs = api.post("flow_runs/filter", {"flows": flows, "sort": "EXPECTED_START_TIME_DESC"})
    assert runs[0]["state_name"] == "Completed"
    run_id: str = runs[0]["id"]
    return run_id


def test_a_flow_with_the_password(with_password: Guarded, tmp_path: Path) -> None:
    with_password.run_hello(tmp_path, {"PREFECT_API_AUTH_STRING": PASSWORD})
    api = with_password.api(httpx.BasicAuth(*PASSWORD.split(":")))
    # Task runs are recorded from the events that came over the websocket.
    api.finished_task_runs(newest_hello(api), HELLO_TASK_RUNS)


@pytest.mark.parametrize(
    "settings",
    [{}, {"PREFECT_API_AUTH_STRING": "admin:wrong"}, {"PREFECT_API_KEY": PASSWORD}],
    ids=["nothing", "wrong", "as a key"],
)
def test_no_flow_without_the_password(
    with_password: Guarded, tmp_path: Path, settings: dict[str, str]
) -> None:
    refused = with_password.run_hello(tmp_path, settings, exit_code=None)
    assert refused.exit_code != 0
    assert "401 Unauthorized" in refused.errors


class Bearer(httpx.Auth):
    """An API key as the client sends it for PREFECT_API_KEY."""

    def __init__(self, key: str) -> None:
        self.key = key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:
        request.headers["authorization"] = f"Bearer {self.key}"
        yield request


def as_auth_string(guarded: Guarded, key: str) -> dict[str, str]:
    return {"PREFECT_API_AUTH_STRING": key}


def as_key_and_auth_string(guarded: Guarded, key: str) -> dict[str, str]:
    return {"PREFECT_API_KEY": key, "PREFECT_API_AUTH_STRING": f"ci:{key}"}


def as_key_of_prefect_cloud(guarded: Guarded, key: str) -> dict[str, str]:
    return {"PREFECT_API_KEY": key, "PREFECT_CLOUD_API_URL": guarded.server.api_url}


@pytest.mark.parametrize("way", [as_auth_string, as_key_and_auth_string, as_key_of_prefect_cloud])
def test_a_flow_with_a_key(with_keys: Guarded, tmp_path: Path, way) -> None:
    key = with_keys.new_key("worker")
    with_keys.run_hello(tmp_path, way(with_keys, key))
    api = with_keys.api(Bearer(key))
    api.finished_task_runs(newest_hello(api), HELLO_TASK_RUNS)


def test_the_client_keeps_a_lone_key_from_the_websocket(with_keys: Guarded, tmp_path: Path) -> None:
    """PREFECT_API_KEY alone suffices for HTTP; the README says what to set for the events."""
    key = with_keys.new_key("worker")
    ran = with_keys.run_hello(tmp_path, {"PREFECT_API_KEY": key})
    assert "Auth required but no token provided" in ran.errors
    api = with_keys.api(Bearer(key))
    assert api.task_runs(newest_hello(api)) == []


def test_no_flow_with_a_key_that_is_over(with_keys: Guarded, tmp_path: Path) -> None:
    key = with_keys.new_key("worker")
    assert "revoked" in with_keys.keys("revoke", key)
    refused = with_keys.run_hello(tmp_path, {"PREFECT_API_AUTH_STRING": key}, exit_code=None)
    assert refused.exit_code != 0
    assert "401 Unauthorized" in refused.errors


def test_a_reader_only_reads(with_keys: Guarded, tmp_path: Path) -> None:
    key = with_keys.new_key("read-only")
    assert with_keys.api(Bearer(key)).post("flows/filter", {}) is not None
    refused = with_keys.run_hello(tmp_path, {"PREFECT_API_AUTH_STRING": key}, exit_code=None)
    assert refused.exit_code != 0
    assert "403 Forbidden" in refused.errors


def test_keys_outlive_the_server_and_are_listed(tmp_path: Path) -> None:
    for attempt in range(2):
        server = start_subject(
            tmp_path, "--data", tmp_path / "data", settings={"PROCTOR_AUTH_MODE": "keys"}
        )
        try:
            here = Guarded(server, tmp_path)
            if attempt == 0:
                key = here.keys("create", "--role", "admin", "--name", "me", "--expires-in", "90d")
            assert here.api(Bearer(key)).get("admin/version") == "3.9.1"
            (row,) = here.keys("list").splitlines()[1:]
            assert row.startswith(key.rpartition("_")[0]) and "active" in row
            assert key not in row
        finally:
            server.stop()
