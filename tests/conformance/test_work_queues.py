"""Work queues by their ids, whatever pool they belong to."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Answer, Pair
from .test_work_pools import add as add_pool
from .test_work_pools import add_queues

PATH = "/work_queues"


def add(pair: Pair, name: str, **more: Any) -> Answer:
    return pair.prepare("POST", f"{PATH}/", {"name": name, **more})


@pytest.mark.parametrize(
    "body",
    [
        {"name": "q plain"},
        {"name": "q plain"},
        {"name": "q full", "description": "d", "is_paused": True, "concurrency_limit": 2, "priority": 9},
        {"name": "q first", "priority": 1},
        {"name": "q filtered", "filter": {"tags": ["a"], "deployment_ids": [NOBODY]}},
        {"name": "q null", "description": None},
        {"name": "default"},
        {"name": ""},
        {"name": "a/b"},
        {"name": "p", "priority": 0},
        {"name": "c", "concurrency_limit": -1},
        {},
        None,
    ],
    ids=str,
)
def test_create(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/", body)
    pair.check("POST", "/work_pools/default-agent-pool/queues/filter", {})


def test_read(pair: Pair) -> None:
    id = add(pair, "q read ä", concurrency_limit=1)["id"]
    add_pool(pair, "pool-of-queues")
    other = pair.prepare("POST", "/work_pools/pool-of-queues/queues", {"name": "q elsewhere"})["id"]
    for path in (id, other, NOBODY, "x", "name/q read ä", "name/q elsewhere", "name/default", "name/nobody"):
        pair.check("GET", f"{PATH}/{path}")


@pytest.mark.parametrize(
    "change",
    [
        {"description": "new"},
        {"description": None},
        {"concurrency_limit": 3},
        {"concurrency_limit": None},
        {"is_paused": True},
        {"is_paused": False},
        {"priority": 1},
        {"priority": 70},
        {"priority": None},
        {"last_polled": "2026-01-01T00:00:00Z"},
        {"filter": {"tags": ["a"]}},
        {"name": "renamed"},
        {"name": "first"},
        {"name": None},
        {"unknown": 1},
        {},
    ],
    ids=str,
)
def test_update(pair: Pair, change: dict[str, Any]) -> None:
    pool = "q-update-" + "".join(letter for letter in str(change) if letter.isalnum())
    add_pool(pair, pool)
    add_queues(pair, pool, "first")
    id = pair.prepare("POST", f"/work_pools/{pool}/queues", {"name": "second"})["id"]
    pair.check("PATCH", f"{PATH}/{id}", change)
    pair.check("GET", f"{PATH}/{id}")
    pair.check("POST", f"/work_pools/{pool}/queues/filter", {}, view=by_name)
    pair.check("PATCH", f"{PATH}/{NOBODY}", change)


def by_name(queues: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two queues may have the same priority here, which leaves their order to chance."""
    return sorted(queues, key=lambda queue: queue["name"])


def test_a_queue_is_paused_and_resumed(pair: Pair) -> None:
    id = add(pair, "q resume")["id"]
    for change in ({"is_paused": True}, {"is_paused": True, "description": "x"}, {"is_paused": False}, {"is_paused": False}):
        pair.check("PATCH", f"{PATH}/{id}", change)
        pair.check("GET", f"{PATH}/{id}")
    wanted = {"filter": {"resource": {"id": [f"prefect.work-queue.{id}"]}, "order": "ASC"}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == 4)


def test_delete(pair: Pair) -> None:
    id = add(pair, "q delete")["id"]
    pair.check("DELETE", f"{PATH}/{id}")
    pair.check("DELETE", f"{PATH}/{id}")
    pair.check("GET", f"{PATH}/{id}")
    add_pool(pair, "pool-q-default")
    default = pair.prepare("GET", "/work_pools/pool-q-default/queues/default")["id"]
    pair.check("DELETE", f"{PATH}/{default}")


def test_filter(pair: Pair) -> None:
    ids = [add(pair, f" q page {name}")["id"] for name in ("c", "a", "b")]
    for body in (
        {"limit": 3},
        {"limit": 2, "offset": 1},
        {"limit": 201},
        {"work_queues": {"name": {"startswith_": [" q PAGE"]}}},
        {"work_queues": {"name": {"any_": [" q page b", " q page a", "nobody"]}}},
        {"work_queues": {"name": {"any_": [" q page b"]}}, "limit": 1},
        {"work_queues": {"name": {"any_": []}}},
        {"work_queues": {"id": {"any_": [ids[0], ids[1], NOBODY]}}},
        {"work_queues": {"id": {"any_": [ids[0]]}, "name": {"any_": [" q page b"]}, "operator": "or_"}},
        {"work_queues": {"unknown": 1}},
    ):
        pair.check("POST", f"{PATH}/filter", body)


def test_status(pair: Pair) -> None:
    id = add(pair, "q status")["id"]
    pair.check("GET", f"{PATH}/{id}/status")
    pair.check("GET", f"{PATH}/{NOBODY}/status")
    pair.prepare("POST", f"{PATH}/{id}/get_runs", {})
    pair.eventually("GET", f"{PATH}/{id}/status", until=lambda status: status["healthy"])
