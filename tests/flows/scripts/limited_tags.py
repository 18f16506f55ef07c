"""Tasks of a tag that one may run of at a time, a crowd of a tag of four, and a slot of a tag that is held by hand."""

from __future__ import annotations

import json
import threading
import time
from uuid import UUID, uuid4

from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.concurrency.v1.sync import concurrency
from prefect.context import FlowRunContext, TaskRunContext

TAG = f"limited-{uuid4()}"
lock = threading.Lock()
running: set[int] = set()
most = 0
seen: list[tuple[str, list[str]]] = []


def holders() -> list[str]:
    with get_client(sync_client=True) as client:
        response = client.request("GET", "/concurrency_limits/tag/{tag}", path_params={"tag": TAG})
        return [str(UUID(holder)) for holder in response.json()["active_slots"]]


@task(tags=[TAG])
def takes_its_turn(number: int) -> None:
    global most
    with lock:
        running.add(number)
        most = max(most, len(running))
    context = TaskRunContext.get()
    assert context
    seen.append((str(context.task_run.id), holders()))
    time.sleep(0.3)
    with lock:
        running.remove(number)


@flow
def limited() -> str:
    takes_its_turn.map(range(3)).result()
    context = FlowRunContext.get()
    assert context and context.flow_run
    return str(context.flow_run.id)


CROWD, SLOTS = 20, 4
CROWDED_TAG = f"crowded-{uuid4()}"
crowd: set[int] = set()
crowd_sizes: list[int] = []


@task(tags=[CROWDED_TAG])
def is_one_of_many(number: int) -> None:
    with lock:
        crowd.add(number)
        crowd_sizes.append(len(crowd))
    time.sleep(0.2)
    with lock:
        crowd.remove(number)


@flow
def crowded() -> str:
    is_one_of_many.map(range(CROWD)).result()
    context = FlowRunContext.get()
    assert context and context.flow_run
    return str(context.flow_run.id)


def held_by_hand() -> dict[str, object]:
    run = uuid4()
    refused = ""
    with concurrency(TAG, task_run_id=run):
        held = holders()
        try:
            with concurrency(TAG, task_run_id=uuid4(), timeout_seconds=0.5):
                pass
        except TimeoutError as error:
            refused = type(error).__name__
    return {"lone run": str(run), "while held": held, "refused": refused, "afterwards": holders()}


if __name__ == "__main__":
    with get_client(sync_client=True) as client:
        client.request("POST", "/concurrency_limits/", json={"tag": TAG, "concurrency_limit": 1})
        client.request("POST", "/concurrency_limits/", json={"tag": CROWDED_TAG, "concurrency_limit": SLOTS})
    answer = {"flow_run_id": limited(), "most at once": most}
    answer |= {"crowded flow run": crowded(), "most of the crowd at once": max(crowd_sizes)}
    answer |= {"first": [seen[0][0]], "first held by": seen[0][1]}
    print(json.dumps(answer | held_by_hand()))
