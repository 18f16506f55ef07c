"""A server that dies again and again in the same step of an operation: the operation ends, and says why."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import stored
from subject import Subject

RUNS = 300
# How often a step is handed out before it is put aside.
RECEIVES = 6
ENDED_SECONDS = 20.0


def begin_operation(url: str) -> str:
    """Makes many flow runs and begins to cancel them; returns the operation's id."""
    with httpx.Client(base_url=f"{url}/", timeout=60) as client:
        flow_id = client.post("flows/", json={"name": "same-step"}).json()["id"]
        for _ in range(RUNS):
            client.post("flow_runs/", json={"flow_id": flow_id}).raise_for_status()
        body = {"flow_runs": {"name": {"like_": ""}}, "state": {"type": "CANCELLED"}}
        headers = {"Prefer": "respond-async"}
        response = client.post("flow_runs/bulk_set_state", json=body, headers=headers)
        assert response.status_code == 202
        return response.json()["id"]


def kill_when_handed_out(subject: Subject, operation: str, step: int, time_of_it: int) -> None:
    """Kills the server as soon as the step is handed out for the n-th time."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for message in stored.messages(subject.data):
            body = message.body
            if (
                body["task"] == "bulk_step"
                and (body["operation"], body["step"]) == (operation, step)
                and message.receives >= time_of_it
            ):
                subject.kill()
                return
        time.sleep(0.001)
    raise AssertionError(f"step {step} was not handed out {time_of_it} times")


def ended(url: str, operation: str) -> dict[str, Any]:
    """Waits until the operation has ended, and returns what the server says of it."""
    until = time.monotonic() + ENDED_SECONDS
    while True:
        progress = httpx.get(f"{url}/operations/{operation}").json()
        if progress["status"] != "RUNNING" or time.monotonic() > until:
            return progress
        time.sleep(0.05)


@pytest.mark.parametrize("kills", [4, 5, 6, 8])
def test_an_operation_ends_whose_server_dies_in_the_same_step(tmp_path: Path, kills: int) -> None:
    subject = Subject(tmp_path, tmp_path / "data")
    subject.start()
    try:
        operation = begin_operation(subject.url)
        for n in range(1, kills + 1):
            kill_when_handed_out(subject, operation, 0, n)
            subject.begin()
        subject.wait_until_ready()
        progress = ended(subject.url, operation)
        letters = httpx.get(f"{subject.url}/dead_letters").json()
    finally:
        subject.stop()
    print(f"{kills} kills: {progress}, {letters}")
    # A server that dies early leaves the change that made the message, which makes another one: the step may be done yet.
    if progress["status"] == "FAILED":
        assert kills >= RECEIVES - 1
        assert "its worker ended" in progress["given_up"][0]
        assert [letter["content"]["operation"] for letter in letters] == [operation]
    else:
        assert (progress["status"], progress["done"], progress["failed"]) == ("COMPLETED", RUNS, 0)
        assert kills >= RECEIVES - 1 or not letters
