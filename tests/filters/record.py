"""Records what the oracle answers to hundreds of filters and to every sort, into `vectors.json`.

Run it with the oracle's own Python: `.venv/bin/python tests/filters/record.py`. The real server runs in this
process on an empty database of its own. The records are written through its ORM, since no operation could give
them every combination of nulls, and everything else goes through its HTTP operations. The recorded answers are
what `common/tests/filter_vectors.rs` compares with.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

HOME = tempfile.mkdtemp(prefix="filter-vectors-")
os.environ["PREFECT_HOME"] = HOME
os.environ["PREFECT_API_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{HOME}/oracle.db"
os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"

import cases  # noqa: E402
import httpx  # noqa: E402
import sqlalchemy as sa  # noqa: E402
from dataset import Dataset, identity  # noqa: E402
from prefect.server.api.server import create_app  # noqa: E402
from prefect.server.database import provide_database_interface  # noqa: E402
from prefect.server.events.schemas.events import ReceivedEvent  # noqa: E402
from prefect.server.events.storage.database import write_events  # noqa: E402
from prefect.server.schemas.core import CreatedBy  # noqa: E402

VECTORS = Path(__file__).with_name("vectors.json")

# How each entity is searched: the path, and the body's field for the filter.
OPERATIONS = {
    "flows": ("/flows/filter", "flows"),
    "flow_runs": ("/flow_runs/filter", "flow_runs"),
    "task_runs": ("/task_runs/filter", "task_runs"),
    "deployments": ("/deployments/filter", "deployments"),
    "work_pools": ("/work_pools/filter", "work_pools"),
    "work_queues": ("/work_queues/filter", "work_queues"),
    "logs": ("/logs/filter", "logs"),
    "events": ("/events/filter", "filter"),
}

# The key of each sort, by the fields that it takes the first set one of.
START, EXPECTED, NEXT = ("start_time", "expected_start_time"), ("expected_start_time",), ("next_scheduled_start_time",)
DURATION = ("id", "total_run_time")
SORTS: dict[str, dict[str, tuple[str, ...]]] = {
    "flows": {
        "CREATED_DESC": ("created",), "UPDATED_DESC": ("updated",), "NAME_ASC": ("name",), "NAME_DESC": ("name",),
    },
    "deployments": {
        "CREATED_DESC": ("created",), "UPDATED_DESC": ("updated",), "NAME_ASC": ("name",), "NAME_DESC": ("name",),
    },
    "flow_runs": {
        "ID_DESC": ("id",), "START_TIME_ASC": START, "START_TIME_DESC": START, "EXPECTED_START_TIME_ASC": EXPECTED,
        "EXPECTED_START_TIME_DESC": EXPECTED, "NAME_ASC": ("name",), "NAME_DESC": ("name",),
        "NEXT_SCHEDULED_START_TIME_ASC": NEXT, "END_TIME_DESC": ("end_time",),
    },
    "task_runs": {
        "ID_DESC": ("id",), "EXPECTED_START_TIME_ASC": EXPECTED, "EXPECTED_START_TIME_DESC": EXPECTED,
        "NAME_ASC": ("name",), "NAME_DESC": ("name",), "NEXT_SCHEDULED_START_TIME_ASC": NEXT,
        "END_TIME_DESC": ("end_time",), "DURATION_DESC": DURATION, "DURATION_ASC": DURATION,
    },
    "logs": {"TIMESTAMP_ASC": ("timestamp",), "TIMESTAMP_DESC": ("timestamp",)},
}  # fmt: skip


def supply_concat(connection: Any, _record: Any) -> None:
    """Gives SQLite the function `concat`, which it has of itself from version 3.44 on and text search needs."""
    connection.create_function("concat", -1, lambda *texts: "".join("" if text is None else str(text) for text in texts))


async def store(dataset: Dataset) -> None:
    """Writes the data set into the oracle's database."""
    db = provide_database_interface()
    async with db.session_context(begin_transaction=True) as session:
        for flow in dataset.flows:
            session.add(db.Flow(**flow))
        for pool in dataset.work_pools:
            session.add(db.WorkPool(**pool))
        await session.flush()
        for queue in dataset.work_queues:
            session.add(db.WorkQueue(**queue))
        for deployment in dataset.deployments:
            session.add(db.Deployment(**deployment))
        await session.flush()
        for number, pool in enumerate(dataset.work_pools):
            default = identity("work-queue", number)
            await session.execute(sa.update(db.WorkPool).where(db.WorkPool.id == pool["id"]).values(default_queue_id=default))
        for run in dataset.flow_runs:
            creator = run["created_by"] and CreatedBy(**run["created_by"])
            session.add(db.FlowRun(**{**run, "created_by": creator}))
        await session.flush()
        for run in dataset.task_runs:
            session.add(db.TaskRun(**run))
        await session.flush()
        for subflow_run, parent in dataset.parents.items():
            await session.execute(sa.update(db.FlowRun).where(db.FlowRun.id == subflow_run).values(parent_task_run_id=parent))
        for log in dataset.logs:
            session.add(db.Log(**log))
        for flow_run_input in dataset.inputs:
            session.add(db.FlowRunInput(**flow_run_input))
        await write_events(session, [ReceivedEvent(**event) for event in dataset.events])


