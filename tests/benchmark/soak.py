#!/usr/bin/env python3
"""Keeps the local server under mixed load, and prints each minute whether memory and latencies stay flat.

Each client lets flow runs live: create, three states, log lines, reads, a page of 200, a count. At the end the first and the
last whole minute are compared; the exit code is 1 if the median latency or the memory has grown by more than half.
"""

from __future__ import annotations

import argparse
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from process import memory

GROWTH = 1.5
# What a server keeps for itself grows until its caches are full.
WARM_UP_MINUTES = 2


class Client(threading.Thread):
    """A client that rests for some seconds before each request, or never."""

    def __init__(self, port: int, flow: str, until: float, rest: float) -> None:
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.flow, self.until, self.rest = flow, until, rest
        self.taken: list[tuple[float, float]] = []
        self.failed = 0

    def ask(self, method: str, path: str, body: object = None) -> object:
        time.sleep(self.rest)
        started = time.monotonic()
        headers = {} if body is None else {"content-type": "application/json"}
        self.connection.request(method, f"/api{path}", None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read()
        self.taken.append((started, time.monotonic() - started))
        if answer.status >= 300:
            self.failed += 1
            return None
        return json.loads(text) if text else None

    def run(self) -> None:
        while time.monotonic() < self.until:
            run = self.ask("POST", "/flow_runs/", {"flow_id": self.flow, "state": {"type": "SCHEDULED"}, "tags": ["soak"]})
            if run is None:
                continue
            path = f"/flow_runs/{run['id']}"
            for state in ("PENDING", "RUNNING", "COMPLETED"):
                self.ask("POST", f"{path}/set_state", {"state": {"type": state}})
                self.ask("GET", path)
            line = {"name": "soak", "level": 20, "message": "a line", "timestamp": "2026-01-31T09:30:00Z"}
            self.ask("POST", "/logs/", [{**line, "flow_run_id": run["id"]}] * 10)
            self.ask("POST", "/flow_runs/filter", {"limit": 200, "sort": "START_TIME_DESC"})
            self.ask("POST", "/flow_runs/count", {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}})


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1e3 if values else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rest", type=float, default=0, help="seconds for which a client rests before each request")
    parser.add_argument("--server", default="target/release/proctor")
    parser.add_argument("--port", type=int, default=4967)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        command = [options.server, "--data", home, "--port", str(options.port), "--no-ui"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            rows = soak(options, server, Path(home))
        finally:
            server.terminate()
            server.wait(30)
    steady = rows[WARM_UP_MINUTES:] or rows
    grown = [name for name in ("p50", "memory") if steady[-1][name] > GROWTH * steady[0][name]]
    print(f"grown by more than half: {', '.join(grown) or 'nothing'}; failed requests: {sum(row['failed'] for row in rows)}")
    sys.exit(1 if grown or any(row["failed"] for row in rows) else 0)


def soak(options: argparse.Namespace, server: subprocess.Popen[bytes], home: Path) -> list[dict[str, float]]:
    """Returns what each minute took."""
    first = Client(options.port, "", 0, 0)
    for _ in range(100):
        try:
            flow = first.ask("POST", "/flows/", {"name": "soak"})["id"]
            break
        except OSError:
            first.connection.close()
            time.sleep(0.1)
    began = time.monotonic()
    clients = [Client(options.port, flow, began + 60 * options.minutes, options.rest) for _ in range(options.clients)]
    for client in clients:
        client.start()
    print("| minute | requests/s | p50 ms | p99 ms | memory MB | database MB | log MB |\n|--:|--:|--:|--:|--:|--:|--:|")
    rows, failed = [], 0
    for minute in range(options.minutes):
        time.sleep(max(0.0, began + 60 * (minute + 1) - time.monotonic()))
        taken = [took for client in clients for at, took in list(client.taken) if at >= began + 60 * minute]
        all_failed = sum(client.failed for client in clients)
        size = lambda name: (home / name).stat().st_size / 1e6  # noqa: E731
        row = {
            "p50": quantile(taken, 0.5),
            "p99": quantile(taken, 0.99),
            "memory": memory(server.pid),
            "failed": all_failed - failed,
        }
        failed = all_failed
        print(
            f"| {minute + 1} | {len(taken) / 60:.0f} | {row['p50']:.2f} | {row['p99']:.2f} | {row['memory']:.0f} |"
            f" {size('proctor.db'):.0f} | {size('proctor.db-wal'):.0f} |",
            flush=True,
        )
        for client in clients:
            client.taken = client.taken[-1000:]
        rows.append(row)
    for client in clients:
        client.join(60)
    return rows


if __name__ == "__main__":
    main()
