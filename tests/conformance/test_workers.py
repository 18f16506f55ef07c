"""Workers: heartbeats, and what a pool's status makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from .side_by_side import Pair
from .test_work_pools import add

PATH = "/work_pools"
PAST = "2021-01-01T00:00:00Z"
FUTURE = "2041-01-01T00:00:00Z"


def beat(pair: Pair, pool: str, name: str, **more: Any) -> None:
    pair.check("POST", f"{PATH}/{pool}/workers/heartbeat", {"name": name, **more})


@pytest.mark.parametrize(
    "body",
    [
        {"name": "plain"},
        {"name": "quick", "heartbeat_interval_seconds": 5},
        {"name": "none", "heartbeat_interval_seconds": None},
        {"name": "zero", "heartbeat_interval_seconds": 0},
        {"name": "text", "heartbeat_interval_seconds": "x"},
        {"name": ""},
        {"name": "ä/ö %"},
        {"name": None},
        {"name": 1},
        {"unknown": 1},
        {},
        None,
    ],
    ids=str,
)
def test_heartbeat(pair: Pair, body: Any) -> None:
    # Made by the first of these tests, and there already for the others.
    pair.send("POST", f"{PATH}/", {"name": "pool-beats", "type": "process"})
    pair.check("POST", f"{PATH}/pool-beats/workers/heartbeat", body)
    pair.check("POST", f"{PATH}/pool-nobody/workers/heartbeat", body)
    pair.check("POST", f"{PATH}/pool-beats/workers/filter", {})


def test_a_heartbeat_changes_the_worker(pair: Pair) -> None:
    add(pair, "pool-again")
    for more in ({}, {"heartbeat_interval_seconds": 7}, {}):
        beat(pair, "pool-again", "again", **more)
        pair.check("POST", f"{PATH}/pool-again/workers/filter", {})


def test_a_worker_makes_its_pool_ready(pair: Pair) -> None:
    for type in ("process", "prefect-agent"):
        pool = f"pool-ready-{type}"
        id = add(pair, pool, type)
        for step in (
            lambda: beat(pair, pool, "one"),
            lambda: beat(pair, pool, "one"),
            lambda: pair.check("PATCH", f"{PATH}/{pool}", {"is_paused": True}),
            lambda: beat(pair, pool, "one"),
            lambda: pair.check("PATCH", f"{PATH}/{pool}", {"is_paused": False}),
            lambda: pair.check("PATCH", f"{PATH}/{pool}", {"is_paused": True}),
            lambda: pair.check("DELETE", f"{PATH}/{pool}/workers/one"),
            lambda: pair.check("PATCH", f"{PATH}/{pool}", {"is_paused": False}),
            lambda: beat(pair, pool, "two"),
        ):
            step()
            pair.check("GET", f"{PATH}/{pool}")
        wanted = {"filter": {"resource": {"id": [f"prefect.work-pool.{id}"]}, "order": "ASC"}}
        count = 8 if type == "process" else 1
        pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) >= count)


def test_filter(pair: Pair) -> None:
    add(pair, "pool-workers")
    for name in ("a", "b", "c"):
        beat(pair, "pool-workers", name)
    for body in (
        {},
        None,
        {"limit": 2},
        {"limit": 2, "offset": 1},
        {"limit": 0},
        {"limit": 201},
        {"offset": -1},
        {"workers": None},
        {"workers": {"status": {"any_": ["ONLINE"]}}},
        {"workers": {"status": {"any_": ["OFFLINE"]}}},
        {"workers": {"status": {"any_": []}}},
        {"workers": {"status": {"not_any_": ["ONLINE"]}}},
        {"workers": {"status": {"not_any_": ["OFFLINE"]}}},
        {"workers": {"status": {"not_any_": []}}},
        {"workers": {"status": {"any_": ["ASLEEP"]}}},
        {"workers": {"last_heartbeat_time": {"before_": FUTURE}}},
        {"workers": {"last_heartbeat_time": {"before_": PAST}}},
        {"workers": {"last_heartbeat_time": {"after_": PAST, "before_": FUTURE}}},
        {"workers": {"last_heartbeat_time": {"after_": FUTURE}}},
        {"workers": {"last_heartbeat_time": {"after_": FUTURE}, "status": {"any_": ["ONLINE"]}}},
        {"workers": {"last_heartbeat_time": {"after_": FUTURE}, "status": {"any_": ["ONLINE"]}, "operator": "or_"}},
        {"workers": {"unknown": 1}},
    ):
        pair.check("POST", f"{PATH}/pool-workers/workers/filter", body)
    pair.check("POST", f"{PATH}/pool-nobody/workers/filter", {})


def test_delete(pair: Pair) -> None:
    add(pair, "pool-forgets")
    beat(pair, "pool-forgets", "ä worker")
    pair.check("DELETE", f"{PATH}/pool-nobody/workers/ä worker")
    pair.check("DELETE", f"{PATH}/pool-forgets/workers/nobody")
    pair.check("DELETE", f"{PATH}/pool-forgets/workers/ä worker")
    pair.check("DELETE", f"{PATH}/pool-forgets/workers/ä worker")
    pair.check("POST", f"{PATH}/pool-forgets/workers/filter", {})


def test_workers_go_with_their_pool(pair: Pair) -> None:
    add(pair, "pool-gone")
    beat(pair, "pool-gone", "one")
    pair.check("DELETE", f"{PATH}/pool-gone")
    pair.check("POST", f"{PATH}/pool-gone/workers/heartbeat", {"name": "one"})
    add(pair, "pool-gone")
    pair.check("POST", f"{PATH}/pool-gone/workers/filter", {})
    beat(pair, "pool-gone", "one")
    pair.check("POST", f"{PATH}/pool-gone/workers/filter", {})
