#!/usr/bin/env python3
"""How long a server takes from its start to its first answer on a large database, and what memory it has then.

Usage: target/release/scale fill 1000000 DIRECTORY/proctor.db; tests/benchmark/start.py DIRECTORY
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import subprocess
import time
from pathlib import Path

from process import memory


def ask(port: int, method: str, path: str, body: str | None = None) -> float:
    """Returns the milliseconds until the answer is read; fails where there is none, or another one than 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    started = time.perf_counter()
    connection.request(method, path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    return (time.perf_counter() - started) * 1e3


def main() -> None:
    """Prints a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--server", default="target/release/proctor")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--port", type=int, default=4979)
    options = parser.parse_args()
    command = [options.server, "--data", options.data, "--port", str(options.port), "--no-ui"]
    starts = []
    for start in range(options.starts):
        began = time.perf_counter()
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while server.poll() is None:
                try:
                    ask(options.port, "GET", "/api/health")
                    break
                except OSError:
                    time.sleep(0.0005)
            starts.append((time.perf_counter() - began) * 1e3)
            if start == options.starts - 1:
                time.sleep(2)
                idle = memory(server.pid)
                newest = '{"limit": 200, "sort": "START_TIME_DESC"}'
                page, count = ("/api/flow_runs/filter", newest), ("/api/flow_runs/count", "{}")
                took = [min(ask(options.port, "POST", *question) for _ in range(2)) for question in (page, count)]
                print("| start, ms | memory idle, MB | a page of 200, ms | a count of all, ms | memory then, MB |")
                print("|--:|--:|--:|--:|--:|")
                row = [statistics.median(starts), idle, *took, memory(server.pid)]
                print("| " + " | ".join(f"{value:.1f}" for value in row) + " |")
        finally:
            server.terminate()
            server.wait(30)


if __name__ == "__main__":
    main()
