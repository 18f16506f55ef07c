"""Whether a server keeps up with events that many automations look at.

Usage: .venv/bin/python tests/benchmark/automations.py [--automations 1000] [--rate 200] [--seconds 20] [--concerned 1 5] [--server BIN]

Makes automations of five kinds: on each event, on three within a minute, on three of a resource, on one after another, and on
two in a row. Sends events at a steady rate through `/events/in`, each of which concerns as many of them as `--concerned` says;
all others are asked in vain. Then sends one that a last automation waits for, and prints how long that took to be told after it
was sent (how far the server was behind), what the server used of a processor, and its memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from live import opened
from process import memory, processor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import servers  # noqa: E402

PATIENCE_SECONDS = 300.0
RESOURCES = 10


def trigger(kind: int, name: str) -> dict[str, Any]:
    event: dict[str, Any] = {"type": "event", "posture": "Reactive", "expect": [name]}
    kinds = (
        event,
        {**event, "threshold": 3, "within": 60},
        {**event, "threshold": 3, "within": 60, "for_each": ["prefect.resource.id"]},
        {**event, "after": ["never.comes"], "within": 60},
        {"type": "sequence", "triggers": [event, {**event, "expect": ["never.comes"]}], "within": 60},
    )
    return kinds[kind % len(kinds)]


async def send(url: str, rate: int, seconds: float, names: int) -> None:
    socket = await opened(url, "/events/in")
    began = time.perf_counter()
    for n in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        await socket.send(json.dumps(event(f"kind.{n % names}", f"r.{n % RESOURCES}")))
    await (await socket.ping())
    await socket.close()


def event(name: str, resource: str) -> dict[str, Any]:
    occurred = datetime.now(UTC).isoformat()
    return {"occurred": occurred, "event": name, "resource": {"prefect.resource.id": resource}, "id": str(uuid4()), "payload": {}}


def fired(client: httpx.Client, **resource: Any) -> int:
    filter = {"event": {"name": ["prefect.automation.triggered"]}, **resource}
    return client.post("/events/filter", json={"filter": filter, "limit": 1}).raise_for_status().json()["total"]


def measure(url: str, process: int, arguments: argparse.Namespace, concerned: int) -> str:
    names = max(1, arguments.automations // concerned)
    with httpx.Client(base_url=url, timeout=60) as client:
        for n in range(arguments.automations):
            body = {"name": f"a{n}", "trigger": trigger(n // names, f"kind.{n % names}"), "actions": [{"type": "do-nothing"}]}
            client.post("/automations/", json=body).raise_for_status()
        last = {"name": "last", "trigger": {"type": "event", "posture": "Reactive", "expect": ["last"]}, "actions": []}
        id = client.post("/automations/", json=last).raise_for_status().json()["id"]
        used, began = processor(process), time.perf_counter()
        asyncio.run(send(url, arguments.rate, arguments.seconds, names))
        client.post("/events", json=[event("last", "last")]).raise_for_status()
        sent = time.perf_counter()
        while not fired(client, resource={"id": [f"prefect.automation.{id}"]}):
            if time.perf_counter() - sent > PATIENCE_SECONDS:
                sys.exit("automations: the last event made no automation fire")
            time.sleep(0.05)
        behind = time.perf_counter() - sent
        share = (processor(process) - used) / (time.perf_counter() - began)
        evaluations = arguments.rate * concerned
        return f"| {concerned} | {evaluations} | {behind:.1f} | {share:.2f} | {memory(process):.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--automations", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--concerned", type=int, nargs="+", default=[1, 5], help="how many automations each event concerns")
    parser.add_argument("--server", help="our binary (default: the release build, else the debug build)")
    arguments = parser.parse_args()
    if arguments.server:
        os.environ["PROCTOR_SERVER_BIN"] = arguments.server
    print("| automations that an event concerns | evaluations a second | behind, s | processors used | memory, MB |")
    print("|--:|--:|--:|--:|--:|")
    for concerned in arguments.concerned:
        with tempfile.TemporaryDirectory() as home:
            server = servers.start_subject(Path(home), "--data", f"{home}/data")
            try:
                print(measure(server.api_url, server.process.pid, arguments, concerned), flush=True)
            finally:
                server.stop()


if __name__ == "__main__":
    main()
