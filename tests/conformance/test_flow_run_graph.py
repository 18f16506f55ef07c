"""The graphs of a flow run: what its task runs and subflow runs depend on."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import asked_side_by_side
from .library import NOBODY, scheduled
from .side_by_side import Answer, Pair

COMPLETED, RUNNING, FAILED = {"type": "COMPLETED"}, {"type": "RUNNING"}, {"type": "FAILED"}


class Run:
    """A flow run on both servers, and the task runs in it."""

    def __init__(self, pair: Pair, **body: Any) -> None:
        self.pair = pair
        self.flow = pair.prepare("POST", "/flows/", {"name": "graphs"})["id"]
        self.id = pair.prepare("POST", "/flow_runs/", {"flow_id": self.flow, "name": "run", **body})["id"]
        self.path = f"/flow_runs/{self.id}"

    def task(self, name: str, *states: dict[str, Any], **inputs: list[Any]) -> str:
        """Creates a task run with inputs and states; a text among the inputs is the id of another task run."""
        sources = {
            key: [{"input_type": "task_run", "id": source} if isinstance(source, str) else source for source in list]
            for key, list in inputs.items()
        }
        body = {"flow_run_id": self.id, "name": name, "task_key": name, "dynamic_key": "0", "task_inputs": sources}
        id = self.pair.prepare("POST", "/task_runs/", body)["id"]
        for state in states:
            self.pair.prepare("POST", f"/task_runs/{id}/set_state", {"state": state, "force": True})
        return id

    def subflow(self, parent: str, name: str, *states: dict[str, Any]) -> str:
        body = {"flow_id": self.flow, "name": name, "parent_task_run_id": parent}
        id = self.pair.prepare("POST", "/flow_runs/", body)["id"]
        for state in states:
            self.pair.prepare("POST", f"/flow_runs/{id}/set_state", {"state": state, "force": True})
        return id

    def check(self, **params: str) -> Answer:
        return self.pair.check("GET", f"{self.path}/graph-v2", view=edges_in_any_order, params=params)


@pytest.fixture
def run(pair: Pair) -> Run:
    return Run(pair)


def edges_in_any_order(graph: Any) -> Any:
    """Looks at the edges of a node in the order of the nodes: upstream leaves their order to the database."""
    if "nodes" in graph:
        places = {id: place for place, (id, _) in enumerate(graph["nodes"])}
        for _, node in graph["nodes"]:
            for edges in ("parents", "children", "encapsulating"):
                node[edges].sort(key=lambda edge: places.get(edge["id"], -1))
    return graph


def dependencies_in_any_order(tasks: Any) -> Any:
    """Looks at task runs and their inputs by name: upstream sorts the runs by id, and the inputs not at all."""
    if not isinstance(tasks, list):
        return tasks
    names = {task["id"]: task["name"] for task in tasks}
    for task in tasks:
        task["upstream_dependencies"].sort(key=lambda source: names.get(source["id"], ""))
    return sorted(tasks, key=lambda task: task["name"])


def test_empty(run: Run) -> None:
    run.check()
    run.pair.check("GET", f"{run.path}/graph")


def test_scheduled_run(pair: Pair) -> None:
    Run(pair, state=scheduled("2031-01-01T00:00:00Z")).check()


def test_states_and_times(run: Run) -> None:
    for state in (RUNNING, COMPLETED):
        run.pair.prepare("POST", f"{run.path}/set_state", {"state": state})
        run.check()


def test_edges(run: Run) -> None:
    first = run.task("first", RUNNING, COMPLETED)
    second = run.task("second", RUNNING, x=[first])
    third = run.task("third", x=[second], y=[first])
    run.task("fourth", RUNNING, FAILED, x=[third, second, first])
    run.check()
    run.pair.check("GET", f"{run.path}/graph", view=dependencies_in_any_order)


def test_repeated_edges(run: Run) -> None:
    first = run.task("first", x=[], y=[])
    second = run.task("second", x=[first], y=[first, first])
    run.task("third", z=[second], a=[first], m=[second])
    run.check()


def test_inputs_from_elsewhere(run: Run) -> None:
    first = run.task(
        "first", p=[{"input_type": "parameter", "name": "p"}], c=[{"input_type": "constant", "type": "int"}]
    )
    run.task("second", x=[first, NOBODY, {"input_type": "parameter", "name": "p"}])
    run.task("third", f=[{"input_type": "flow_run", "id": NOBODY}])
    run.check()
    run.pair.check("GET", f"{run.path}/graph")


def test_encapsulating(run: Run) -> None:
    outer = run.task("outer", RUNNING)
    inner = run.task("inner", RUNNING, __parents__=[outer])
    run.task("innermost", __parents__=[outer, inner, outer], x=[inner])
    run.check()


def test_subflows(run: Run) -> None:
    first = run.task("first", RUNNING)
    holder = run.task("holder", x=[first])
    child = run.subflow(holder, "child", RUNNING)
    run.task("of the task", x=[holder])
    run.task("of the flow", f=[{"input_type": "flow_run", "id": child}])
    run.check()
    run.subflow(holder, "second child", RUNNING, COMPLETED)
    run.check()
    run.pair.check("POST", "/ui/flow_runs/count-task-runs", {"flow_run_ids": [run.id, child]})


def test_finished_without_having_run(run: Run) -> None:
    run.task("cached", COMPLETED | {"name": "Cached"})
    run.task("crashed", {"type": "CRASHED"})
    run.task("scheduled", scheduled("2031-01-01T00:00:00Z"))
    run.check()


def test_since(run: Run) -> None:
    first = run.task("first", RUNNING, COMPLETED)
    run.task("second", RUNNING, x=[first])
    for since in (
        "2000-01-01T00:00:00Z",
        "2100-01-01T00:00:00Z",
        "2100-01-01",
        "2100-01-01T00:00:00+05:00",
        "1700000000",
    ):
        run.check(since=since)
    for wrong in ("x", "", "2100-13-01", "null"):
        run.check(since=wrong)


@pytest.mark.parametrize("id", [NOBODY, "not-a-uuid"])
@pytest.mark.parametrize("graph", ["graph", "graph-v2"])
def test_unknown_run(pair: Pair, id: str, graph: str) -> None:
    pair.check("GET", f"/flow_runs/{id}/{graph}")


def test_limit_of_nodes(request: pytest.FixtureRequest) -> None:
    with asked_side_by_side({"PREFECT_SERVER_FLOW_RUN_GRAPH_MAX_NODES": "2"}) as pair:
        pair.test = request.node.nodeid
        run = Run(pair)
        run.task("first", RUNNING, COMPLETED)
        run.task("second", RUNNING)
        run.check()
        run.task("third")
        run.check()
        run.check(since="2100-01-01T00:00:00Z")
