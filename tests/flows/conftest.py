"""The server under test and the ways to talk to it."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

CLIENT_VERSION = "3.9.1"

try:
    installed = importlib.metadata.version("prefect")
except importlib.metadata.PackageNotFoundError:
    installed = "none"
if installed != CLIENT_VERSION:
    raise pytest.UsageError(
        f"the flow tests need prefect {CLIENT_VERSION}, and {sys.executable} has {installed}:"
        " make an environment from tests/requirements.txt"
    )

# The client that runs inside the tests must neither read nor write this account's Prefect settings.
for name in [name for name in os.environ if name.startswith("PREFECT_")]:
    del os.environ[name]
_home = tempfile.TemporaryDirectory(prefix="prefect-home-")
os.environ["PREFECT_HOME"] = _home.name
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
# Where a client is told of no server it starts one of its own, which a worker of pytest-xdist would leave behind.
os.environ["PREFECT_SERVER_EPHEMERAL_ENABLED"] = "false"

import assets
from harness import Api, Runner
from servers import start_subject, subject_binary


@pytest.fixture(scope="session", autouse=True)
def proctor_assets() -> Iterator[Path]:
    """The folder of what Prefect ships as data, which our servers read."""
    with assets.made(subject_binary(), Path(sys.prefix)) as folder:
        yield folder


@pytest.fixture(scope="session")
def api_url(proctor_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server under test answers: PROCTOR_SUBJECT_URL, or ours, started for the session."""
    given = os.environ.get("PROCTOR_SUBJECT_URL")
    if given:
        yield given.rstrip("/").removesuffix("/api") + "/api"
        return
    # A task that waits for its turn asks again after that long, which is ten seconds unless it is said.
    settings = {"PREFECT_SERVER_TASKS_TAG_CONCURRENCY_SLOT_WAIT_SECONDS": "1"}
    server = start_subject(tmp_path_factory.mktemp("server"), "--in-memory", settings=settings)
    try:
        yield server.api_url
    finally:
        server.stop()


@pytest.fixture(scope="session")
def api(api_url: str) -> Api:
    """The REST API of the server under test."""
    return Api(api_url)


@pytest.fixture
def runner(api_url: str, tmp_path: Path) -> Runner:
    """Runs scripts against the server under test, in a home of this test's own."""
    return Runner(api_url, tmp_path)
