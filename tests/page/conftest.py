"""Servers that show the page, and a browser that opens it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "page")]

import assets
import chromium
import servers
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


@pytest.fixture(scope="session")
def server(proctor_assets: Path) -> Iterator[servers.Server]:
    """Our server with one of everything in it."""
    with ours() as running:
        yield running


@pytest.fixture(scope="session")
def seeded(server: servers.Server) -> Seeded:
    return seed(server.api_url)


@pytest.fixture(scope="session")
def keyed(
    proctor_assets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[servers.Server, dict[str, str]]]:
    """Our server that asks for API keys, with one of everything in it, and a key of each role."""
    data = tmp_path_factory.mktemp("keyed")
    keys = {role: make_key(data, role) for role in ("admin", "read-only")}
    with ours("--data", data, settings={"PROCTOR_AUTH_MODE": "keys"}) as running:
        seed(running.api_url, {"authorization": f"Bearer {keys['admin']}"})
        yield running, keys


def make_key(data: Path, role: str) -> str:
    command = [servers.subject_binary(), "keys", "create", "--data", data, "--role", role, "--name", role]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return next(word for word in said.split() if len(word) > 30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium.started() as browser:
        yield browser


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