class Oracle:
    """The oracle's HTTP operations."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Returns the answer to a request that the oracle accepts."""
        response = await self.client.post(path, json=body)
        if response.status_code != 200:
            raise RuntimeError(f"{path} {json.dumps(body)}: {response.status_code} {response.text}")
        return response.json()

    async def search(self, entity: str, filter: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        """Returns the records of an entity that a filter selects, in the oracle's order."""
        path, field = OPERATIONS[entity]
        answer = await self.post(path, {field: filter, **options})
        return answer["events"] if entity == "events" else answer

    async def inputs(self, filter: dict[str, Any]) -> list[dict[str, Any]]:
        """Returns the inputs of the first flow run that a filter selects."""
        return await self.post(f"/flow_runs/{identity('flow-run', 0)}/input/filter", {**filter, "limit": 100})


def first_of_each_key(records: list[dict[str, Any]], fields: tuple[str, ...]) -> list[str]:
    """Returns the ids of records no two of which sort alike, the first with each key.

    How long a run took that is not over depends on the clock, so those are left out there.
    """
    chosen: dict[Any, str] = {}
    for record in records:
        if fields == DURATION and record["state_type"] == "RUNNING":
            continue
        key = next((record[field] for field in fields if record[field] is not None), None)
        chosen.setdefault(key, record["id"])
    return sorted(chosen.values())


async def record(oracle: Oracle) -> dict[str, Any]:
    """Returns the records, and what the oracle selects of them and how it sorts them."""
    vectors: dict[str, Any] = {}
    for entity in OPERATIONS:
        filters = getattr(cases, entity)()
        records = await oracle.search(entity, filters[0])
        position = {record["id"]: number for number, record in enumerate(records)}
        found = [[filter, [position[record["id"]] for record in await oracle.search(entity, filter)]] for filter in filters]
        sorts = []
        for sort, fields in SORTS.get(entity, {}).items():
            chosen = first_of_each_key(records, fields)
            within = {} if entity == "logs" else {"id": {"any_": chosen}}
            sorts.append([sort, [position[record["id"]] for record in await oracle.search(entity, within, sort=sort)]])
        vectors[entity] = {"records": records, "filters": found, "sorts": sorts}
    everything = await oracle.inputs({"prefix": ""})
    position = {record["id"]: number for number, record in enumerate(everything)}
    found = [[filter, [position[record["id"]] for record in await oracle.inputs(filter)]] for filter in cases.inputs()]
    vectors["flow_run_inputs"] = {"records": everything, "filters": found, "sorts": []}
    return vectors


def write(vectors: dict[str, Any]) -> None:
    """Writes the vectors with one record, one filter and one sort a line."""
    with VECTORS.open("w", encoding="utf-8") as file:
        file.write("{\n")
        for number, (entity, parts) in enumerate(vectors.items()):
            file.write(",\n" * (number > 0) + f" {json.dumps(entity)}: {{\n")
            for place, (part, lines) in enumerate(parts.items()):
                text = ",\n".join("   " + json.dumps(line, ensure_ascii=False) for line in lines)
                file.write(",\n" * (place > 0) + f"  {json.dumps(part)}: [\n{text}\n  ]")
            file.write("\n }")
        file.write("\n}\n")


async def main() -> None:
    """Starts the oracle on an empty database, fills it, and records its answers."""
    sa.event.listen(sa.pool.Pool, "connect", supply_concat)
    await provide_database_interface().create_db()
    await store(Dataset())
    transport = httpx.ASGITransport(app=create_app(ephemeral=True, ignore_cache=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://oracle/api", timeout=60) as client:
        vectors = await record(Oracle(client))
    write(vectors)
    for entity, parts in vectors.items():
        some = sum(1 for _, found in parts["filters"] if 0 < len(found) < len(parts["records"]))
        print(f"{entity}: {len(parts['records'])} records, {len(parts['filters'])} filters ({some} select some), {len(parts['sorts'])} sorts")


if __name__ == "__main__":
    asyncio.run(main())
