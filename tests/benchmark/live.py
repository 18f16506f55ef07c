"""How long it takes until a client is told of an event, with many clients that are not, and what these cost.

Usage: .venv/bin/python tests/benchmark/live.py [--subscribers 1000] [--rate 200] [--seconds 20] [--server BIN]

One process sends events at a steady rate through `/events/in`, as clients do. One subscriber wants them all, and the others
want what does not happen. Prints the milliseconds from an event's sending to its arrival (p50, p99), with the one subscriber
alone and with all, the share of a processor that the server used, and its memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import servers  # noqa: E402
from process import memory, processor  # noqa: E402

FAR = "2100-01-01T00:00:00Z"
PATIENCE_SECONDS = 30.0


async def opened(url: str, path: str) -> ClientConnection:
    socket = await connect(url.replace("http", "ws") + path, subprotocols=[Subprotocol("prefect")], ping_interval=None)
    await socket.send(json.dumps({"type": "auth", "token": None}))
    await socket.recv()
    return socket


async def subscribed(url: str, name: str) -> ClientConnection:
    socket = await opened(url, "/events/out")
    filter = {"event": {"prefix": [name]}, "occurred": {"until": FAR}}
    await socket.send(json.dumps({"type": "filter", "filter": filter, "backfill": False}))
    return socket


async def send(url: str, rate: int, seconds: float, sent: dict[str, float]) -> None:
    """Sends events at a steady rate, and notes when."""
    socket = await opened(url, "/events/in")
    began = time.perf_counter()
    for n in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        id = str(uuid4())
        event = {"occurred": datetime.now(UTC).isoformat(), "event": "told.of", "resource": {"prefect.resource.id": f"r.{n % 50}"}}
        sent[id] = time.perf_counter()
        await socket.send(json.dumps({**event, "id": id, "payload": {"n": n}}))
    await (await socket.ping())
    await socket.close()


async def measure(url: str, process: int, rate: int, seconds: float) -> tuple[list[float], float]:
    """Returns the milliseconds until each event arrived, and how much of a processor the server used."""
    sent: dict[str, float] = {}
    socket = await subscribed(url, "told.")
    used, began = processor(process), time.perf_counter()
    sending = asyncio.create_task(send(url, rate, seconds, sent))
    took = []
    for _ in range(int(rate * seconds)):
        message = await asyncio.wait_for(socket.recv(), PATIENCE_SECONDS)
        took.append((time.perf_counter() - sent[json.loads(message)["event"]["id"]]) * 1000)
    await sending
    share = (processor(process) - used) / (time.perf_counter() - began)
    await socket.close()
    return took, share


async def run(arguments: argparse.Namespace, url: str, process: int) -> None:
    print("| subscribers | p50, ms | p99, ms | processors used | memory, MB |")
    print("|--:|--:|--:|--:|--:|")
    others: list[ClientConnection] = []
    for count in (0, arguments.subscribers):
        while len(others) < count:
            others += await asyncio.gather(*(subscribed(url, f"nothing.{n}") for n in range(min(50, count - len(others)))))
        took, share = await measure(url, process, arguments.rate, arguments.seconds)
        p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
        print(f"| {count + 1} | {p50:.1f} | {p99:.1f} | {share:.2f} | {memory(process):.0f} |", flush=True)
    for socket in others:
        await socket.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--server", help="our binary (default: the release build, else the debug build)")
    arguments = parser.parse_args()
    if arguments.server:
        os.environ["PROCTOR_SERVER_BIN"] = arguments.server
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    settings = {"PROCTOR_CONNECTIONS": str(arguments.subscribers + 100)}
    with tempfile.TemporaryDirectory() as home:
        server = servers.start_subject(Path(home), "--data", f"{home}/data", settings=settings)
        try:
            asyncio.run(run(arguments, server.api_url, server.process.pid))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
