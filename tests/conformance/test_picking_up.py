"""Flow runs that are due are handed to those who poll a pool, a queue or deployments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .library import NOBODY, scheduled
from .side_by_side import Pair
from .test_work_pools import add as add_pool

PATH = "/work_pools"
LATER = "2041-01-01T00:00:00Z"


def add_run(pair: Pair, pool: str, name: str, time: str, queue: str = "default", **state: Any) -> str:
    flow = pair.prepare("POST", "/flows/", {"name": "picked-up"})
    body = {"flow_id": flow["id"], "name": name, "work_pool_name": pool, "work_queue_name": queue}
    return pair.prepare("POST", "/flow_runs/", {**body, "state": scheduled(time, **state)})["id"]


def at(minute: int) -> str:
    return f"2031-01-01T00:{minute:02}:00Z"


def names(answer: Any) -> Any:
    """The names of the runs that were handed out."""
    return [run["flow_run"]["name"] for run in answer] if isinstance(answer, list) else answer


def poll(pair: Pair, pool: str, view: Callable[[Any], Any] = names, **body: Any) -> None:
    pair.check("POST", f"{PATH}/{pool}/get_scheduled_flow_runs", body, view=view)


def fill(pair: Pair, pool: str, **more: Any) -> dict[str, str]:
    """A pool with three queues and seven runs, the last of which is for its own process alone."""
    add_pool(pair, pool, **more)
    for body in ({"name": "last", "priority": 9}, {"name": "limited", "priority": 5, "concurrency_limit": 2}):
        pair.prepare("POST", f"{PATH}/{pool}/queues", body)
    runs = (("b", 2, "default"), ("a", 1, "default"), ("e", 0, "last"), ("c", 9, "limited"), ("d", 10, "limited"))
    ids = {name: add_run(pair, pool, name, at(minute), queue) for name, minute, queue in runs}
    ids["f"] = add_run(pair, pool, "f", at(11), "limited")
    ids["own"] = add_run(pair, pool, "own", at(0), "default")
    pair.prepare("PATCH", f"/flow_runs/{ids['own']}", {"empirical_policy": {"retry_type": "in_process"}})
    return ids


def test_runs_come_by_priority_and_time(pair: Pair) -> None:
    fill(pair, "pick")
    for body in (
        {},
        {"limit": 1},
        {"limit": 3},
        {"limit": 0},
        {"limit": 201},
        {"work_queue_names": ["last", "limited"]},
        {"work_queue_names": ["last"]},
        {"work_queue_names": []},
        {"work_queue_names": ["last", "nobody"]},
        {"scheduled_before": at(2)},
        {"scheduled_before": "2020-01-01T00:00:00Z"},
        {"scheduled_after": at(2)},
        {"scheduled_after": at(1), "scheduled_before": at(9), "limit": 2},
        {"scheduled_before": "soon"},
        {"unknown": 1},
    ):
        poll(pair, "pick", **body)
    poll(pair, "pool-nobody")
    pair.check("POST", f"{PATH}/pick/get_scheduled_flow_runs", None, view=names)


def test_a_run_as_workers_get_it(pair: Pair) -> None:
    add_pool(pair, "pick-whole")
    add_run(pair, "pick-whole", "whole", at(0))
    poll(pair, "pick-whole", view=lambda answer: answer)


@pytest.mark.parametrize("limit", [None, 0, 1, 3, 100])
def test_a_pool_hands_out_what_its_slots_allow(pair: Pair, limit: int | None) -> None:
    pool = f"pick-limit-{limit}"
    ids = fill(pair, pool, concurrency_limit=limit)
    for run, state in (("a", "PENDING"), ("c", "RUNNING"), ("e", "CANCELLING"), ("c", "COMPLETED")):
        pair.prepare("POST", f"/flow_runs/{ids[run]}/set_state", {"state": {"type": state}, "force": True})
        poll(pair, pool)
        poll(pair, pool, work_queue_names=["limited"])
        pair.check("GET", f"{PATH}/{pool}")
        pair.check("POST", f"{PATH}/filter", {"work_pools": {"name": {"any_": [pool]}}})
        pair.check("GET", f"{PATH}/{pool}/queues/limited", view=without_polls)
        pair.check("POST", f"{PATH}/{pool}/queues/filter", {}, view=without_polls)


def without_polls(answer: Any) -> Any:
    """Polls are noted after the answer on the oracle."""
    if isinstance(answer, list):
        return [without_polls(item) for item in answer]
    return {key: value for key, value in answer.items() if key not in ("last_polled", "status", "updated")}


def test_who_holds_the_slots(pair: Pair) -> None:
    ids = fill(pair, "pick-holders", concurrency_limit=5)
    for run, state in (("a", "PENDING"), ("b", "RUNNING"), ("c", "RUNNING"), ("d", "CANCELLING")):
        pair.prepare("POST", f"/flow_runs/{ids[run]}/set_state", {"state": {"type": state}, "force": True})
    for body in ({}, {"flow_run_limit": 1}, {"flow_run_limit": 0}, {"page": 2, "limit": 2}, {"page": 9}, {"limit": 0}, {"page": 0}):
        pair.check("POST", f"{PATH}/pick-holders/concurrency_status", body, view=by_run, seconds=5)
    pair.check("POST", f"{PATH}/nobody's/concurrency_status", {})
    for name in ("default", "limited", "last"):
        queue = pair.prepare("GET", f"{PATH}/pick-holders/queues/{name}")["id"]
        for body in ({}, {"limit": 1}, {"limit": 1, "page": 3}, {"page": 0}):
            pair.check("POST", f"/work_queues/{queue}/concurrency_status", body, view=by_run, seconds=5)
    pair.check("POST", f"/work_queues/{NOBODY}/concurrency_status", {})


def by_run(answer: Any) -> Any:
    """The oracle orders runs by ids that it drew at random, so a page of them is any of them."""
    if isinstance(answer, dict) and "queues" in answer:
        return {**answer, "queues": [by_run(queue) for queue in answer["queues"]]}
    if isinstance(answer, dict) and len(answer.get("flow_runs", ())) == answer.get("count", answer.get("flow_run_count")):
        return {**answer, "flow_runs": sorted(answer["flow_runs"], key=lambda run: run["name"])}
    if isinstance(answer, dict) and "flow_runs" in answer:
        return {**answer, "flow_runs": len(answer["flow_runs"])}
    return answer


def test_paused_pools_and_queues_hand_out_nothing(pair: Pair) -> None:
    fill(pair, "pick-paused")
    for path, change in (
        ("/queues/default", {"is_paused": True}),
        ("/queues/default", {"is_paused": False}),
        ("", {"is_paused": True}),
        ("", {"is_paused": False}),
    ):
        pair.check("PATCH", f"{PATH}/pick-paused{path}", change)
        poll(pair, "pick-paused")


def test_a_poll_is_noted(pair: Pair) -> None:
    add_pool(pair, "pick-noted")
    queue = pair.prepare("POST", f"{PATH}/pick-noted/queues", {"name": "other"})["id"]
    pair.check("PATCH", f"/work_queues/{queue}", {"is_paused": True})
    poll(pair, "pick-noted")
    pair.eventually(
        "POST",
        f"{PATH}/pick-noted/queues/filter",
        {},
        until=lambda queues: all(queue["last_polled"] for queue in queues),
    )
    default = pair.prepare("GET", f"{PATH}/pick-noted/queues/default")["id"]
    wanted = {"filter": {"resource": {"id": [f"prefect.work-queue.{default}"]}, "order": "ASC"}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == 2)
    pair.check("PATCH", f"/work_queues/{queue}", {"is_paused": False})
    pair.check("GET", f"/work_queues/{queue}")


@pytest.mark.parametrize(
    "body", [{}, {"limit": 1}, {"limit": 0}, {"limit": 201}, {"scheduled_before": at(9)}, {"scheduled_before": "x"}, None], ids=str
)
def test_polling_a_queue(pair: Pair, body: Any) -> None:
    pool = "pick-queue-" + "".join(letter for letter in str(body) if letter.isalnum())
    add_pool(pair, pool)
    queue = pair.prepare("POST", f"{PATH}/{pool}/queues", {"name": f"only {pool}", "concurrency_limit": 2})["id"]
    ids = [add_run(pair, pool, name, at(minute), f"only {pool}") for name, minute in (("b", 2), ("a", 9), ("c", 30))]
    for state in ("CANCELLING", "COMPLETED"):
        pair.check("POST", f"/work_queues/{queue}/get_runs", body)
        pair.prepare("POST", f"/flow_runs/{ids[0]}/set_state", {"state": {"type": state}, "force": True})
    pair.check("GET", f"/work_queues/{queue}", view=without_polls)
    pair.check("PATCH", f"/work_queues/{queue}", {"is_paused": True})
    pair.check("POST", f"/work_queues/{queue}/get_runs", body)
    pair.check("POST", f"/work_queues/{NOBODY}/get_runs", body)


def test_the_interface_polls_nothing(pair: Pair) -> None:
    add_pool(pair, "pick-shown")
    queue = pair.prepare("POST", f"{PATH}/pick-shown/queues", {"name": "only shown"})["id"]
    pair.check("POST", f"/work_queues/{queue}/get_runs", {}, headers={"x-prefect-ui": "true"})
    pair.check("GET", f"/work_queues/{queue}")


def test_a_queue_hands_out_its_own_runs(pair: Pair) -> None:
    for pool in ("pick-namesake", "pick-namesake-2"):
        add_pool(pair, pool)
        pair.prepare("POST", f"{PATH}/{pool}/queues", {"name": "a common name"})
    queue = pair.prepare("GET", f"{PATH}/pick-namesake/queues/a common name")["id"]
    add_run(pair, "pick-namesake-2", "elsewhere", at(0), "a common name")
    pair.check("POST", f"/work_queues/{queue}/get_runs", {})


def test_a_run_without_the_name_of_its_queue(pair: Pair) -> None:
    add_pool(pair, "pick-unnamed")
    flow = pair.prepare("POST", "/flows/", {"name": "picked-up"})["id"]
    body = {"flow_id": flow, "name": "unnamed", "work_pool_name": "pick-unnamed", "state": scheduled(at(0))}
    pair.prepare("POST", "/flow_runs/", body)
    poll(pair, "pick-unnamed", view=lambda answer: answer)


def test_a_queue_with_a_filter(pair: Pair) -> None:
    queue = pair.prepare("POST", "/work_queues/", {"name": "q by tag", "filter": {"tags": ["nobody's"]}})["id"]
    pair.check("POST", f"/work_queues/{queue}/get_runs", {})


@pytest.mark.parametrize(
    "body", [{"deployment_ids": [NOBODY]}, {"deployment_ids": []}, {"deployment_ids": None}, {"deployment_ids": ["x"]}, {}, None], ids=str
)
def test_polling_deployments_that_do_not_exist(pair: Pair, body: Any) -> None:
    pair.check("POST", "/deployments/get_scheduled_flow_runs", body)


def test_a_run_in_a_pool(pair: Pair) -> None:
    add_pool(pair, "pick-into")
    flow = pair.prepare("POST", "/flows/", {"name": "picked-up"})["id"]
    for place in (
        {"work_pool_name": "pick-into"},
        {"work_pool_name": "pick-into", "work_queue_name": "default"},
        {"work_pool_name": "pick-into", "work_queue_name": "nobody"},
        {"work_pool_name": "nobody"},
        {"work_pool_name": "nobody", "work_queue_name": "default"},
        {"work_pool_name": ""},
        {"work_pool_name": "", "work_queue_name": "default"},
        {"work_queue_name": "default"},
        {"work_pool_name": "pick-into", "work_queue_name": ""},
    ):
        pair.check("POST", "/flow_runs/", {"flow_id": flow, "name": "placed", **place})
