"""Async tasks that run at once, an async subflow, and mapped async tasks."""

import asyncio
import json

from prefect import flow, task
from prefect.runtime import flow_run


@task
async def double(number: int) -> int:
    await asyncio.sleep(0.05)
    return 2 * number


@flow
async def inner(number: int) -> int:
    return await double(number)


@flow
async def asynchronous() -> dict[str, object]:
    gathered = await asyncio.gather(*(double(number) for number in range(4)))
    mapped = double.map([10, 20])
    nested = await asyncio.gather(inner(100), inner(200))
    return {
        "flow_run_id": str(flow_run.id),
        "gathered": gathered,
        "mapped": [future.result() for future in mapped],
        "nested": nested,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(asynchronous())))
