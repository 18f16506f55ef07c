"""What the views show: operations, dead letters and keys, made as they come about."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
from servers import subject_binary

# How often a message was handed out whose worker is taken to die of it; then it is put aside without a try.
HANDED_OUT = 5


def begin_operation(api_url: str, runs: int = 3) -> str:
    """Makes flow runs and begins to cancel them; returns the operation's id."""
    with httpx.Client(base_url=f"{api_url}/", timeout=30) as client:
        flow = client.post("flows/", json={"name": f"flow-{uuid.uuid4()}"}).raise_for_status().json()
        run = {"flow_id": flow["id"]}
        made = [client.post("flow_runs/", json=run).raise_for_status().json()["id"] for _ in range(runs)]
        answer = client.post(
            "flow_runs/bulk_set_state",
            json={"flow_runs": {"id": {"any_": made}}, "state": {"type": "CANCELLED"}},
            headers={"Prefer": "respond-async"},
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]


def put_into_queue(data: Path, body: object, receives: int = 0) -> None:
    """Puts a message into the embedded queue, which was handed out so often already."""
    text = body if isinstance(body, str) else json.dumps(body)
    with sqlite3.connect(data / "proctor.db", timeout=10) as database:
        database.execute(
            "INSERT INTO messages (body, visible_at, receives) VALUES (?, 0, ?)", (text, receives)
        )
    database.close()


def make_dead_letters(api_url: str, data: Path) -> None:
    """Makes a dead letter whose work succeeds when it is tried again, and one that never does."""
    put_into_queue(data, {"task": "cancel_children", "flow_run": str(uuid.uuid4())}, HANDED_OUT)
    put_into_queue(data, "no message of ours")
    until = time.monotonic() + 15
    while len(letters(api_url)) < 2:
        assert time.monotonic() < until, letters(api_url)
        time.sleep(0.05)


def letters(api_url: str) -> list[dict[str, Any]]:
    """Returns the dead letters that there are."""
    return httpx.get(f"{api_url}/dead_letters").raise_for_status().json()


def make_key(data: Path, role: str, name: str) -> str:
    """Makes a key as an administrator does on the server's machine."""
    command = [subject_binary(), "--data", data, "keys", "create", "--role", role, "--name", name]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
