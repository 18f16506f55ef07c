"""Clones flow runs inside the oracle's SQLite database, which its API would take minutes to create.

Usage: seed_oracle.py DATABASE < ORDERS

Each line of ORDERS is a JSON object: the `name`, `parameters`, `tags` and, for scheduled runs, `scheduled_time` of one
flow run to make, and the name of the run made through the API that is its `template`. A clone gets new ids, a start
five milliseconds after the run before it, and otherwise exactly what its template's rows hold, states included.
"""

import json
import sqlite3
import sys
import uuid
from datetime import datetime, timedelta

STEP = timedelta(milliseconds=5)
TIME_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
RUN_TIMES = ("created", "updated", "expected_start_time", "start_time", "end_time", "state_timestamp")
STATE_TIMES = ("created", "updated", "timestamp")

Row = dict[str, object]


def shift(row: Row, columns: tuple[str, ...], by: timedelta) -> Row:
    """Returns the row with the named times moved."""
    moved = {
        column: (datetime.strptime(str(row[column]), TIME_FORMAT) + by).strftime(TIME_FORMAT)
        for column in columns
        if row[column] is not None
    }
    return row | moved


def clone_run(order: dict, run: Row, states: list[Row], by: timedelta) -> tuple[Row, list[Row]]:
    """Makes one flow run and its states out of a template's rows."""
    new_id = str(uuid.uuid4())
    state_ids = {state["id"]: str(uuid.uuid4()) for state in states}
    cloned_run = shift(run, RUN_TIMES, by) | {
        "id": new_id,
        "name": order["name"],
        "state_id": state_ids[run["state_id"]],
        "parameters": json.dumps(order["parameters"]),
        "tags": json.dumps(order["tags"]),
    }
    cloned_states = []
    for state in states:
        details = json.loads(str(state["state_details"])) | {"flow_run_id": new_id}
        if order["scheduled_time"]:
            details["scheduled_time"] = order["scheduled_time"]
        cloned_states.append(
            shift(state, STATE_TIMES, by)
            | {"id": state_ids[state["id"]], "flow_run_id": new_id, "state_details": json.dumps(details)}
        )
    if order["scheduled_time"]:
        scheduled = datetime.fromisoformat(order["scheduled_time"]).strftime(TIME_FORMAT)
        cloned_run |= {"expected_start_time": scheduled, "next_scheduled_start_time": scheduled}
    return cloned_run, cloned_states


def insert(database: sqlite3.Connection, table: str, rows: list[Row]) -> None:
    """Writes rows that all have the same columns."""
    columns = list(rows[0])
    values = ", ".join(f":{column}" for column in columns)
    database.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})", rows)


def main() -> None:
    database = sqlite3.connect(sys.argv[1], timeout=60)
    database.row_factory = sqlite3.Row
    orders = [json.loads(line) for line in sys.stdin]
    templates = {}
    for name in {order["template"] for order in orders}:
        run = dict(database.execute("SELECT * FROM flow_run WHERE name = ?", [name]).fetchone())
        query = "SELECT * FROM flow_run_state WHERE flow_run_id = ?"
        templates[name] = run, [dict(state) for state in database.execute(query, [run["id"]])]
    runs: list[Row] = []
    states: list[Row] = []
    for number, order in enumerate(orders):
        run, run_states = clone_run(order, *templates[order["template"]], STEP * (number - len(orders)))
        runs.append(run)
        states.extend(run_states)
    with database:
        insert(database, "flow_run", runs)
        insert(database, "flow_run_state", states)
    database.close()


if __name__ == "__main__":
    main()
