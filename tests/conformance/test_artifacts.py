"""Artifacts, and the latest of each key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import asked_side_by_side
from .library import NOBODY
from .side_by_side import Pair, sorted_by

PATH = "/artifacts"
COMPLETED, RUNNING = {"type": "COMPLETED"}, {"type": "RUNNING"}


def add(pair: Pair, **body: Any) -> str:
    return pair.prepare("POST", f"{PATH}/", body)["id"]


def add_run(pair: Pair, flow: str = "artifacts", **body: Any) -> str:
    flow_id = pair.prepare("POST", "/flows/", {"name": flow})["id"]
    return pair.prepare("POST", "/flow_runs/", {"flow_id": flow_id, **body})["id"]


def add_task(pair: Pair, run: str, key: str = "task") -> str:
    body = {"flow_run_id": run, "task_key": key, "dynamic_key": "0", "name": key}
    return pair.prepare("POST", "/task_runs/", body)["id"]


def check_key(pair: Pair, key: str) -> None:
    """Compares what both servers tell of the artifacts of a key."""
    wanted = {"artifacts": {"key": {"any_": [key]}}}
    pair.check("GET", f"{PATH}/{key}/latest")
    pair.check("POST", f"{PATH}/latest/filter", wanted)
    pair.check("POST", f"{PATH}/filter", {**wanted, "sort": "CREATED_DESC"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"key": "create-1"},
        {"key": ""},
        {"key": None, "type": None, "data": None, "metadata_": None},
        {"key": "create-2", "type": "table", "description": "ä\n# b", "data": [{"a": 1}, None], "metadata_": {"m": "x"}},
        {"data": {"deep": {"a": [1, 2.5, "x", True, None]}}, "type": ""},
        {"data": "text"},
        {"data": True, "metadata_": {}},
        {"flow_run_id": NOBODY, "task_run_id": NOBODY},
        {"metadata_": {"m": "x" * 600}},
        {"key": "Upper"},
        {"key": "a_b"},
        {"key": "a b"},
        {"key": 1},
        {"metadata_": {"m": 1}},
        {"metadata_": []},
        {"flow_run_id": "x"},
        {"type": 1, "description": 2},
        {"unknown": 1},
        {"id": NOBODY},
        None,
    ],
    ids=str,
)
def test_create(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/", body)


def test_read(pair: Pair) -> None:
    id = add(pair, key="read", data={"a": 1})
    pair.check("GET", f"{PATH}/{id}")
    pair.check("GET", f"{PATH}/{NOBODY}")
    pair.check("GET", f"{PATH}/read")
    pair.check("GET", f"{PATH}/read/latest")
    pair.check("GET", f"{PATH}/read-nobody/latest")
    pair.check("GET", f"{PATH}/{id}/latest")
    pair.check("GET", f"{PATH}/filter/latest")


def test_the_last_created_is_the_latest(pair: Pair) -> None:
    run = add_run(pair)
    first = add(pair, key="latest", data=1, type="a", flow_run_id=run, description="first", metadata_={"a": "b"})
    check_key(pair, "latest")
    add(pair, key="latest", data="two")
    third = add(pair, key="latest", type="c", data=[3])
    check_key(pair, "latest")
    pair.check("PATCH", f"{PATH}/{first}", {"data": {"changed": True}})
    check_key(pair, "latest")
    pair.check("DELETE", f"{PATH}/{third}")
    check_key(pair, "latest")
    add(pair, key="latest", type="d")
    check_key(pair, "latest")


def test_without_the_latest_the_one_before_is(pair: Pair) -> None:
    ids = [add(pair, key="before", data=[number], type=f"t{number}") for number in range(4)]
    for id in (ids[1], ids[3], ids[2], ids[0]):
        pair.check("DELETE", f"{PATH}/{id}")
        check_key(pair, "before")
        pair.check("DELETE", f"{PATH}/{id}")
    add(pair, key="before", data="again")
    check_key(pair, "before")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"data": {"b": 2}},
        {"data": None},
        {"description": "new"},
        {"description": None, "metadata_": None},
        {"metadata_": {"x": "y"}},
        {"metadata_": {"m": "x" * 600}},
        {"metadata_": {"x": 1}},
        {"key": "other"},
        {"type": "other"},
        None,
    ],
    ids=str,
)
def test_update(pair: Pair, change: Any) -> None:
    id = add(pair, key="update", type="t", data={"a": 1}, description="d", metadata_={"m": "n"})
    pair.check("PATCH", f"{PATH}/{id}", change)
    pair.check("GET", f"{PATH}/{id}")
    pair.check("GET", f"{PATH}/update/latest")


def test_what_is_not_there(pair: Pair) -> None:
    pair.check("PATCH", f"{PATH}/{NOBODY}", {"data": 1})
    pair.check("PATCH", f"{PATH}/{NOBODY}", {})
    pair.check("PATCH", f"{PATH}/nobody", {})
    pair.check("DELETE", f"{PATH}/{NOBODY}")
    pair.check("DELETE", f"{PATH}/nobody")


FILTERS: dict[str, dict[str, Any]] = {
    "empty": {},
    "id": {"id": {"any_": ["@fa.table@", "@fa.bare@"]}},
    "no id": {"id": {"any_": []}},
    "unknown id": {"id": {"any_": [NOBODY]}},
    "id null": {"id": None},
    "key any": {"key": {"any_": ["fa-one", "fa-two", "nobody"]}},
    "key any of nothing": {"key": {"any_": []}},
    "key like": {"key": {"like_": "FA-O"}},
    "key like nothing": {"key": {"like_": ""}},
    "key exists": {"key": {"exists_": True}},
    "no key": {"key": {"exists_": False}},
    "key exists and like": {"key": {"exists_": True, "like_": "two", "any_": ["fa-two"]}},
    "flow run": {"flow_run_id": {"any_": ["@fa.run@"]}},
    "no flow run": {"flow_run_id": {"any_": []}},
    "flow runs": {"flow_run_id": {"any_": ["@fa.run@", "@fa.other@", NOBODY]}},
    "task run": {"task_run_id": {"any_": ["@fa.task@"]}},
    "task run and flow run": {"task_run_id": {"any_": ["@fa.task@"]}, "flow_run_id": {"any_": ["@fa.other@"]}},
    "type": {"type": {"any_": ["table"]}},
    "no type": {"type": {"any_": []}},
    "other types": {"type": {"not_any_": ["table", "result"]}},
    "type and others": {"type": {"any_": ["table", "markdown"], "not_any_": ["table"]}},
    "type or key": {"operator": "or_", "type": {"any_": ["table"]}, "key": {"any_": ["fa-two"]}},
    "or of one empty part": {"operator": "or_", "type": {"any_": ["table"]}, "key": {}},
    "unknown field": {"created": {}},
    "unknown clause": {"type": {"like_": "x"}},
}

JOINS: dict[str, dict[str, Any]] = {
    "flow runs": {"flow_runs": {"id": {"any_": ["@fa.run@"]}}},
    "flow runs by name": {"flow_runs": {"name": {"any_": ["fa run"]}}},
    "any flow run": {"flow_runs": {}},
    "task runs": {"task_runs": {"id": {"any_": ["@fa.task@"]}}},
    "task runs by name": {"task_runs": {"name": {"like_": "fa-task"}}},
    "any task run": {"task_runs": {}},
    "flows": {"flows": {"name": {"any_": ["fa-flow"]}}},
    "any flow": {"flows": {}},
    "other flows": {"flows": {"name": {"any_": ["nobody"]}}},
    "any deployment": {"deployments": {}},
    "unknown deployment": {"deployments": {"id": {"any_": [NOBODY]}}},
    "flow runs and flows": {"flow_runs": {"name": {"any_": ["fa run"]}}, "flows": {"name": {"any_": ["fa-other"]}}},
    "flow runs and task runs": {"flow_runs": {"name": {"any_": ["fa run"]}}, "task_runs": {}},
    "type and flows": {"artifacts": {"type": {"any_": ["table"]}}, "flows": {"name": {"any_": ["fa-flow"]}}},
    "nulls": {"artifacts": None, "flow_runs": None, "flows": None, "task_runs": None, "deployments": None},
}

SORTS = ["CREATED_DESC", "UPDATED_DESC", "ID_DESC", "KEY_DESC", "KEY_ASC"]


@pytest.fixture(scope="module")
def few_artifacts() -> Iterator[Pair]:
    """A few artifacts on servers that nothing else writes to."""
    with asked_side_by_side() as pair:
        fill(pair)
        yield pair


@pytest.fixture
def dataset(few_artifacts: Pair, request: pytest.FixtureRequest) -> Pair:
    few_artifacts.test = request.node.nodeid
    return few_artifacts


def fill(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "fa-flow"})["id"]
    other = pair.prepare("POST", "/flows/", {"name": "fa-other"})["id"]
    pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "fa run"}, name="fa.run")
    pair.prepare("POST", "/flow_runs/", {"flow_id": other, "name": "fa other"}, name="fa.other")
    task = {"flow_run_id": "@fa.run@", "task_key": "fa", "dynamic_key": "0", "name": "fa-task"}
    pair.prepare("POST", "/task_runs/", task, name="fa.task")

    def prepare(name: str, **body: Any) -> None:
        pair.prepare("POST", f"{PATH}/", body, name=name)

    prepare("fa.table", key="fa-one", type="table", data=[1], flow_run_id="@fa.run@", task_run_id="@fa.task@")
    prepare("fa.other-table", key="fa-three", type="table", flow_run_id="@fa.other@")
    prepare("fa.old", key="fa-two", type="markdown", data="old", flow_run_id="@fa.run@")
    prepare("fa.bare", data={"x": 1})
    prepare("fa.task-alone", key="fa-four", type="progress", data=50, task_run_id="@fa.task@")
    prepare("fa.new", key="fa-two", type="link", data="new", flow_run_id="@fa.other@")
    prepare("fa.result", type="result", data="r", flow_run_id="@fa.run@")
    pair.prepare("PATCH", f"{PATH}/@fa.old@", {"description": "changed last"})


def of_latest(filter: dict[str, Any]) -> dict[str, Any]:
    return {{"id": "latest_id"}.get(name, name): clause for name, clause in filter.items()}


def check_everywhere(pair: Pair, filters: dict[str, Any]) -> None:
    artifacts = filters.get("artifacts")
    latest = {**filters, "artifacts": of_latest(artifacts)} if artifacts else filters
    for path, body in ((PATH, filters), (f"{PATH}/latest", latest)):
        pair.check("POST", f"{path}/filter", {**body, "sort": "CREATED_DESC"})
        pair.check("POST", f"{path}/count", body)


@pytest.mark.parametrize("filter", FILTERS)
def test_filter(dataset: Pair, filter: str) -> None:
    check_everywhere(dataset, {"artifacts": FILTERS[filter]})


@pytest.mark.parametrize("filters", JOINS)
def test_filters_on_runs(dataset: Pair, filters: str) -> None:
    check_everywhere(dataset, JOINS[filters])


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("latest", [False, True], ids=["all", "latest"])
@pytest.mark.parametrize(
    "filter",
    [{}, {"flow_run_id": {"any_": ["@fa.run@", "@fa.other@"]}}, {"key": {"any_": ["fa-one", "fa-two", "fa-four"]}}],
    ids=["everything", "of runs", "of keys"],
)
def test_sort(dataset: Pair, sort: str, latest: bool, filter: dict[str, Any]) -> None:
    path = f"{PATH}/latest/filter" if latest else f"{PATH}/filter"
    # Upstream's ids are random, and it leaves the order of equal keys to chance.
    view = sorted_by("created") if sort == "ID_DESC" else by_key_and_creation if "KEY" in sort else None
    more: dict[str, Any] = {"view": view} if view else {}
    dataset.check("POST", path, {"sort": sort, "artifacts": filter}, **more)
    if not view:
        for window in ({"limit": 2}, {"limit": 2, "offset": 1}, {"offset": 3}, {"limit": 0}):
            dataset.check("POST", path, {"sort": sort, "artifacts": filter, **window})


def by_key_and_creation(body: Any) -> Any:
    """Keeps the order of the keys, and looks at equal ones by their creation."""
    keys = [artifact["key"] for artifact in body]
    ranks = {key: keys.index(key) for key in keys}
    return sorted(body, key=lambda artifact: (ranks[artifact["key"]], artifact["created"]))


@pytest.mark.parametrize(
    "body",
    [{"sort": "NAME_ASC"}, {"limit": 201}, {"limit": -1}, {"offset": -1}, {"artifacts": []}, {"unknown": 1}, None],
    ids=str,
)
@pytest.mark.parametrize("path", ["filter", "latest/filter"])
def test_queries_that_are_refused(dataset: Pair, path: str, body: Any) -> None:
    dataset.check("POST", f"{PATH}/{path}", body, view=sorted_by("created"))


def test_counts_without_a_body(dataset: Pair) -> None:
    dataset.check("POST", f"{PATH}/count")
    dataset.check("POST", f"{PATH}/latest/count")


@pytest.mark.parametrize(
    "data",
    [
        {"x": 1},
        {"artifact_key": "result-key", "artifact_type": "table", "artifact_description": "d", "x": 1},
        {"artifact_key": "", "artifact_type": "", "x": 1},
        "text",
        [1],
        {"type": "unpersisted"},
        {"type": "reference", "storage_key": "k"},
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["flow", "task"])
def test_results_of_states(pair: Pair, kind: str, data: Any) -> None:
    run = add_run(pair)
    task = add_task(pair, run)
    path = f"/flow_runs/{run}" if kind == "flow" else f"/task_runs/{task}"
    pair.check("POST", f"{path}/set_state", {"state": RUNNING})
    pair.check("POST", f"{path}/set_state", {"state": {**COMPLETED, "data": data}})
    pair.check("POST", f"{PATH}/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    pair.check("POST", f"{PATH}/latest/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})


def test_results_of_subflow_runs(pair: Pair) -> None:
    run = add_run(pair)
    task = add_task(pair, run)
    subflow = add_run(pair, parent_task_run_id=task)
    pair.check("POST", f"/flow_runs/{subflow}/set_state", {"state": {**COMPLETED, "data": {"x": 1}}, "force": True})
    for id in (run, subflow):
        pair.check("POST", f"{PATH}/filter", {"artifacts": {"flow_run_id": {"any_": [id]}}})


def test_in_a_graph(pair: Pair) -> None:
    run = add_run(pair)
    task = add_task(pair, run)
    pair.prepare("POST", f"/task_runs/{task}/set_state", {"state": {**COMPLETED, "data": 1}, "force": True})
    for type in ("markdown", "progress", "result", "", None):
        for owner in ({}, {"task_run_id": task}):
            add(pair, type=type, data={"x": 1}, flow_run_id=run, **owner)
            add(pair, type=type, key="in-a-graph", data=[type], flow_run_id=run, **owner)
    add(pair, key="in-a-graph", type="table", flow_run_id=add_run(pair))
    pair.check("GET", f"/flow_runs/{run}/graph-v2")


def test_events(pair: Pair) -> None:
    run = add_run(pair)
    task = add_task(pair, run)
    first = add(pair, key="events", type="t", data={"a": 1}, description="d", flow_run_id=run, task_run_id=task)
    second = add(pair, key="events", data=2)
    third = add(pair, key="events")
    for id in (second, third, first):
        pair.prepare("DELETE", f"{PATH}/{id}")
    named = {"resource": {"labels": {"prefect.resource.name": "events"}}}
    body = {"filter": {**named, "event": {"prefix": ["prefect.artifact-collection."]}, "order": "ASC"}}
    pair.eventually("POST", "/events/filter", body, until=lambda found: len(found["events"]) == 5)
