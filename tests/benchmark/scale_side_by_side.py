"""Pages of 200 flow runs with every sort and filter, from this project's server and from the real one, on the same data.

Usage: .venv/bin/python tests/benchmark/scale_side_by_side.py [--runs 100000] [--scale BIN] [--server BIN]

Both servers hold the runs that `scale` makes (tests/benchmark/src/bin/scale): ours has them written into its database
file, the real one into its SQLite file, as clones of rows that its own API has made. Background services are off. Each
query is sent to both in turn, over one connection each, while the other one has nothing to do; before it is timed, both
must have given the same ids. Prints a table of medians, and the ratio of the real server's to ours.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import servers  # noqa: E402

Row = dict[str, Any]
TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
ROUNDS = 5
PATIENCE_SECONDS = 120


def row_of(database: sqlite3.Connection, table: str, record_id: str) -> Row:
    """Returns a row that the server's API has made."""
    return dict(database.execute(f"SELECT * FROM {table} WHERE id = ?", [record_id]).fetchone())


def insert(database: sqlite3.Connection, table: str, rows: list[Row]) -> None:
    """Writes rows that all have the same columns."""
    columns = list(rows[0])
    values = ", ".join(f":{column}" for column in columns)
    database.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})", rows)


def stored(time_text: str | None) -> str | None:
    """Returns a time of the API as the database writes it."""
    if time_text is None:
        return None
    return datetime.fromisoformat(time_text).astimezone(timezone.utc).strftime(TIME_FORMAT)


def interval(seconds: float) -> str:
    """Returns a duration as SQLAlchemy writes it into SQLite."""
    return (datetime(1970, 1, 1) + (datetime.min - datetime.min)).strftime(TIME_FORMAT) if not seconds else (
        datetime.fromtimestamp(seconds, timezone.utc).strftime(TIME_FORMAT)
    )


def make_templates(api: httpx.Client) -> dict[str, str]:
    """Makes one record of each kind; returns their ids."""

    def post(path: str, body: Row) -> Row:
        answer = api.post(path, json=body)
        answer.raise_for_status()
        return answer.json()

    flow = post("/flows/", {"name": "template"})
    pool = post("/work_pools/", {"name": "template", "type": "process"})
    body = {"name": "template", "flow_id": flow["id"], "work_pool_name": "template"}
    deployment = post("/deployments/", body)
    run = post("/flow_runs/", {"flow_id": flow["id"], "name": "template", "state": {"type": "COMPLETED"}})
    return {
        "flow": flow["id"],
        "work_pool": pool["id"],
        "work_queue": pool["default_queue_id"],
        "deployment": deployment["id"],
        "flow_run": run["id"],
        "flow_run_state": run["state_id"],
    }


def seed(file: Path, ids: dict[str, str], around: Row, runs: Iterator[Row]) -> None:
    """Clones the templates into the records of the data, and deletes the templates."""
    database = sqlite3.connect(file, timeout=60)
    database.row_factory = sqlite3.Row
    template = {table: row_of(database, table, record_id) for table, record_id in ids.items()}
    with database:
        database.execute("PRAGMA foreign_keys = OFF")
        insert(database, "flow", [template["flow"] | {k: one[k] for k in ("id", "name")} for one in around["flows"]])
        pools = [template["work_pool"] | {k: one[k] for k in ("id", "name", "default_queue_id")} for one in around["pools"]]
        insert(database, "work_pool", pools)
        queues = [template["work_queue"] | {k: one[k] for k in ("id", "name", "work_pool_id")} for one in around["queues"]]
        insert(database, "work_queue", queues)
        named = ("id", "name", "flow_id", "work_queue_id", "work_queue_name")
        deployments = [template["deployment"] | {k: one[k] for k in named} for one in around["deployments"]]
        insert(database, "deployment", deployments)
        run_rows, state_rows = [], []
        copied = ("id", "name", "flow_id", "deployment_id", "work_queue_id", "work_queue_name", "state_type", "state_name")
        times = ("expected_start_time", "start_time", "end_time", "next_scheduled_start_time")
        for run in runs:
            state = run["state"]
            run_rows.append(
                template["flow_run"]
                | {name: run[name] for name in copied}
                | {name: stored(run[name]) for name in times}
                | {
                    "created": stored(run["created"]),
                    "state_id": state["id"],
                    "state_timestamp": stored(state["timestamp"]),
                    "tags": json.dumps(run["tags"]),
                    "parameters": json.dumps(run["parameters"]),
                    "total_run_time": interval(run["total_run_time"]),
                }
            )
            state_rows.append(
                template["flow_run_state"]
                | {"id": state["id"], "flow_run_id": run["id"], "type": state["type"], "name": state["name"]}
                | {"timestamp": stored(state["timestamp"])}
            )
        insert(database, "flow_run", run_rows)
        insert(database, "flow_run_state", state_rows)
        for table in ("flow_run_state", "flow_run", "deployment", "work_queue", "work_pool", "flow"):
            database.execute(f"DELETE FROM {table} WHERE id = ?", [ids[table]])
    database.execute("ANALYZE")
    database.close()


