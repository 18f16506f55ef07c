"""What is in the database's file and no operation tells: leases, the stream's backlog, and the queue of jobs."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def _read(data: Path, query: str) -> list[tuple[Any, ...]]:
    """Returns the rows of a query; the server may have the file open."""
    with contextlib.closing(sqlite3.connect(data / "proctor.db", timeout=10)) as connection:
        connection.execute("PRAGMA query_only = true")
        return connection.execute(query).fetchall()


@dataclass(frozen=True)
class Message:
    """A message of the queue, and how often it was handed out."""

    body: dict[str, Any]
    receives: int


def messages(data: Path) -> list[Message]:
    """Returns the messages of the queue."""
    rows = _read(data, "SELECT body, receives FROM messages")
    return [Message(json.loads(body), receives) for body, receives in rows]


def backlog(data: Path) -> int:
    """Returns how many changes and due messages are still to be consumed."""
    [(changes,)] = _read(data, "SELECT ifnull(max(seq) - min(seq) + 1, 0) FROM changes WHERE pk <> ''")
    is_due = f"visible_at <= {time.time()} OR receives > 0"
    [(due,)] = _read(data, f"SELECT count(*) FROM messages WHERE {is_due}")
    return changes + due


def wait_until_quiet(data: Path, timeout_seconds: float) -> float:
    """Waits until all that follows from writes is done, or the time is over; returns how long that took."""
    started = time.monotonic()
    quiet = 0
    while quiet < 3 and time.monotonic() - started < timeout_seconds:
        quiet = quiet + 1 if backlog(data) == 0 else 0
        time.sleep(0.1)
    return time.monotonic() - started


def _records(data: Path, kind: str) -> list[dict[str, Any]]:
    """Returns the records under the partition keys that begin with `kind`, head and tail together."""
    rows = _read(data, f"SELECT head, ifnull(tail, '{{}}') FROM items WHERE pk >= '{kind}#' AND pk < '{kind}$'")
    return [{key: value for text in both for key, value in json.loads(text).items()} for both in rows]


def leases(data: Path) -> dict[str, dict[str, Any]]:
    """Returns all leases by their ids."""
    return {lease["id"]: lease for lease in _records(data, "lease")}


def slots(data: Path) -> dict[str, tuple[int, int]]:
    """Returns how many slots each limit says that are taken, and how many its leases hold, by its name."""
    leased: Counter[str] = Counter()
    for lease in leases(data).values():
        leased.update(dict.fromkeys(lease["limits"], lease["slots"]))
    limits = _records(data, "concurrency_limit")
    return {limit["name"]: (limit["active_slots"], leased[limit["id"]]) for limit in limits}
