"""What a server does when workers and those who poll fall silent (upstream's foreman)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import asked_side_by_side
from .side_by_side import Pair
from .test_work_pools import add as add_pool

SETTINGS = {
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "0.5",
    "PREFECT_SERVER_SERVICES_FOREMAN_INACTIVITY_HEARTBEAT_MULTIPLE": "2",
    "PREFECT_SERVER_SERVICES_FOREMAN_FALLBACK_HEARTBEAT_INTERVAL_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_FOREMAN_DEPLOYMENT_LAST_POLLED_TIMEOUT_SECONDS": "2",
    "PREFECT_SERVER_SERVICES_FOREMAN_WORK_QUEUE_LAST_POLLED_TIMEOUT_SECONDS": "2",
    # By this, our server looks for what is due.
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "0.5",
}


@pytest.fixture(scope="module")
def watchful_servers() -> Iterator[Pair]:
    with asked_side_by_side(SETTINGS) as pair:
        yield pair


@pytest.fixture
def watchful(watchful_servers: Pair, request: pytest.FixtureRequest) -> Pair:
    watchful_servers.test = request.node.nodeid
    return watchful_servers


def beat(pair: Pair, pool: str, name: str, **more: int) -> None:
    pair.check("POST", f"/work_pools/{pool}/workers/heartbeat", {"name": name, **more})


def pool_becomes(pair: Pair, pool: str, status: str) -> None:
    pair.eventually("GET", f"/work_pools/{pool}", until=lambda found: found["status"] == status)


def events_of(pair: Pair, resource: str, count: int) -> None:
    wanted = {"filter": {"resource": {"id": [resource]}, "order": "ASC"}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == count)


def test_a_silent_worker_is_offline_and_its_pool_not_ready(watchful: Pair) -> None:
    id = add_pool(watchful, "silent")
    beat(watchful, "silent", "short")
    beat(watchful, "silent", "long", heartbeat_interval_seconds=3)
    watchful.eventually(
        "POST",
        "/work_pools/silent/workers/filter",
        {},
        until=lambda workers: [worker["status"] for worker in workers] == ["ONLINE", "OFFLINE"],
    )
    watchful.check("GET", "/work_pools/silent")
    watchful.eventually(
        "POST",
        "/work_pools/silent/workers/filter",
        {"workers": {"status": {"any_": ["OFFLINE"]}}},
        until=lambda workers: len(workers) == 2,
    )
    pool_becomes(watchful, "silent", "NOT_READY")
    beat(watchful, "silent", "short")
    pool_becomes(watchful, "silent", "READY")
    pool_becomes(watchful, "silent", "NOT_READY")
    events_of(watchful, f"prefect.work-pool.{id}", 6)


def test_a_pool_without_workers_is_not_ready(watchful: Pair) -> None:
    add_pool(watchful, "left")
    for name in ("one", "other"):
        beat(watchful, "left", name, heartbeat_interval_seconds=600)
    watchful.check("DELETE", "/work_pools/left/workers/one")
    watchful.check("GET", "/work_pools/left")
    watchful.check("DELETE", "/work_pools/left/workers/other")
    pool_becomes(watchful, "left", "NOT_READY")


def test_a_paused_pool_stays_paused(watchful: Pair) -> None:
    add_pool(watchful, "resting")
    beat(watchful, "resting", "one")
    watchful.check("PATCH", "/work_pools/resting", {"is_paused": True})
    watchful.eventually(
        "POST",
        "/work_pools/resting/workers/filter",
        {"workers": {"status": {"any_": ["OFFLINE"]}}},
        until=lambda workers: len(workers) == 1,
    )
    watchful.check("GET", "/work_pools/resting")
    watchful.check("PATCH", "/work_pools/resting", {"is_paused": False})
    watchful.check("GET", "/work_pools/resting")


def test_a_queue_that_nobody_polls_is_not_ready(watchful: Pair) -> None:
    add_pool(watchful, "unpolled")
    queue = watchful.prepare("POST", "/work_pools/unpolled/queues", {"name": "unpolled"})["id"]
    path = f"/work_queues/{queue}"
    for _ in range(2):
        watchful.check("POST", f"{path}/get_runs", {})
        watchful.eventually("GET", path, until=lambda found: found["status"] == "READY")
        watchful.eventually("GET", path, until=lambda found: found["status"] == "NOT_READY")
    events_of(watchful, f"prefect.work-queue.{queue}", 5)


def test_a_paused_queue_stays_paused(watchful: Pair) -> None:
    add_pool(watchful, "unpolled-paused")
    queue = watchful.prepare("POST", "/work_pools/unpolled-paused/queues", {"name": "unpolled paused"})["id"]
    other = watchful.prepare("POST", "/work_pools/unpolled-paused/queues", {"name": "unpolled other"})["id"]
    watchful.check("PATCH", f"/work_queues/{queue}", {"is_paused": True})
    watchful.check("POST", "/work_pools/unpolled-paused/get_scheduled_flow_runs", {})
    watchful.eventually("GET", f"/work_queues/{other}", until=lambda found: found["status"] == "READY")
    watchful.eventually("GET", f"/work_queues/{other}", until=lambda found: found["status"] == "NOT_READY")
    watchful.check("GET", f"/work_queues/{queue}")
