"""The relay, and what is behind it: its own binary before the real functions, with the unmodified client in front."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

# The client that runs inside the tests must neither read nor write this account's Prefect settings.
for name in [name for name in os.environ if name.startswith("PREFECT_")]:
    del os.environ[name]
_home = tempfile.TemporaryDirectory(prefix="prefect-home-")
os.environ["PREFECT_HOME"] = _home.name
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"

import front
from servers import clean_environment, free_port, subject_binary

SECRET = "what functions show"
PASSWORD = "admin:a password"
LOGS_TEMPLATE = "{name}.log"


@dataclass
class World:
    """The relay, what is behind it, and the one address in front of both."""

    directory: Path
    api: int = field(default_factory=free_port)
    aws: int = field(default_factory=free_port)
    relay: int = field(default_factory=free_port)
    front: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.front}/api"

    def start(self, name: str, *arguments: str) -> None:
        environment = clean_environment(self.directory) | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.aws}", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none",
            "PREFECT_SERVER_API_AUTH_STRING": PASSWORD, "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
        }
        with (self.directory / LOGS_TEMPLATE.format(name=name)).open("ab") as log:
            command = [subject_binary().parent / name, *arguments]
            self.processes[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def start_relay(self, *arguments: str) -> None:
        listen = f"127.0.0.1:{self.relay}"
        self.start("relay", "--listen", listen, "--functions", "test-", "--secret", "test-", *arguments)
        self.wait(f"http://{listen}/health")

    def stop_relay(self, number: int) -> int:
        process = self.processes.pop("relay")
        process.send_signal(number)
        return process.wait(30)

    def wait(self, url: str) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if httpx.get(url).status_code < 500:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError(self.log("relay") + self.log("relayed"))

    def log(self, name: str) -> str:
        return (self.directory / LOGS_TEMPLATE.format(name=name)).read_text(errors="replace")[-4000:]

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        return httpx.request(method, self.api_url + path, auth=tuple(PASSWORD.split(":")), timeout=30, **options)

    def connections(self) -> dict[str, bool]:
        """Returns the connections that there were, and whether the table has them still."""
        found = httpx.get(f"http://127.0.0.1:{self.aws}/connections", timeout=30).json()
        return {one["id"]: one["is_there"] for one in found}


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    listening = threading.Event()

    async def serve() -> None:
        at = [("127.0.0.1", port) for port in (world.api, world.relay)]
        server = await front.start(world.front, *at, path="/websockets")
        listening.set()
        await server.serve_forever()

    threading.Thread(target=asyncio.run, args=[serve()], daemon=True).start()
    listening.wait()
    try:
        world.start(
            "relayed", "--api", f"127.0.0.1:{world.api}", "--aws", f"127.0.0.1:{world.aws}",
            "--relay", f"http://127.0.0.1:{world.relay}/relay", "--secret", SECRET,
        )
        world.wait(f"http://127.0.0.1:{world.api}/api/health")
        world.start_relay()
        yield world
    finally:
        for process in world.processes.values():
            process.send_signal(signal.SIGTERM)
            process.wait(40)


@pytest.fixture
def client(world: World) -> Iterator[World]:
    """The world, with the unmodified client of this process pointed at it."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: world.api_url, PREFECT_API_AUTH_STRING: PASSWORD}):
        yield world
