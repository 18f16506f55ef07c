"""Our server on a data directory, which may be killed and started again on the same port."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

from servers import Server, clean_environment, free_port, subject_binary, wait_until_healthy

READY_SECONDS = 30


class Subject:
    """A server that its clients find at the same address again after each kill."""

    def __init__(self, home: Path, data: Path) -> None:
        self.home = home
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.is_up = threading.Event()
        self.ready_at = 0.0
        self.kills = 0
        # How long each start took until `/api/health` answered.
        self.starts: list[float] = []
        self._began = 0.0
        self._server: Server | None = None

    @property
    def process_id(self) -> int:
        """The id of the running process."""
        assert self._server is not None
        return self._server.process.pid

    def start(self, *wrapper: str) -> None:
        """Starts the server, by a command that runs its arguments if one is given, and waits until it is healthy."""
        self.begin(*wrapper)
        self.wait_until_ready()

    def begin(self, *wrapper: str) -> None:
        """Starts the server without waiting for it; it may be killed before it is healthy."""
        command = [*wrapper, subject_binary(), "--host", "127.0.0.1", "--port", self.port, "--data", self.data]
        log = self.home / "server.log"
        self._began = time.monotonic()
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                env=clean_environment(self.home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._server = Server(process, self.port, log)

    def wait_until_ready(self) -> None:
        """Waits until the server that was begun is healthy."""
        assert self._server is not None
        wait_until_healthy(self._server, READY_SECONDS)
        self.ready_at = time.monotonic()
        self.starts.append(self.ready_at - self._began)
        self.is_up.set()

    def kill(self) -> None:
        """Ends the server by SIGKILL, in the middle of whatever it does."""
        assert self._server is not None
        self.is_up.clear()
        assert self._server.stop(signal.SIGKILL) == -signal.SIGKILL, "the server ended by itself"
        self.kills += 1

    def stop(self) -> int:
        """Ends the server by SIGTERM and returns its exit code; it may be ended already."""
        self.is_up.clear()
        return self._server.stop() if self._server else 0

    def check(self) -> str:
        """Returns what `proctor check` says of the data directory, if anything is wrong there."""
        command = [str(subject_binary()), "check", "--data", str(self.data)]
        checked = subprocess.run(
            command, env=clean_environment(self.home), capture_output=True, text=True, check=False
        )
        return "" if checked.returncode == 0 else checked.stdout + checked.stderr
