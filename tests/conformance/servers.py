"""Starts the two servers that the suite compares."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]

START_TIMEOUT_SECONDS = 300.0
STOP_TIMEOUT_SECONDS = 15.0

# Services that act on their own clock would change runs between two requests. Those that record
# what a client sent (events, task runs) stay on, and flush at once instead of every few seconds.
QUIET_SERVICES = {
    **{
        f"PREFECT_SERVER_SERVICES_{service}_ENABLED": "false"
        for service in (
            "CANCELLATION_CLEANUP",
            "CLEANUP_RECONCILER",
            "FOREMAN",
            "LATE_RUNS",
            "PAUSE_EXPIRATIONS",
            "REPOSSESSOR",
            "SCHEDULER",
            "TRIGGERS",
        )
    },
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.2",
}

ORACLE_DATABASE = "oracle.db"

# What the oracle needs of its surroundings, and an older machine lacks.
ORACLE_SUPPLEMENT = Path(__file__).parent / "oracle_supplement"


class ServerDidNotStart(Exception):
    """A server ended or stayed silent before it answered its first health check."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def address(port: int, settings: Mapping[str, str] | None) -> str:
    """The URL of the API of a server on `port`."""
    return f"http://127.0.0.1:{port}{(settings or {}).get('PREFECT_SERVER_API_BASE_PATH') or '/api'}"


def oracle_executable() -> Path:
    """The `prefect` command of the environment that holds the pinned real server."""
    environment = Path(os.environ.get("PROCTOR_ORACLE_ENV", REPOSITORY / ".venv"))
    executable = environment / "bin" / "prefect"
    if not executable.exists():
        raise ServerDidNotStart(
            f"no real Prefect server in {environment}: set PROCTOR_ORACLE_ENV to a virtual"
            " environment made from tests/requirements.txt"
        )
    return executable


def our_executable() -> Path:
    """The binary of our local server, as built by cargo."""
    configured = os.environ.get("PROCTOR_SERVER_BIN")
    candidates = (
        [Path(configured)]
        if configured
        else [REPOSITORY / "target" / profile / "proctor" for profile in ("release", "debug")]
    )
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise ServerDidNotStart(
        f"our server is not built: none of {', '.join(map(str, candidates))} exists"
        " (`cargo build --release`, or set PROCTOR_SERVER_BIN)"
    )


def inherited_environment() -> dict[str, str]:
    """The caller's environment without any Prefect setting that would leak into a server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


def wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise ServerDidNotStart(f"{process.args!r} did not answer {url}/health:\n{log.read_text()[-4000:]}")


@contextmanager
def running(command: list[str], environment: Mapping[str, str], home: Path, url: str) -> Iterator[str]:
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=home,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_healthy(process, url, log)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


def oracle_environment(home: Path) -> dict[str, str]:
    """The environment of the real server's processes whose files are in `home`."""
    return {
        **inherited_environment(),
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(ORACLE_SUPPLEMENT),
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/{ORACLE_DATABASE}",
    }


@functools.cache
def empty_database() -> tempfile.TemporaryDirectory[str]:
    """A folder with a database of the real server that holds tables and nothing else, for as long as this process lives.

    To make the tables takes a server as much time as all else that it does before it answers.
    """
    folder = tempfile.TemporaryDirectory(prefix="conformance-database-")
    command = [oracle_executable(), "server", "database", "upgrade", "--yes"]
    subprocess.run(command, env=oracle_environment(Path(folder.name)), check=True, stdout=subprocess.DEVNULL)
    return folder


@contextmanager
def oracle(settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Runs the real server on an empty database and yields the URL of its API."""
    executable = oracle_executable()
    home = Path(tempfile.mkdtemp(prefix="conformance-oracle-"))
    shutil.copy(Path(empty_database().name, ORACLE_DATABASE), home)
    port = free_port()
    environment = {
        **oracle_environment(home),
        **QUIET_SERVICES,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        # It answers some requests by asking the internet, and from its package where it can't.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        **(settings or {}),
    }
    command = [str(executable), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, environment, home, address(port, settings)) as url:
        yield url


@contextmanager
def ours(settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Runs our server on a database in a file and yields the URL of its API."""
    with _ours(settings, "--data", "data") as url:
        yield url


@contextmanager
def ours_on_dynamodb(settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Runs our server on DynamoDB's emulator and yields the URL of its API."""
    with _ours(settings, "--in-memory", "--database-port", "0") as url:
        yield url


@contextmanager
def _ours(settings: Mapping[str, str] | None, *database: str) -> Iterator[str]:
    executable = our_executable()
    home = Path(tempfile.mkdtemp(prefix="conformance-ours-"))
    port = free_port()
    environment = {**inherited_environment(), **QUIET_SERVICES, "PREFECT_SERVER_UI_ENABLED": "false", **(settings or {})}
    command = [str(executable), *database, "--host", "127.0.0.1", "--port", str(port)]
    with running(command, environment, home, address(port, settings)) as url:
        yield url


@contextmanager
def subject(settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Runs the server under test: ours, or by PROCTOR_SUBJECT `dynamodb`, ours on the emulator, or `oracle`, a second oracle.

    Comparing the oracle with itself shows that the suite is deterministic.
    """
    chosen = os.environ.get("PROCTOR_SUBJECT", "ours")
    starters = {"ours": ours, "dynamodb": ours_on_dynamodb, "oracle": oracle}
    if chosen not in starters:
        raise ServerDidNotStart(f"PROCTOR_SUBJECT is {chosen!r}, not one of {sorted(starters)}")
    with starters[chosen](settings) as url:
        yield url
