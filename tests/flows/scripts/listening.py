"""Prints the events of flow runs as they happen, until one has completed, and who subscribed first."""

from __future__ import annotations

import asyncio
import json

from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter


async def listen() -> None:
    wanted = EventFilter(event=EventNameFilter(prefix=["prefect.flow-run."]))
    names: list[str] = []
    async with get_events_subscriber(filter=wanted) as subscriber:
        print(json.dumps("listening"), flush=True)
        async for event in subscriber:
            names.append(event.event)
            if event.event == "prefect.flow-run.Completed":
                break
    print(json.dumps(names))


if __name__ == "__main__":
    asyncio.run(listen())