def timed(api: httpx.Client, path: str, body: Row) -> tuple[float, Any]:
    """Sends a request; returns its milliseconds and its answer."""
    started = time.perf_counter()
    answer = api.post(path, json=body, timeout=PATIENCE_SECONDS)
    elapsed = (time.perf_counter() - started) * 1e3
    answer.raise_for_status()
    return elapsed, answer.json()


def median(api: httpx.Client, path: str, body: Row) -> float:
    """Returns the median of some requests; of fewer where they take long."""
    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < 4_000:
        times.append(timed(api, path, body)[0])
    return statistics.median(times)


def requests(queries: Row, ending: str) -> Iterator[tuple[str, str, str, Row]]:
    """Yields the name, the kind, the path and the body of each query."""
    for name, body in queries["filters"]:
        for sort in queries["sorts"]:
            yield name, sort, "/flow_runs/filter", body | {"sort": sort, "limit": 200}
        yield name, "count", "/flow_runs/count", body
        day_before = datetime.fromisoformat(ending).timestamp() - 86_400
        window = {
            "history_start": datetime.fromtimestamp(day_before, timezone.utc).isoformat(),
            "history_end": ending,
            "history_interval_seconds": 3_600,
        }
        yield name, "history of a day", "/flow_runs/history", body | window


def essence(kind: str, answer: Any) -> Any:
    """Returns what both answers must have in common: of runs that sort alike the order is open."""
    if kind == "count":
        return answer
    if kind == "history of a day":
        counts = [sum(state["count_runs"] for state in interval_["states"]) for interval_ in answer]
        return counts
    return len(answer)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--scale", type=Path, default=Path("target/release/scale"))
    parser.add_argument("--server", type=Path, default=Path("target/release/proctor"))
    options = parser.parse_args()
    ending = datetime.now(timezone.utc).isoformat()
    with tempfile.TemporaryDirectory(prefix="scale-") as directory, servers.oracle(services=False) as oracle:
        home = Path(directory)
        command = [options.scale, "fill", str(options.runs), home / "proctor.db", "--ending", ending]
        subprocess.run(command, check=True)
        rows = subprocess.Popen(
            [options.scale, "rows", str(options.runs), "--ending", ending], stdout=subprocess.PIPE, text=True
        )
        assert rows.stdout is not None
        queries, around = json.loads(rows.stdout.readline()), json.loads(rows.stdout.readline())
        with httpx.Client(base_url=oracle.api_url, timeout=PATIENCE_SECONDS) as theirs:
            ids = make_templates(theirs)
            seed(oracle.log.parent / "oracle.db", ids, around, map(json.loads, rows.stdout))
            rows.wait()
            port = servers.free_port()
            subject = servers.launch(
                [options.server, "--data", home, "--no-services", "--port", str(port)],
                port,
                servers.clean_environment(home),
                home / "server.log",
                60,
            )
            try:
                with httpx.Client(base_url=subject.api_url, timeout=PATIENCE_SECONDS) as ours:
                    compare(ours, theirs, queries, ending, options.runs)
            finally:
                subject.stop()
    return 0


def compare(ours: httpx.Client, theirs: httpx.Client, queries: Row, ending: str, runs: int) -> None:
    """Prints the table."""
    print(f"{runs} flow runs; medians of {ROUNDS}, milliseconds\n")
    print("| query | what | ours | the real server | ratio |\n|---|---|--:|--:|--:|")
    for name, kind, path, body in requests(queries, ending):
        answers = [essence(kind, timed(api, path, body)[1]) for api in (ours, theirs)]
        if answers[0] != answers[1]:
            raise SystemExit(f"{name}, {kind}: {answers[0]} and {answers[1]} are not the same answer")
        our_median, their_median = median(ours, path, body), median(theirs, path, body)
        ratio = their_median / our_median
        print(f"| {name} | {kind} | {our_median:.1f} | {their_median:.1f} | {ratio:.2f}× |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
