"""Watches operations on many flow runs: how long each goes on while the server is up."""

from __future__ import annotations

import contextlib
import threading
import time

import httpx
from ledger import Ledger, Operation
from subject import Subject

LOOK_SECONDS = 0.1
# How long an operation may go on after its begin, or after the last start of the server.
LONGEST_SECONDS = 10.0


class Watch:
    """Looks at each operation until it has ended."""

    def __init__(self, subject: Subject, ledger: Ledger) -> None:
        self.subject = subject
        self.ledger = ledger
        # The operations that outlived a start of the server, and how long they went on after it.
        self.after_starts: list[float] = []
        # By operation, that it goes on for too long.
        self.overdue: dict[str, str] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def pending(self) -> dict[str, Operation]:
        """Returns the operations that still go on."""
        operations = list(self.ledger.operations.items())
        return {id: operation for id, operation in operations if operation.seconds is None}

    def wait_until_ended(self, timeout_seconds: float) -> None:
        """Waits until every operation has ended, or the time is over."""
        until = time.monotonic() + timeout_seconds
        while self.pending() and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        with httpx.Client(base_url=f"{self.subject.url}/", timeout=30) as client:
            while not self._is_over.is_set():
                for id, operation in self.pending().items():
                    with contextlib.suppress(httpx.TransportError):
                        self._look_at(client, id, operation)
                time.sleep(LOOK_SECONDS)

    def _look_at(self, client: httpx.Client, id: str, operation: Operation) -> None:
        since = max(operation.acknowledged_at, self.subject.ready_at)
        response = client.get(f"operations/{id}")
        if response.status_code != 200:
            return
        operation.progress = response.json()
        seconds = time.monotonic() - since
        if operation.progress["status"] != "RUNNING":
            operation.seconds = seconds
            if self.subject.ready_at > operation.acknowledged_at:
                self.after_starts.append(seconds)
        if seconds > LONGEST_SECONDS and since >= self.subject.ready_at:
            self.overdue[id] = f"operation {id} goes on {seconds:.1f} s after its begin or a start: {operation.progress}"
