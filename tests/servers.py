"""Servers for the tests: starts them on a free port of their own and ends exactly what it started."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).resolve().parent.parent


class ServerDidNotStart(RuntimeError):
    """The server's process ended, or gave no healthy answer in time; the text holds its log."""


@dataclass
class Server:
    """A running server: its process, where it answers, and the file that its output goes to."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    api: str = "/api"

    @property
    def api_url(self) -> str:
        """The value for PREFECT_API_URL."""
        return f"http://127.0.0.1:{self.port}{self.api}"

    def stop(self, signal_number: int = signal.SIGTERM, timeout_seconds: float = 15) -> int:
        """Sends the signal, waits for the process to end, and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def free_port() -> int:
    """Returns a TCP port of the loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(home: Path) -> dict[str, str]:
    """Returns this process's environment without any Prefect setting of its own, homed in `home`."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
    }
    return inherited | {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # A server of ours that has none of the page's files would fetch them.
        "PREFECT_SERVER_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def wait_until_healthy(server: Server, timeout_seconds: float) -> None:
    """Returns as soon as its `/health` answers 200."""
    deadline = time.monotonic() + timeout_seconds
    with httpx.Client(timeout=5) as client:
        while time.monotonic() < deadline:
            if server.process.poll() is not None:
                break
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{server.api_url}/health").status_code == 200:
                    return
            time.sleep(0.005)
    server.process.kill()
    server.process.wait()
    raise ServerDidNotStart(server.log.read_text(errors="replace")[-4000:])


def launch(
    command: Sequence[str | Path],
    port: int,
    environment: dict[str, str],
    log: Path,
    timeout_seconds: float,
    api: str = "/api",
) -> Server:
    """Starts `command`, which is to serve on `port`, and waits until it is healthy."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, port, log, api)
    wait_until_healthy(server, timeout_seconds)
    return server


def subject_binary() -> Path:
    """Returns our server's binary: PROCTOR_SERVER_BIN, or else the newest kind that was built."""
    named = os.environ.get("PROCTOR_SERVER_BIN")
    built = [REPOSITORY / "target" / profile / "proctor" for profile in ("release", "debug")]
    candidates = [Path(named)] if named else built
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    raise FileNotFoundError(f"no server binary at {tried}: build it, or set PROCTOR_SERVER_BIN")


def start_subject(
    home: Path,
    *arguments: str | Path,
    port: int | None = None,
    settings: Mapping[str, str] | None = None,
    api: str = "/api",
) -> Server:
    """Starts our server with `arguments` (such as `--in-memory`); its log is kept in `home`.

    `settings` are environment variables of the server's own. Without one that says so it shows no page.
    """
    port = port or free_port()
    host = [] if "--host" in arguments else ["--host", "127.0.0.1"]
    command = [subject_binary(), *host, "--port", str(port), *arguments]
    environment = clean_environment(home) | dict(settings or {})
    return launch(command, port, environment, home / "server.log", 30, api)


@contextlib.contextmanager
def oracle(*, services: bool) -> Iterator[Server]:
    """Runs the real Prefect server on an empty database, from PROCTOR_ORACLE_PYTHON's environment.

    Without that variable it is the environment that runs this code. `services` is whether the
    background services (scheduler, task run recorder, event triggers and so on) run too.
    """
    python = os.environ.get("PROCTOR_ORACLE_PYTHON", sys.executable)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="oracle-") as directory:
        home = Path(directory)
        environment = clean_environment(home) | {
            "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/oracle.db",
            # A busy machine may leave a connection idle for longer than the default of 5 seconds.
            "PREFECT_SERVER_API_KEEPALIVE_TIMEOUT": "600",
            # This one runs even without the services.
            "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_CANCELLING_TIMEOUT_SECONDS": "86400",
        }
        command = [python, "-m", "prefect", "server", "start", "--no-ui"]
        command += ["--host", "127.0.0.1", "--port", str(port)]
        command += [] if services else ["--no-services"]
        server = launch(command, port, environment, home / "server.log", 120)
        try:
            yield server
        finally:
            server.stop(signal.SIGINT)
