"""Servers that show the page, and a browser that opens it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "page")]

import assets
import chromium
import servers
from interfaces import First, Interface, Second
from seed import Seeded, seed
from watched import Watched

PAGE = {"PREFECT_SERVER_UI_ENABLED": "true"}


def oracle_environment() -> Path:
    """The virtual environment of the real server, which the page's files are taken from."""
    return Path(os.environ.get("PROCTOR_ORACLE_ENV", servers.REPOSITORY / ".venv"))


@pytest.fixture(scope="session", autouse=True)
def proctor_assets() -> Iterator[Path]:
    with assets.made(servers.subject_binary(), oracle_environment()) as folder:
        yield folder


@contextmanager
def ours(
    *arguments: str | Path, settings: Mapping[str, str] | None = None, api: str = "/api"
) -> Iterator[servers.Server]:
    """Runs our server with the page on; it keeps nothing unless it is told where. `api` is the path of its API."""
    with tempfile.TemporaryDirectory(prefix="page-") as home:
        options = arguments if "--data" in arguments else ("--in-memory", *arguments)
        server = servers.start_subject(Path(home), *options, settings={**PAGE, **(settings or {})}, api=api)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def oracle(settings: Mapping[str, str] | None = None) -> Iterator[servers.Server]:
    """Runs the real server with its page, whose files it copies to a folder of its own."""
    port = servers.free_port()
    with tempfile.TemporaryDirectory(prefix="page-oracle-") as home:
        environment = servers.clean_environment(Path(home)) | {
            "PYTHONPATH": str(TESTS / "conformance" / "oracle_supplement"),
            "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/oracle.db",
            "PREFECT_UI_STATIC_DIRECTORY": f"{home}/ui",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            **PAGE,
            # By itself it tells the page its default port, whichever it listens on.
            "PREFECT_UI_API_URL": f"http://127.0.0.1:{port}/api",
            **(settings or {}),
        }
        command = [oracle_environment() / "bin" / "prefect", "server", "start", "--no-services"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        server = servers.launch(command, port, environment, Path(home) / "server.log", 300)
        try:
            yield server
        finally:
            server.stop(signal.SIGINT, 60)


def subject() -> AbstractContextManager[servers.Server]:
    """Runs our server, or the real one where its environment says so: what fails there as well is Prefect's own."""
    return oracle() if os.environ.get("PROCTOR_PAGE_OF") == "prefect" else ours()


@pytest.fixture(scope="session")
def server(proctor_assets: Path) -> Iterator[servers.Server]:
    """Our server with one of everything in it."""
    with subject() as running:
        yield running


@pytest.fixture(scope="session")
def seeded(server: servers.Server) -> Seeded:
    return seed(server.api_url)


@dataclass
class Keyed:
    """A server that asks for API keys, with one of everything in it, and a key of each role."""

    server: servers.Server
    keys: dict[str, str]
    seeded: Seeded

    def everything(self) -> dict[str, Any]:
        """Returns what the server has of what people change."""
        kinds = ("flows", "flow_runs", "deployments", "work_pools", "variables", "automations", "block_documents")
        headers = {"authorization": f"Bearer {self.keys['admin']}"}
        with httpx.Client(base_url=self.server.api_url, headers=headers, timeout=30) as api:
            found = {kind: api.post(f"/{kind}/filter", json={}).raise_for_status().json() for kind in kinds}
        # How long a run has been running is not what somebody has changed.
        for run in found["flow_runs"]:
            del run["estimated_run_time"], run["estimated_start_time_delta"]
        return found


@pytest.fixture(scope="session")
def keyed(proctor_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    data = tmp_path_factory.mktemp("keyed")
    keys = {role: make_key(data, role) for role in ("admin", "read-only")}
    with ours("--data", data, settings={"PROCTOR_AUTH_MODE": "keys"}) as running:
        yield Keyed(running, keys, seed(running.api_url, {"authorization": f"Bearer {keys['admin']}"}))


def make_key(data: Path, role: str) -> str:
    command = [servers.subject_binary(), "keys", "create", "--data", data, "--role", role, "--name", role]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next(word for word in said.split() if len(word) > 30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium.started() as browser:
        yield browser


@pytest.fixture
def api(server: servers.Server) -> Iterator[httpx.Client]:
    """The API of the server that the page is on."""
    with httpx.Client(base_url=server.api_url, timeout=30) as client:
        yield client


@pytest.fixture(params=[Second, First], ids=["second", "first"])
def interface(request: pytest.FixtureRequest, opened: Callable[..., Watched], server: servers.Server) -> Interface:
    """Each interface in turn, in a window of its own on the server."""
    made: Interface = request.param(opened(server))
    return made


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that nothing else on the server has."""
    return re.sub("[^a-z]+", "-", request.node.name.lower()).strip("-")[-60:].strip("-")


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Opens windows on a server, each with cookies and storage of its own, and watches what goes wrong in them."""
    contexts = []

    def open_window(server: servers.Server, base: str = "", **options: object) -> Watched:
        origin = server.api_url.removesuffix("/api")
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        return Watched(context.new_page(), origin, base)

    yield open_window
    for context in contexts:
        context.close()
