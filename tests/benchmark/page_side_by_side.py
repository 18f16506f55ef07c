"""How long the page takes to show the dashboard and the list of runs, over this project's server and the real one.

Usage: .venv-page/bin/python tests/benchmark/page_side_by_side.py [--runs N] [--loads 7] [--scale BIN] [--server BIN]

Both servers hold the runs of `scale` (scale_side_by_side.py), with their background services off, and show the files of
the same interface. Chromium opens each page over one server and over the other in turn, in a window that has the files
already, as a person's has. Measured are the time until the content is there, and until the last answer of the API is;
medians, from the beginning of the navigation. Prints a table, and what the calls of each page take.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import BrowserContext, Request

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "page"), str(TESTS / "benchmark")]

import assets  # noqa: E402
import chromium  # noqa: E402
import servers  # noqa: E402
from conftest import PAGE, oracle, oracle_environment  # noqa: E402
from scale_side_by_side import PATIENCE_SECONDS, make_templates, seed  # noqa: E402

RUNS_SHOWN = "[...document.querySelectorAll('a[href*=\"/runs/flow-run/\"]')].filter(one => one.innerText).length >= 5"
DASHBOARD_SHOWN = """/Flow Runs\\s+[\\d,]{2,}\\s+total/.test(document.body.innerText)
    && ['pool-0', 'pool-1', 'pool-2', 'pool-3'].every(pool => document.body.innerText.includes(pool))"""

PAGES = {
    "second, dashboard": ("/v2/dashboard", DASHBOARD_SHOWN),
    "second, runs": ("/v2/runs", RUNS_SHOWN),
    "first, dashboard": ("/dashboard", DASHBOARD_SHOWN),
    "first, runs": ("/runs", RUNS_SHOWN),
}

# The calls of the API that have been answered: their paths without ids, and when they began and ended.
CALLS = """() => performance.getEntriesByType('resource').filter(one => one.name.includes('/api/')).map(one =>
    [one.name.replace(/^.*?[/]api/, '').replace(/[0-9a-f-]{36}/g, '…'), one.startTime, one.responseEnd])"""

# How long ago the last answer came.
SILENCE = """() => performance.now()
    - Math.max(...performance.getEntriesByType('resource').map(one => one.responseEnd))"""

# How long nothing is asked for before a page counts as done, in milliseconds.
QUIET = 1_000


@dataclass
class Measured:
    """What was measured of a page over a server, in milliseconds."""

    shown: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    calls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def load(context: BrowserContext, origin: str, path: str, is_shown: str, measured: Measured) -> None:
    """Opens a page in a new tab, and notes what it took."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_SECONDS * 1_000)
    unanswered: set[Request] = set()

    def asked(request: Request) -> None:
        unanswered.add(request)

    def ended(request: Request) -> None:
        unanswered.discard(request)

    page.on("request", asked)
    page.on("requestfinished", ended)
    page.on("requestfailed", ended)
    page.goto(origin + path, wait_until="commit")
    shown = page.wait_for_function(f"() => ({is_shown}) && performance.now()", polling="raf").json_value()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while unanswered or page.evaluate(SILENCE) < QUIET:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} still waits for {sorted({request.url for request in unanswered})}")
        page.wait_for_timeout(QUIET / 4)
    calls: list[tuple[str, float, float]] = page.evaluate(CALLS)
    measured.shown.append(shown)
    measured.done.append(max(end for _, _, end in calls))
    for name, start, end in calls:
        measured.calls[name].append(end - start)
    page.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--loads", type=int, default=7)
    parser.add_argument("--scale", type=Path, default=Path("target/release/scale"))
    parser.add_argument("--server", type=Path, default=Path("target/release/proctor"))
    options = parser.parse_args()
    ending = datetime.now(timezone.utc).isoformat()
    with (
        tempfile.TemporaryDirectory(prefix="page-speed-") as directory,
        assets.made(options.server, oracle_environment()),
        oracle() as theirs,
    ):
        home = Path(directory)
        subprocess.run([options.scale, "fill", str(options.runs), home / "proctor.db", "--ending", ending], check=True)
        fill_oracle(theirs, options.scale, options.runs, ending)
        port = servers.free_port()
        command = [options.server, "--data", home, "--no-services", "--host", "127.0.0.1", "--port", str(port)]
        environment = servers.clean_environment(home) | PAGE
        ours = servers.launch(command, port, environment, home / "server.log", 60)
        try:
            compare({"ours": ours, "theirs": theirs}, options.runs, options.loads)
        finally:
            ours.stop()
    return 0


def fill_oracle(oracle: servers.Server, scale: Path, runs: int, ending: str) -> None:
    """Puts the runs into the real server's SQLite file."""
    command = [scale, "rows", str(runs), "--ending", ending]
    rows = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert rows.stdout is not None
    rows.stdout.readline()
    around: dict[str, Any] = json.loads(rows.stdout.readline())
    with httpx.Client(base_url=oracle.api_url, timeout=PATIENCE_SECONDS) as api:
        ids = make_templates(api)
    seed(oracle.log.parent / "oracle.db", ids, around, map(json.loads, rows.stdout))
    rows.wait()


def compare(both: dict[str, servers.Server], runs: int, loads: int) -> None:
    """Measures, and prints the tables."""
    for server in both.values():
        count = httpx.post(f"{server.api_url}/flow_runs/count", json={}, timeout=PATIENCE_SECONDS).json()
        assert count == runs, f"{count} runs are there"
    measured = {(page, whose): Measured() for page in PAGES for whose in both}
    with chromium.started("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1") as browser:
        contexts = {whose: browser.new_context(viewport={"width": 1280, "height": 900}) for whose in both}
        for page, (path, is_shown) in PAGES.items():
            # The first load fetches the files, and is not counted.
            for number in range(loads + 1):
                for whose, server in both.items():
                    into = measured[page, whose] if number else Measured()
                    load(contexts[whose], server.api_url.removesuffix("/api"), path, is_shown, into)
                    print(f"{page}, {whose}, load {number}", file=sys.stderr)
    load_average = os.getloadavg()[0]
    print(f"{runs} flow runs, medians of {loads} loads in milliseconds; load average {load_average:.1f} at the end\n")
    print("| page | content, ours | the real server | every answer, ours | the real server |\n|---|--:|--:|--:|--:|")
    for page in PAGES:
        ours, theirs = measured[page, "ours"], measured[page, "theirs"]
        times = [statistics.median(one) for one in (ours.shown, theirs.shown, ours.done, theirs.done)]
        print(f"| {page} | {' | '.join(f'{time:,.0f}' for time in times)} |")
    for page in PAGES:
        print(f"\n| {page}: calls of | number, ours | median | longest | number, the real server | median | longest |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        ours, theirs = measured[page, "ours"].calls, measured[page, "theirs"].calls
        for call in sorted(ours | theirs, key=lambda call: -sum(ours.get(call, [0]))):
            cells = [cell for times in (ours.get(call, []), theirs.get(call, [])) for cell in told(times, loads)]
            print(f"| `{call}` | {' | '.join(cells)} |")


def told(times: list[float], loads: int) -> list[str]:
    """Returns how often a page calls, and what a call takes, with what it waits for in the browser's queue."""
    if not times:
        return ["0", "", ""]
    return [f"{len(times) / loads:.0f}", f"{statistics.median(times):.0f}", f"{max(times):.0f}"]


if __name__ == "__main__":
    sys.exit(main())
