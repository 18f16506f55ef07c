"""What automations do: the same automation on both servers, the same event, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from .conftest import asked_side_by_side
from .events import related
from .library import NOBODY
from .side_by_side import Pair


# How long the oracle may take to load an automation.
LOADED_SECONDS = 1.0

# Automations act, which they do in no other test.
ACTING = {"PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "true"}


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    with asked_side_by_side(ACTING) as pair:
        yield pair


@pytest.fixture
def acting(servers: Pair, request: pytest.FixtureRequest) -> Pair:
    servers.test = request.node.nodeid
    return servers


def now_event(name: str, resource: str, *involved: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "occurred": datetime.now(UTC).isoformat(timespec="microseconds"),
        "event": name,
        "resource": {"prefect.resource.id": resource, **more.pop("labels", {})},
        "related": list(involved),
        "payload": more.pop("payload", {}),
        "id": str(uuid4()),
        **more,
    }


def in_order(page: Any) -> Any:
    """The events by their names, without when they came."""
    if not isinstance(page, dict) or "events" not in page:
        return page
    events = [{**event, "received": None, "occurred": None} for event in page["events"]]
    return sorted(events, key=lambda event: (str(event["payload"].get("action_index")), event["event"]))


def fire(pair: Pair, actions: list[Any], *involved: dict[str, str], resource: str = "", count: int = 1, **more: Any) -> None:
    """Makes an automation of these actions, has an event trigger it, and compares the events of the actions."""
    name = f"happened.{uuid4()}"
    trigger = more.pop("trigger", {"type": "event", "posture": "Reactive", "expect": [name], "threshold": 1})
    if trigger.get("expect") == []:
        trigger["expect"] = [name]
    body = {"name": "acts", "trigger": trigger, "actions": actions, **more.pop("automation", {})}
    automation = pair.prepare("POST", "/automations/", body)["id"]
    # The oracle's consumer hears of an automation a little later, and never evaluates what came before.
    time.sleep(LOADED_SECONDS)
    pair.send("POST", "/events", [now_event(name, resource or "thing", *involved, **more)])
    total = 2 * (len(actions) + len(body.get("actions_on_trigger", [])))
    pair.eventually(
        "POST",
        "/events/filter",
        {
            "filter": {
                "event": {"prefix": ["prefect.automation.action."]},
                "resource": {"id": [f"prefect.automation.{automation}"]},
                "order": "ASC",
            }
        },
        until=lambda page: page["total"] == total,
        view=in_order,
    )
    pair.send("DELETE", f"/automations/{automation}")


def flow_run(pair: Pair, state: str = "RUNNING", **more: Any) -> str:
    flow = pair.prepare("POST", "/flows/", {"name": "acted-on"})["id"]
    return pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "acted-on", "state": {"type": state}, **more})["id"]


def state_of(pair: Pair, run: str) -> None:
    def view(answer: Any) -> Any:
        return {key: answer.get(key) for key in ("state_type", "state_name")} | {"message": (answer.get("state") or {}).get("message")}

    pair.check("GET", f"/flow_runs/{run}", view=view)


def deployment(pair: Pair, **more: Any) -> str:
    flow = pair.prepare("POST", "/flows/", {"name": "acted-on"})["id"]
    return pair.prepare("POST", "/deployments/", {"flow_id": flow, "name": f"d-{uuid4()}", **more})["id"]


def test_do_nothing(acting: Pair) -> None:
    fire(acting, [{"type": "do-nothing"}, {"type": "do-nothing"}])


def test_actions_on_trigger(acting: Pair) -> None:
    fire(acting, [{"type": "do-nothing"}], automation={"actions_on_trigger": [{"type": "do-nothing"}, {"type": "cancel-flow-run"}]})


FLOW_RUN_ACTIONS: dict[str, dict[str, Any]] = {
    "cancel": {"type": "cancel-flow-run"},
    "suspend": {"type": "suspend-flow-run"},
    "resume": {"type": "resume-flow-run"},
    "delete": {"type": "delete-flow-run"},
    "change": {"type": "change-flow-run-state", "state": "FAILED", "name": "Bad", "message": "because"},
    "change without words": {"type": "change-flow-run-state", "state": "COMPLETED"},
    "change by force": {"type": "change-flow-run-state", "state": "SCHEDULED", "force": True},
}


@pytest.mark.parametrize("state", ["RUNNING", "SCHEDULED", "PAUSED", "COMPLETED", "CANCELLED"])
@pytest.mark.parametrize("action", FLOW_RUN_ACTIONS)
def test_flow_run_actions(acting: Pair, action: str, state: str) -> None:
    run = flow_run(acting, state)
    fire(acting, [FLOW_RUN_ACTIONS[action]], resource=f"prefect.flow-run.{run}")
    if action != "delete":
        state_of(acting, run)
    else:
        acting.check("GET", f"/flow_runs/{run}")


@pytest.mark.parametrize("action", [name for name in FLOW_RUN_ACTIONS if name != "resume"])
@pytest.mark.parametrize("resource", [f"prefect.flow-run.{NOBODY}", "prefect.flow-run.no-id", "prefect.flow.x", "thing"])
def test_flow_runs_that_are_not_there(acting: Pair, action: str, resource: str) -> None:
    fire(acting, [FLOW_RUN_ACTIONS[action]], resource=resource)


def test_a_flow_run_of_the_labels(acting: Pair) -> None:
    run, other = flow_run(acting), flow_run(acting)
    trigger = {"type": "event", "posture": "Reactive", "expect": [], "for_each": ["prefect.resource.id"], "threshold": 1}
    fire(acting, [{"type": "cancel-flow-run"}], related(f"prefect.flow-run.{other}", "flow-run"), resource=f"prefect.flow-run.{run}", trigger=trigger)
    state_of(acting, run)
    state_of(acting, other)


def test_a_related_flow_run(acting: Pair) -> None:
    run = flow_run(acting)
    fire(acting, [{"type": "cancel-flow-run"}], related("prefect.tag.x", "tag"), related(f"prefect.flow-run.{run}", "flow-run"))
    state_of(acting, run)


KINDS = ["deployment", "work-pool", "work-queue", "automation"]


def thing(pair: Pair, kind: str) -> str:
    if kind == "deployment":
        return deployment(pair)
    if kind == "automation":
        body = {"name": "other", "trigger": {"type": "event", "posture": "Reactive", "expect": ["never"]}, "actions": []}
        return pair.prepare("POST", "/automations/", body)["id"]
    pool = f"pool-{uuid4()}"
    made = pair.prepare("POST", "/work_pools/", {"name": pool, "type": "process"})
    if kind == "work-pool":
        return made["id"]
    return pair.prepare("POST", f"/work_pools/{pool}/queues", {"name": "q"})["id"]


def paused(pair: Pair, kind: str, id: str) -> None:
    if kind == "work-pool":
        body = {"work_pools": {"id": {"any_": [id]}}}
        pair.check("POST", "/work_pools/filter", body, view=lambda pools: [(pool["is_paused"], pool["status"]) for pool in pools])
        return
    path = {"deployment": "deployments", "work-queue": "work_queues", "automation": "automations"}[kind]
    pair.check("GET", f"/{path}/{id}", view=lambda answer: [answer.get(key) for key in ("paused", "is_paused", "enabled", "status")])


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize("kind", KINDS)
def test_pauses(acting: Pair, kind: str, verb: str) -> None:
    id, field = thing(acting, kind), f"{kind.replace('-', '_')}_id"
    fire(acting, [{"type": f"{verb}-{kind}", "source": "selected", field: id}])
    paused(acting, kind, id)
    other = "resume" if verb == "pause" else "pause"
    fire(acting, [{"type": f"{other}-{kind}", "source": "inferred"}], related(f"prefect.{kind}.{id}", "thing"))
    paused(acting, kind, id)
    fire(acting, [{"type": f"{verb}-{kind}", "source": "selected", field: NOBODY}])
    fire(acting, [{"type": f"{verb}-{kind}", "source": "inferred"}], related("prefect.tag.x", "tag"))


def runs_of(pair: Pair, deployment: str) -> None:
    def view(runs: Any) -> Any:
        keys = ("parameters", "job_variables", "state_type", "state_name", "created_by", "tags", "deployment_id", "auto_scheduled")
        return [{key: run[key] for key in keys} | {"message": run["state"]["message"]} for run in runs]

    body = {"deployments": {"id": {"any_": [deployment]}}, "sort": "ID_DESC"}
    pair.check("POST", "/flow_runs/filter", body, view=view)


SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": []}
VARIABLE = {"__prefect_kind": "workspace_variable", "variable_name": "acted_on"}
PARAMETERS: dict[str, Any] = {
    "none": None,
    "plain": {"x": 1, "y": [1, {"z": None}]},
    "an event's": {"name": "{{ event.event.split('.')[0] }}", "all": "{{ event.payload }}", "text": "a {{ event.payload.a }} b", "number": "{{ event.payload.a }}"},
    "in lists": {"list": ["{{ event.payload.a }}", {"in": "{{ event.payload.b.c }}"}, "plain", ["{{ x }}"]]},
    "placeholders": {"json": {"__prefect_kind": "json", "value": '{"a": 1}'}, "jinja": {"__prefect_kind": "jinja", "template": "{{ automation.name }}"}},
    "a variable": {"variable": VARIABLE, "by template": "{{ variables.acted_on }}"},
    "a missing variable": {"variable": {**VARIABLE, "variable_name": "nobody"}},
    "a label": {"label": "{{ event.resource.labels.hello.again }}", "id": "{{ event.resource.id }}", "none": "{{ event.nobody }} x"},
    "undefined": {"undefined": "{{ event.nobody }}"},
    "an id": {"id": "{{ event.id }}"},
    "division by zero": {"x": "{{ 'a' | tojson }}", "zero": {"__prefect_kind": "jinja", "template": "{{ range(101) }}"}},
}


@pytest.mark.parametrize("kind", PARAMETERS)
def test_run_deployment_with_parameters(acting: Pair, kind: str) -> None:
    acting.send("POST", "/variables/", {"name": "acted_on", "value": {"v": [1, "two"]}})
    id = deployment(acting, parameters={"default": 1}, enforce_parameter_schema=False, parameter_openapi_schema={"type": "object", "properties": {}})
    action = {"type": "run-deployment", "source": "selected", "deployment_id": id, "parameters": PARAMETERS[kind]}
    fire(acting, [action], labels={"hello": "world", "hello.again": "you"}, payload={"a": 5, "b": {"c": "d"}})
    runs_of(acting, id)


@pytest.mark.parametrize(
    "more",
    [{"job_variables": {"env": {"A": "{{ event.id }}"}}}, {"schedule_after": 30}, {"parameters": {"x": "no number"}}, {"parameters": {"x": "{{ event.payload.a }}"}}],
    ids=str,
)
def test_run_deployment(acting: Pair, more: dict[str, Any]) -> None:
    id = deployment(acting, enforce_parameter_schema=True, parameter_openapi_schema=SCHEMA)
    fire(acting, [{"type": "run-deployment", "source": "selected", "deployment_id": id, **more}], payload={"a": 5})
    runs_of(acting, id)


def test_run_an_inferred_deployment(acting: Pair) -> None:
    id = deployment(acting)
    fire(acting, [{"type": "run-deployment", "source": "inferred"}], related(f"prefect.deployment.{id}", "deployment"))
    runs_of(acting, id)
    fire(acting, [{"type": "run-deployment", "source": "inferred"}])
    fire(acting, [{"type": "run-deployment", "source": "selected", "deployment_id": NOBODY}])


def test_templates_of_records(acting: Pair) -> None:
    target, run = deployment(acting), flow_run(acting, "COMPLETED", tags=["a"], parameters={"p": 1})
    parameters = {
        "flow run": "{{ flow_run.name }} {{ flow_run.state.name }} {{ flow_run.state_type }} {{ flow_run.tags }} {{ flow_run.total_run_time }}",
        "parameters": "{{ flow_run.parameters }}",
        "flow": "{{ flow.name }}|",
        "deployment": "{{ deployment.name }}|{{ deployment }}",
        "pool": "{{ work_pool.name }}|{{ work_queue.name }}|{{ task_run.name }}|{{ concurrency_limit.name }}",
        "if": "{% if flow_run.state_type == 'COMPLETED' %}good{% else %}bad{% endif %}",
    }
    flow = acting.prepare("POST", "/flows/", {"name": "acted-on"})["id"]
    action = {"type": "run-deployment", "source": "selected", "deployment_id": target, "parameters": parameters}
    fire(acting, [action], related(f"prefect.flow.{flow}", "flow"), resource=f"prefect.flow-run.{run}")
    runs_of(acting, target)


def test_blocks_that_are_not_there(acting: Pair) -> None:
    notify = {"type": "send-notification", "block_document_id": NOBODY, "subject": "s", "body": "b"}
    fire(acting, [notify, {"type": "call-webhook", "block_document_id": NOBODY, "payload": "p"}])


def test_several_actions(acting: Pair) -> None:
    run, target = flow_run(acting), deployment(acting)
    actions = [
        {"type": "cancel-flow-run"},
        {"type": "run-deployment", "source": "selected", "deployment_id": target},
        {"type": "pause-work-pool", "source": "inferred"},
        {"type": "do-nothing"},
    ]
    fire(acting, actions, resource=f"prefect.flow-run.{run}")
    state_of(acting, run)
    runs_of(acting, target)


def test_compound_triggers(acting: Pair) -> None:
    trigger = {"type": "compound", "require": "any", "within": 60, "triggers": [{"type": "event", "posture": "Reactive", "expect": [f"c.{uuid4()}"], "threshold": 1}]}
    name = trigger["triggers"][0]["expect"][0]
    body = {"name": "compound", "trigger": trigger, "actions": [{"type": "do-nothing"}]}
    automation = acting.prepare("POST", "/automations/", body)["id"]
    time.sleep(LOADED_SECONDS)
    acting.send("POST", "/events", [now_event(name, "thing")])
    filter = {"event": {"prefix": ["prefect.automation.action."]}, "resource": {"id": [f"prefect.automation.{automation}"]}, "order": "ASC"}
    acting.eventually("POST", "/events/filter", {"filter": filter}, until=lambda page: page["total"] == 2, view=in_order)
