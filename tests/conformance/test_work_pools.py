"""Work pools and their queues."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair

PATH = "/work_pools"
JOB = {"command": "{{ command }}"}
VARIABLES = {"type": "object", "properties": {"command": {"type": "string", "default": "ls"}}}
TEMPLATE = {"job_configuration": JOB, "variables": VARIABLES}


def add(pair: Pair, name: str, type: str = "process", **more: Any) -> str:
    return pair.prepare("POST", f"{PATH}/", {"name": name, "type": type, **more})["id"]


def add_queues(pair: Pair, pool: str, *names: str) -> None:
    for name in names:
        pair.prepare("POST", f"{PATH}/{pool}/queues", {"name": name})


VERSIONS = ["3.3.6", "3.3.7", "3.3.7rc1", "3.3.7.dev2", "3.3.7.post1", "3.3.7+build", "3.3.7.1", "3.3.8.dev1", "3.3.8rc1"]
AGENTS = [
    *(f"prefect/{version} (API 0.8.4)" for version in (*VERSIONS, "3.3.8", "3.8.8", "3.9.1", "2.20.0", "3.0.0rc20", "3.3")),
    "prefect/3.3.7",
    "prefect/3.3.7 (API )",
    "curl/8.0",
]


@pytest.mark.parametrize("agent", AGENTS)
def test_what_old_clients_know(pair: Pair, agent: str) -> None:
    """Clients up to 3.3.7 refuse to read a storage configuration that has a storage for results."""
    name = f"pool of {agent.replace('/', ' ')}"
    as_agent = {"headers": {"user-agent": agent}}
    storage = {"bundle_upload_step": {"a": 1}, "default_result_storage_block_id": NOBODY}
    pair.check("POST", f"{PATH}/", {"name": name, "storage_configuration": storage}, **as_agent)
    for path in (f"{PATH}/{name}", f"/work_queues/{NOBODY}"):
        pair.check("GET", path, **as_agent)
    pair.check("POST", f"{PATH}/filter", {"work_pools": {"name": {"any_": [name]}}}, **as_agent)
    pair.check("POST", f"{PATH}/{name}/queues", {"name": "q"}, **as_agent)
    pair.check("PATCH", f"{PATH}/{name}", {"storage_configuration": {}}, **as_agent)
    pair.check("GET", f"{PATH}/{name}", **as_agent)
    pair.check("GET", f"{PATH}/{name}")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "pool-agent"},
        {"name": "pool-plain", "type": "process"},
        {"name": "pool-paused", "type": "process", "is_paused": True},
        {"name": "pool-paused-agent", "is_paused": True},
        {"name": "pool-full ä", "type": "docker", "description": "d", "concurrency_limit": 3, "base_job_template": TEMPLATE},
        {"name": "pool-limit-0", "type": "process", "concurrency_limit": 0},
        {"name": "pool-storage", "storage_configuration": {"bundle_upload_step": {"a": 1}}},
        {"name": "pool-storage-block", "storage_configuration": {"default_result_storage_block_id": NOBODY}},
        {"name": "pool-storage-other", "storage_configuration": {"other": 1}},
        {"name": "pool-storage-null", "storage_configuration": None},
        {"name": "pool-template-null", "base_job_template": None},
        {"name": "pool-no-default", "base_job_template": {"job_configuration": {"a": "b"}, "variables": {"type": "object"}}},
        {"name": "pool-t", "base_job_template": {"x": 1}},
        {"name": "pool-t", "base_job_template": {"job_configuration": {}, "variables": VARIABLES}},
        {"name": "pool-t", "base_job_template": {"job_configuration": JOB, "variables": {}}},
        {"name": "pool-t", "base_job_template": {"job_configuration": {"a": ["{{ b }}"]}, "variables": VARIABLES}},
        {
            "name": "pool-t",
            "base_job_template": {
                "job_configuration": JOB,
                "variables": {"properties": {"command": {"default": {"$ref": {"block_document_id": NOBODY}}}}},
            },
        },
        {"name": "Prefect-pool"},
        {"name": "prefect"},
        {"name": ""},
        {"name": " "},
        {"name": "a/b"},
        {"name": "a%"},
        {"name": "pool-negative", "concurrency_limit": -1},
        {"name": "pool-unknown", "status": "READY"},
        {"type": "process"},
        None,
    ],
    ids=str,
)
def test_create(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/", body)


@pytest.mark.parametrize(
    "variable",
    [
        {"type": "integer", "default": "x"},
        {"type": "string", "default": None},
        {"anyOf": [{"type": "string"}, {"type": "null"}], "default": 1},
        {"enum": ["x", "y"], "default": 1},
        {"type": "array", "items": {"type": "string"}, "default": ["x", 1]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "default": {}},
        {"$ref": "#/definitions/none", "default": 1},
        {"default": {"$ref": {"block_document_id": NOBODY}}},
        {"default": {"$ref": {"other": 1}}},
        {"type": "integer"},
    ],
    ids=str,
)
def test_defaults_of_job_variables(pair: Pair, variable: dict[str, Any]) -> None:
    name = "pool-default-" + "".join(letter for letter in str(variable) if letter.isalnum())
    template = {"job_configuration": {"a": "{{ v }}"}, "variables": {"type": "object", "properties": {"v": variable}}}
    pair.check("POST", f"{PATH}/", {"name": name, "base_job_template": template})


def test_a_name_is_unique(pair: Pair) -> None:
    add(pair, "pool-unique")
    pair.check("POST", f"{PATH}/", {"name": "pool-unique"})


def test_read(pair: Pair) -> None:
    add(pair, "pool-read ä", concurrency_limit=2)
    pair.check("GET", f"{PATH}/pool-read ä")
    pair.check("GET", f"{PATH}/pool-nobody")


@pytest.mark.parametrize("type", ["process", "prefect-agent"])
@pytest.mark.parametrize(
    "change",
    [
        {"description": "new"},
        {"description": None, "concurrency_limit": None},
        {"concurrency_limit": 4},
        {"is_paused": True},
        {"is_paused": False},
        {"is_paused": None},
        {"base_job_template": TEMPLATE},
        {"base_job_template": {}},
        {"base_job_template": {"x": 1}},
        {"base_job_template": None},
        {"storage_configuration": {"bundle_execution_step": {"a": 1}}},
        {"storage_configuration": {}},
        {"storage_configuration": None},
        {"concurrency_limit": -1},
        {"name": "pool-other"},
        {"type": "docker"},
        {},
    ],
    ids=str,
)
def test_update(pair: Pair, type: str, change: dict[str, Any]) -> None:
    letters = "".join(letter for letter in str(change) if letter.isalnum())
    name = f"pool-update-{type}-{letters}"
    add(pair, name, type, description="old", concurrency_limit=1)
    pair.check("PATCH", f"{PATH}/{name}", change)
    pair.check("GET", f"{PATH}/{name}")
    pair.check("PATCH", f"{PATH}/pool-nobody", change)


@pytest.mark.parametrize("change", [{"description": "x"}, {"is_paused": True}, {"concurrency_limit": 1}, {}], ids=str)
def test_reserved_pools(pair: Pair, change: dict[str, Any]) -> None:
    pair.check("PATCH", f"{PATH}/Prefect-managed", change)
    pair.check("DELETE", f"{PATH}/prefect-managed")


def test_delete(pair: Pair) -> None:
    add(pair, "pool-delete")
    add_queues(pair, "pool-delete", "one", "two")
    pair.check("DELETE", f"{PATH}/pool-delete")
    pair.check("DELETE", f"{PATH}/pool-delete")
    pair.check("GET", f"{PATH}/pool-delete")
    pair.check("GET", f"{PATH}/pool-delete/queues/one")
    add(pair, "pool-delete")
    pair.check("POST", f"{PATH}/pool-delete/queues/filter", {})


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 201}, {"offset": -1}, {"limit": None}, {"unknown": 1}, None], ids=str)
def test_filter_requests(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/filter", body, view=lambda answer: answer if isinstance(answer, dict) else len(answer))


def test_filter_and_count(pair: Pair) -> None:
    ids = [add(pair, f" pool-page-{name}", "page" if name == "c" else "pages") for name in ("c", "a", "b")]
    for window in ({"limit": 2}, {"limit": 2, "offset": 1}, {"limit": 1, "offset": 2}):
        pair.check("POST", f"{PATH}/filter", window)
    wanted: tuple[Any, ...] = (
        {"id": {"any_": [*ids[:2], NOBODY]}},
        {"name": {"any_": [" pool-page-b", " pool-page-a", " pool-page-a", "pool-nobody"]}},
        {"type": {"any_": ["page", "pages"]}},
        {"id": {"any_": []}},
        {"name": {"any_": [" pool-page-b"]}, "type": {"any_": ["page"]}},
        {"name": {"any_": [" pool-page-b"]}, "type": {"any_": ["page"]}, "operator": "or_"},
        {"unknown": 1},
    )
    for filter in wanted:
        pair.check("POST", f"{PATH}/filter", {"work_pools": filter})
        pair.check("POST", f"{PATH}/filter", {"work_pools": filter, "limit": 1, "offset": 1})
        pair.check("POST", f"{PATH}/count", {"work_pools": filter})
    for body in ({}, None, {"work_pools": None}):
        pair.check("POST", f"{PATH}/count", body)


@pytest.mark.parametrize(
    "body",
    [
        {"name": "plain"},
        {"name": "full", "description": "d", "is_paused": True, "concurrency_limit": 2, "priority": 9},
        {"name": "filtered", "filter": {"tags": ["a"], "deployment_ids": [NOBODY]}},
        {"name": "null", "description": None},
        {"name": "default"},
        {"name": ""},
        {"name": "a/b"},
        {"name": "p", "priority": 0},
        {"name": "p", "priority": "x"},
        {"name": "c", "concurrency_limit": -1},
        {"name": "u", "status": "READY"},
        {},
        None,
    ],
    ids=str,
)
def test_create_queue(pair: Pair, body: Any) -> None:
    # Made by the first of these tests, and there already for the others.
    pair.send("POST", f"{PATH}/", {"name": "pool-queues", "type": "process"})
    pair.check("POST", f"{PATH}/pool-queues/queues", body)
    pair.check("POST", f"{PATH}/pool-nobody/queues", body)


def test_read_queue(pair: Pair) -> None:
    add(pair, "pool-read-queue")
    add_queues(pair, "pool-read-queue", "ä queue")
    pair.check("GET", f"{PATH}/pool-read-queue/queues/ä queue")
    pair.check("GET", f"{PATH}/pool-read-queue/queues/default")
    pair.check("GET", f"{PATH}/pool-read-queue/queues/nobody")
    pair.check("GET", f"{PATH}/pool-nobody/queues/default")


@pytest.mark.parametrize(
    "change",
    [
        {"description": "new"},
        {"description": None},
        {"concurrency_limit": 3},
        {"concurrency_limit": None},
        {"is_paused": True},
        {"is_paused": False},
        {"is_paused": None},
        {"priority": 1},
        {"priority": 7},
        {"priority": None},
        {"last_polled": "2026-01-01T00:00:00Z"},
        {"filter": {"tags": ["a"]}},
        {"name": "renamed"},
        {"name": "default"},
        {"name": None},
        {"unknown": 1},
        {},
    ],
    ids=str,
)
def test_update_queue(pair: Pair, change: dict[str, Any]) -> None:
    pool = "pool-update-queue-" + "".join(letter for letter in str(change) if letter.isalnum())
    add(pair, pool)
    add_queues(pair, pool, "first", "second")
    pair.check("PATCH", f"{PATH}/{pool}/queues/second", change)
    pair.check("POST", f"{PATH}/{pool}/queues/filter", {})
    pair.check("PATCH", f"{PATH}/{pool}/queues/nobody", change)
    pair.check("PATCH", f"{PATH}/pool-nobody/queues/second", change)


def test_a_queue_is_paused_and_resumed(pair: Pair) -> None:
    add(pair, "pool-resume")
    for change in ({"is_paused": True}, {"is_paused": True, "description": "x"}, {"is_paused": False}, {"is_paused": False}):
        pair.check("PATCH", f"{PATH}/pool-resume/queues/default", change)
        pair.check("GET", f"{PATH}/pool-resume/queues/default")


def test_priorities_make_room(pair: Pair) -> None:
    add(pair, "pool-rank")
    for body in ({"name": "a"}, {"name": "b", "priority": 1}, {"name": "c", "priority": 5}, {"name": "d"}, {"name": "e"}):
        pair.check("POST", f"{PATH}/pool-rank/queues", body)
    for name, priority in (("e", 2), ("a", 1), ("b", 20), ("default", 3)):
        pair.check("PATCH", f"{PATH}/pool-rank/queues/{name}", {"priority": priority})
        pair.check("POST", f"{PATH}/pool-rank/queues/filter", {})
    pair.check("DELETE", f"{PATH}/pool-rank/queues/e")
    pair.check("POST", f"{PATH}/pool-rank/queues/filter", {})
    pair.check("POST", f"{PATH}/pool-rank/queues", {"name": "f"})


def test_delete_queue(pair: Pair) -> None:
    add(pair, "pool-delete-queue")
    add_queues(pair, "pool-delete-queue", "one")
    for path in ("pool-delete-queue/queues/one", "pool-delete-queue/queues/one", "pool-nobody/queues/one"):
        pair.check("DELETE", f"{PATH}/{path}")
    pair.check("DELETE", f"{PATH}/pool-delete-queue/queues/default")
    pair.check("GET", f"{PATH}/pool-delete-queue")
    pair.check("POST", f"{PATH}/pool-delete-queue/queues/filter", {})
    add_queues(pair, "pool-delete-queue", "one")


def test_filter_queues(pair: Pair) -> None:
    add(pair, "pool-filter")
    add_queues(pair, "pool-filter", "alpha", "beta", "alter")
    for body in (
        {},
        None,
        {"limit": 2, "offset": 1},
        {"limit": 0},
        {"limit": 201},
        {"work_queues": {"name": {"startswith_": ["AL"]}}},
        {"work_queues": {"name": {"any_": ["beta", "default"]}}, "limit": 1},
        {"work_queues": {"id": {"any_": [NOBODY]}}},
        {"work_queues": {"unknown": 1}},
    ):
        pair.check("POST", f"{PATH}/pool-filter/queues/filter", body)
    pair.check("POST", f"{PATH}/pool-nobody/queues/filter", {})


def test_pools_and_queues_say_what_happens_to_them(pair: Pair) -> None:
    id = add(pair, "pool-told", storage_configuration={"default_result_storage_block_id": NOBODY})
    queue = pair.prepare("POST", f"{PATH}/pool-told/queues", {"name": "told", "priority": 1})["id"]
    for change in (
        {"is_paused": True},
        {"is_paused": False, "concurrency_limit": 2},
        {"base_job_template": TEMPLATE, "description": "d", "storage_configuration": {}},
        {"description": "d"},
        {"storage_configuration": {"default_result_storage_block_id": NOBODY}},
    ):
        pair.check("PATCH", f"{PATH}/pool-told", change)
    for change in (
        {"is_paused": True},
        {"is_paused": False},
        {"name": "told-anew", "priority": 3, "description": "d", "concurrency_limit": 1},
    ):
        pair.check("PATCH", f"{PATH}/pool-told/queues/told", change)
    pair.check("DELETE", f"{PATH}/pool-told/queues/told-anew")
    pair.check("DELETE", f"{PATH}/pool-told")

    def events_of(resource: str, count: int) -> None:
        wanted = {"filter": {"resource": {"id": [resource]}, "order": "ASC"}}
        pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == count)

    events_of(f"prefect.work-pool.{id}", 8)
    events_of(f"prefect.work-queue.{queue}", 5)
