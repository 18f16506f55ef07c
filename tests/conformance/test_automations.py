"""Automations: triggers and actions as records. When they fire is in test_automation_triggers."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .conftest import asked_side_by_side
from .filters import Filters
from .library import NOBODY
from .side_by_side import Pair, sorted_by

PATH = "/automations"
EVENT: dict[str, Any] = {"type": "event", "posture": "Reactive"}
NOTHING: dict[str, Any] = {"type": "do-nothing"}
RUN: dict[str, Any] = {"type": "run-deployment", "deployment_id": NOBODY}


def automation(name: str = "mine", trigger: Any = EVENT, actions: Any = (NOTHING,), **more: Any) -> dict[str, Any]:
    return {"name": name, "trigger": trigger, "actions": list(actions) if isinstance(actions, tuple) else actions, **more}


def add(pair: Pair, *args: Any, **more: Any) -> str:
    return pair.prepare("POST", f"{PATH}/", automation(*args, **more))["id"]


BODIES: dict[str, Any] = {
    "least": automation(),
    "most": automation(
        description="d", enabled=False, tags=["b", "a", "b"], actions_on_trigger=[NOTHING], actions_on_resolve=[RUN, NOTHING], owner_resource="x"
    ),
    "no actions": automation(actions=[]),
    "a name that is taken": automation(),
    "an empty name": automation(""),
    "a name in other letters": automation('Ünï "quoted"\n✓'),
    "no name": {"trigger": EVENT, "actions": []},
    "no trigger": {"name": "a", "actions": []},
    "no actions at all": {"name": "a", "trigger": EVENT},
    "nulls": {"name": None, "description": None, "enabled": None, "tags": None, "trigger": None, "actions": None, "actions_on_trigger": None, "actions_on_resolve": None},
    "an owner of null": automation(owner_resource=None),
    "an empty owner": automation(owner_resource=""),
    "an owner that is no text": automation(owner_resource=5),
    "an unknown field": automation(id=NOBODY, unknown=1),
    "enabled as a text": automation(enabled="no"),
    "tags that are none": automation(tags=[1]),
    "not an object": [],
    "nothing": None,
}


@pytest.mark.parametrize("kind", BODIES)
def test_create(pair: Pair, kind: str) -> None:
    answer = pair.check("POST", f"{PATH}/", BODIES[kind])
    if answer.oracle.status_code == 201:
        pair.check("GET", f"{PATH}/{answer['id']}")


def within(*values: Any, **trigger: Any) -> dict[str, Any]:
    return {f"{trigger.get('posture') or trigger.get('type')} within {value!r}": {**trigger, "within": value} for value in values}


DURATIONS = ["PT30S", "00:00:30", "1 day, 0:00:00", "PT5S", "P1DT2H", "30", "bad", "", 0, 0.0, 5, 9.999999, 10, 30.5, -1, "-PT3S", 1e20, True, [], {}, None]
TRIGGERS: dict[str, Any] = {
    **within(*DURATIONS, type="event", posture="Reactive"),
    **within(*DURATIONS, type="event", posture="Proactive"),
    **within(*DURATIONS, type="compound", require="any", triggers=[EVENT]),
    **within("PT30S", -1, None, "bad", type="sequence", triggers=[EVENT]),
    **within("PT5S", "bad", 5, type="event", posture="Other"),
    "proactive without a time": {"posture": "Proactive"},
    "without a posture": {"type": "event"},
    "a posture of null": {"posture": None},
    "a posture in lower case": {"posture": "reactive"},
    "a metric": {"type": "metric", "posture": "Metric", "metric": {"name": "lateness", "operator": ">", "threshold": 1}},
    "a metric of an event": {"type": "event", "posture": "Metric"},
    "an unknown type": {"type": "other", "posture": "Reactive"},
    "an unknown field": {**EVENT, "unknown": 1},
    "everything": {
        "id": NOBODY, "type": "event", "match": {"a": "b", "c": ["d", "e"]}, "match_related": {"f": "g"}, "after": ["b", "a", "b"],
        "expect": ["y", "x"], "for_each": ["k"], "posture": "Proactive", "threshold": "3", "within": 60,
    },
    "an id that is none": {**EVENT, "id": "x"},
    "thresholds": {**EVENT, "threshold": -5},
    "a threshold with a fraction": {**EVENT, "threshold": 1.5},
    "a threshold that is none": {**EVENT, "threshold": None},
    "many related": {**EVENT, "match_related": [{"a": "b"}, {"c": ["d"]}, {}]},
    "none related": {**EVENT, "match_related": []},
    "labels of numbers": {**EVENT, "match": {"a": 1}},
    "labels of lists of numbers": {**EVENT, "match": {"a": ["b", 1]}},
    "related labels of numbers": {**EVENT, "match_related": {"a": 1}},
    "many related labels of numbers": {**EVENT, "match_related": [{"a": "b"}, {"c": 1}, {"d": 2}]},
    "a match that is a list": {**EVENT, "match": []},
    "a match of null": {**EVENT, "match": None},
    "related to a number": {**EVENT, "match_related": 5},
    "related to numbers": {**EVENT, "match_related": [5, {"a": "b"}]},
    "events that are no list": {**EVENT, "expect": "x", "after": {}, "for_each": None},
    "events that are no texts": {**EVENT, "expect": [1]},
    "nested": {
        "type": "sequence", "within": 3, "triggers": [
            {"posture": "Proactive"}, {"type": "compound", "within": None, "triggers": [EVENT, {**EVENT, "within": "PT1S"}], "require": 2},
        ],
    },
    "nested with faults": {"type": "sequence", "within": 3, "triggers": [{"posture": "Proactive", "within": 5}, {"type": "compound", "triggers": [EVENT], "require": 2}]},
    "a sequence of nothing": {"type": "sequence", "within": None, "triggers": []},
    "a compound of nothing": {"type": "compound", "within": None, "triggers": [], "require": "all"},
    "a compound without a time": {"type": "compound", "require": "any", "triggers": [EVENT]},
    "a proactive compound": {"type": "compound", "posture": "Proactive", "require": "any", "triggers": [EVENT]},
    **{f"require {value!r}": {"type": "compound", "require": value, "within": 5, "triggers": [EVENT, EVENT]} for value in [0, -1, 1, 2, 3, "any", "all", "some", None, True, "1", 1.0, 1.5]},
    "a number": 5,
    "a text": "event",
    "an empty object": {},
}  # fmt: skip


@pytest.mark.parametrize("kind", TRIGGERS)
def test_triggers(pair: Pair, kind: str) -> None:
    answer = pair.check("POST", f"{PATH}/", automation("triggered", TRIGGERS[kind]))
    if answer.oracle.status_code == 201:
        pair.check("GET", f"{PATH}/{answer['id']}")


def about(thing: str) -> dict[str, Any]:
    field = f"{thing.replace('-', '_')}_id"
    return {
        f"{kind} {thing} {name}": {"type": f"{kind}-{thing}", **more}
        for kind in ("pause", "resume")
        for name, more in {
            "selected": {field: NOBODY},
            "inferred": {"source": "inferred"},
            "selected without an id": {},
            "inferred with an id": {"source": "inferred", field: NOBODY},
            "of a source that is none": {"source": "other", field: NOBODY},
            "of an id that is none": {field: "x"},
        }.items()
    }


PLACEHOLDERS: dict[str, Any] = {
    "templates": {"a": "{{ x }}", "b": {"c": "{% if x %}y{% endif %} {{ z }}"}, "d": 1, "e": None},
    "a broken expression": {"a": "{{ x"},
    "a broken block": {"a": {"b": "{% if %}"}, "c": "{% d"},
    "broken ones in lists": {"a": ["{{", {"b": "{{"}, {"__prefect_kind": "jinja", "template": "{{"}]},
    "too many loops": {"a": "{% for a in x %}{% endfor %}" * 11},
    "a broken template": {"a": {"__prefect_kind": "jinja", "template": "{{ x"}},
    "a template of nothing": {"a": {"__prefect_kind": "jinja"}},
    "broken json": {"a": {"__prefect_kind": "json", "value": "{x"}},
    "json of nothing": {"a": {"__prefect_kind": "json"}},
    "json of a template": {"a": {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "{{ x }"}}},
    "a variable": {"a": {"__prefect_kind": "workspace_variable", "variable_name": "nobody"}},
    "a variable of nothing": {"a": {"__prefect_kind": "workspace_variable"}},
    "none of nothing": {"a": {"__prefect_kind": "none"}},
    "none of something": {"a": {"__prefect_kind": "none", "value": "{{"}},
    "an unknown kind": {"a": {"__prefect_kind": "other"}},
    "a placeholder for all": {"__prefect_kind": "json", "value": '{"a": 1}'},
    "a broken placeholder for all": {"__prefect_kind": "json", "value": "{x"},
    "a list for all": {"__prefect_kind": "json", "value": "[1]"},
}
TEMPLATES = ["", "plain", "{{ event.id }}", "{{", "{% if %}", "{{ x | unknown_filter }}", "{% for a in x %}" * 3 + "{% endfor %}" * 3, None, 5]
ACTIONS: dict[str, Any] = {
    "of nothing": {},
    "of an unknown type": {"type": "other"},
    "a number": 5,
    "null": None,
    "nothing with more": {"type": "do-nothing", "unknown": 1},
    **{f"only {name}": {name: value} for name, value in {"source": "inferred", "deployment_id": NOBODY, "work_pool_id": NOBODY, "work_queue_id": NOBODY, "automation_id": NOBODY, "block_document_id": NOBODY, "state": "FAILED", "body": "x"}.items()},
    "a run": RUN,
    "a run of everything": {**RUN, "source": "selected", "parameters": {"a": [1, {"b": None}]}, "job_variables": {}, "schedule_after": "PT5S"},
    "an inferred run": {"type": "run-deployment", "source": "inferred"},
    "a run of nothing": {"type": "run-deployment"},
    "an inferred run with an id": {**RUN, "source": "inferred"},
    **{f"a run after {value!r}": {**RUN, "schedule_after": value} for value in [0, 5.5, "00:01:00", -1, "-PT5S", "30", "", None, []]},
    **{f"a run with {name}": {**RUN, "parameters": parameters} for name, parameters in PLACEHOLDERS.items()},
    **{f"a run with parameters of {value!r}": {**RUN, "parameters": value} for value in [{}, None, [], "x"]},
    "a run with large integers": {**RUN, "parameters": {"a": 2**70, "b": [-(10**30)], "c": "{{ x }}"}},
    "a run with job variables that are none": {**RUN, "job_variables": []},
    "job variables of an inferred run": {"type": "run-deployment", "source": "inferred", "job_variables": {"a": 1}},
    **about("deployment"),
    **about("work-pool"),
    **about("work-queue"),
    **about("automation"),
    **{kind: {"type": kind} for kind in ("cancel-flow-run", "delete-flow-run", "suspend-flow-run", "resume-flow-run")},
    "a state": {"type": "change-flow-run-state", "state": "PAUSED"},
    "a state of everything": {"type": "change-flow-run-state", "state": "FAILED", "name": "n", "message": "m", "force": "yes"},
    "a state of nulls": {"type": "change-flow-run-state", "state": "FAILED", "name": None, "message": None, "force": None},
    "no state": {"type": "change-flow-run-state"},
    "a state that is none": {"type": "change-flow-run-state", "state": "Failed"},
    "a notification": {"type": "send-notification", "block_document_id": NOBODY, "subject": "s", "body": "b"},
    "a notification without a subject": {"type": "send-notification", "block_document_id": NOBODY, "body": "b"},
    "a notification without a body": {"type": "send-notification", "block_document_id": NOBODY},
    "a notification by nobody": {"type": "send-notification", "body": "b"},
    **{f"a body of {text!r}": {"type": "send-notification", "block_document_id": NOBODY, "body": text} for text in TEMPLATES},
    **{f"a subject of {text!r}": {"type": "send-notification", "block_document_id": NOBODY, "body": "b", "subject": text} for text in TEMPLATES},
    **{f"a payload of {text!r}": {"type": "call-webhook", "block_document_id": NOBODY, "payload": text} for text in TEMPLATES},
    **{
        f"a payload of {value!r}": {"type": "call-webhook", "block_document_id": NOBODY, "payload": value}
        for value in [{"message": "{{ a }}"}, {"message": "é\n{{"}, [1, 2.5, None, True], {"a": {}, "b": [], "c": [[1]]}, 5, True]
    },
    **{f"a payload of {value!r}": {"type": "call-webhook", "block_document_id": NOBODY, "payload": value} for value in [2**64 - 1, {"a": 2**63}]},
    "a webhook": {"type": "call-webhook", "block_document_id": NOBODY},
    "a webhook of nobody": {"type": "call-webhook"},
}  # fmt: skip


@pytest.mark.parametrize("kind", ACTIONS)
def test_actions(pair: Pair, kind: str) -> None:
    answer = pair.check("POST", f"{PATH}/", automation("acting", actions=[ACTIONS[kind]]))
    if answer.oracle.status_code == 201:
        pair.check("GET", f"{PATH}/{answer['id']}")


def test_actions_of_each_list(pair: Pair) -> None:
    for where in ("actions", "actions_on_trigger", "actions_on_resolve"):
        pair.check("POST", f"{PATH}/", {**automation(), where: [RUN, NOTHING, {"type": "cancel-flow-run"}]})
        pair.check("POST", f"{PATH}/", {**automation(), where: [{"type": "pause-work-pool"}]})
        pair.check("POST", f"{PATH}/", {**automation(), where: {}})


EVERY_RUN = {"prefect.resource.id": "prefect.flow-run.*"}
LOOPS: dict[str, dict[str, Any]] = {
    "of all runs": {},
    "of all runs by name": {"match": EVERY_RUN},
    "of some runs": {"match": {"prefect.resource.id": "prefect.flow-run.*", "a": "b"}},
    "of related ones": {"match_related": {"a": "b"}},
    "of related ones and all": {"match_related": [{"a": "b"}, EVERY_RUN]},
    "of no related ones": {"match_related": []},
    "of all ends": {"expect": ["prefect.flow-run.Failed"]},
    "of a wildcard": {"expect": ["x", "prefect.flow-run.*"]},
    "of a wider wildcard": {"expect": ["prefect.*"]},
    "of absence": {"posture": "Proactive"},
}


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("action", [RUN, {"type": "run-deployment", "source": "inferred"}, {"type": "pause-deployment", "source": "inferred"}], ids=["selected", "inferred", "pause"])
def test_runs_without_end(pair: Pair, kind: str, action: Any) -> None:
    trigger = {**EVENT, "expect": ["prefect.flow-run.Running"], **LOOPS[kind]}
    pair.check("POST", f"{PATH}/", automation("loop", trigger, [NOTHING, action]))
    id = add(pair, "loop", trigger, [action], enabled=False)
    pair.check("PATCH", f"{PATH}/{id}", {"enabled": True})
    pair.check("PATCH", f"{PATH}/{id}", {})
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PUT", f"{PATH}/{id}", automation("loop", trigger, [action]))
    nested = {"type": "sequence", "within": None, "triggers": [trigger]}
    pair.check("PUT", f"{PATH}/{id}", automation("loop", nested, [action]))
    pair.check("PUT", f"{PATH}/{id}", automation("loop", trigger, [], actions_on_trigger=[action]))


UPDATES: dict[str, Any] = {
    "least": automation("new"),
    "most": automation("new", {"posture": "Proactive"}, [RUN], description="d", enabled=False, tags=["z"], actions_on_trigger=[NOTHING], actions_on_resolve=[NOTHING]),
    "an owner": automation(owner_resource="x"),
    "a part": {"name": "new"},
    "a trigger that is none": automation(trigger={}),
    "nothing": {},
}


@pytest.mark.parametrize("kind", UPDATES)
def test_update(pair: Pair, kind: str) -> None:
    id = add(pair, "old", EVENT, [NOTHING, NOTHING], description="old", tags=["t"], enabled=False)
    pair.check("PUT", f"{PATH}/{id}", UPDATES[kind])
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PUT", f"{PATH}/{NOBODY}", UPDATES[kind])


@pytest.mark.parametrize("body", [{"enabled": False}, {"enabled": True}, {"enabled": "off"}, {}, {"enabled": None}, {"name": "x"}, [], None], ids=str)
def test_patch(pair: Pair, body: Any) -> None:
    id = add(pair)
    pair.check("PATCH", f"{PATH}/{id}", body)
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{NOBODY}", body)


def test_delete(pair: Pair) -> None:
    id = add(pair)
    for which in (id, id, NOBODY, "no-id"):
        pair.check("DELETE", f"{PATH}/{which}")
        pair.check("GET", f"{PATH}/{which}")


def test_triggers_get_new_ids(pair: Pair) -> None:
    nested = {"id": NOBODY, "type": "sequence", "within": None, "triggers": [{**EVENT, "id": NOBODY}]}
    id = add(pair, trigger=nested)

    def ids() -> list[set[str]]:
        answer = pair.check("GET", f"{PATH}/{id}")
        triggers = [response.json()["trigger"] for response in (answer.oracle, answer.subject)]
        return [{trigger["id"], trigger["triggers"][0]["id"]} for trigger in triggers]

    first = ids()
    pair.check("PATCH", f"{PATH}/{id}", {"enabled": False})
    assert ids() == first
    pair.check("PUT", f"{PATH}/{id}", automation(trigger=nested))
    for before, after in zip(first, ids(), strict=True):
        assert len({NOBODY} | before | after) == 5


def test_changes_are_told(pair: Pair) -> None:
    id = add(pair, "told", EVENT, [RUN], owner_resource="mine", tags=["t"])
    pair.prepare("PATCH", f"{PATH}/{id}", {"enabled": False})
    pair.prepare("PUT", f"{PATH}/{id}", automation("told anew"))
    pair.prepare("PATCH", f"{PATH}/{id}", {"enabled": True})
    pair.prepare("DELETE", f"{PATH}/{id}")
    wanted = {"filter": {"resource": {"id": [f"prefect.automation.{id}"]}, "order": "ASC"}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda body: body["total"] == 5)


def test_no_event_tells_of_what_goes_with_its_owner(pair: Pair) -> None:
    id = add(pair, owner_resource="quiet-owner")
    pair.check("DELETE", f"{PATH}/owned-by/quiet-owner")
    later = add(pair, "later")
    told = {"filter": {"resource": {"id": [f"prefect.automation.{later}"]}}}
    pair.eventually("POST", "/events/filter", told, until=lambda body: body["total"] == 1)
    wanted = {"filter": {"resource": {"id": [f"prefect.automation.{id}"]}}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda body: body["total"] == 1)


@pytest.mark.parametrize(
    "resource",
    [f"prefect.deployment.{NOBODY[:-1]}f", "x", "a%20b", "%C3%BC", "prefect.deployment.*", "%25", "a/b", "y" * 3000],
)
def test_nothing_is_related(pair: Pair, resource: str) -> None:
    pair.check("GET", f"{PATH}/related-to/{resource}")
    pair.check("DELETE", f"{PATH}/owned-by/{resource}")


def test_without_a_resource(pair: Pair) -> None:
    for kind in ("related-to", "owned-by"):
        for method in ("GET", "DELETE"):
            pair.check(method, f"{PATH}/{kind}/")
            pair.check(method, f"{PATH}/{kind}")


def test_another_method(pair: Pair) -> None:
    pair.check("PUT", f"{PATH}/related-to/prefect.deployment.{NOBODY}", {})
    pair.check("GET", f"{PATH}/owned-by/prefect.deployment.{NOBODY}")


def related(pair: Pair, *deployments: int, resource: str = "") -> None:
    for resource in [resource] if resource else [deployment(number) for number in deployments]:
        pair.check("GET", f"{PATH}/related-to/{resource}", view=sorted_by("name"))


def deployment(number: int) -> str:
    return f"prefect.deployment.bbbbbbbb-0000-4000-8000-{number:012}"


def runs(number: int) -> dict[str, Any]:
    return {"type": "run-deployment", "deployment_id": deployment(number).removeprefix("prefect.deployment.")}


def test_relations_follow_the_actions(pair: Pair) -> None:
    id = add(pair, "related", EVENT, [runs(1), runs(1), runs(2)], actions_on_trigger=[runs(3)])
    add(pair, "related too", EVENT, [runs(2), {"type": "pause-deployment", "deployment_id": runs(4)["deployment_id"]}])
    related(pair, 1, 2, 3, 4)
    pair.check("PUT", f"{PATH}/{id}", automation("related", EVENT, [runs(3)]))
    related(pair, 1, 2, 3)
    pair.check("PATCH", f"{PATH}/{id}", {"enabled": False})
    related(pair, 3)
    pair.check("DELETE", f"{PATH}/{id}")
    related(pair, 1, 2, 3)


def test_what_a_resource_owns(pair: Pair) -> None:
    owner = deployment(9)
    add(pair, "owned", EVENT, [runs(8)], owner_resource=owner)
    add(pair, "owned and running it", EVENT, [runs(9)], owner_resource=owner)
    id = add(pair, "running it", EVENT, [runs(9)], owner_resource="other")
    related(pair, 8, 9)
    pair.check("PUT", f"{PATH}/{id}", automation("running it", EVENT, [runs(9), runs(8)]))
    pair.check("DELETE", f"{PATH}/owned-by/{owner}")
    related(pair, 8, 9)
    related(pair, resource="other")
    pair.check("GET", f"{PATH}/{id}")
    pair.check("DELETE", f"{PATH}/owned-by/{owner}")


def test_an_owner_stays_when_an_automation_is_written_anew(pair: Pair) -> None:
    id = add(pair, "kept", EVENT, [runs(6)], owner_resource=deployment(6))
    pair.check("PUT", f"{PATH}/{id}", automation("kept"))
    related(pair, 6)
    pair.check("DELETE", f"{PATH}/owned-by/{deployment(6)}")
    pair.check("GET", f"{PATH}/{id}")


def test_a_deleted_deployment_leaves_its_automations(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "automated"})["id"]
    pair.prepare("POST", "/deployments/", {"name": "automated", "flow_id": flow}, name="automated")
    resource = "prefect.deployment.@automated@"
    add(pair, "of the deployment", EVENT, [{"type": "run-deployment", "deployment_id": "@automated@"}], owner_resource=resource)
    related(pair, resource=resource)
    pair.prepare("DELETE", "/deployments/@automated@")
    related(pair, resource=resource)
    pair.prepare("DELETE", f"/flows/{flow}")


TEMPLATE = {
    "job_configuration": {"image": "{{ image }}"},
    "variables": {
        "type": "object",
        "properties": {"image": {"type": "string"}, "cpus": {"type": "integer", "default": 1}},
        "required": ["image"],
    },
}


def test_job_variables_fit_the_pool(pair: Pair) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "with-variables"})["id"]
    pair.prepare("POST", "/work_pools/", {"name": "automated-pool", "type": "test", "base_job_template": TEMPLATE})
    for name, more in {
        "with-pool": {"work_pool_name": "automated-pool"},
        "with-variables": {"work_pool_name": "automated-pool", "job_variables": {"image": "i"}},
        "without-pool": {},
    }.items():
        pair.prepare("POST", "/deployments/", {"name": name, "flow_id": flow, **more}, name=name)
        id = add(pair)
        for variables in (None, {}, {"image": "i"}, {"image": 1}, {"cpus": 2}, {"image": "i", "cpus": "many"}, {"image": "i", "other": 1}):
            action = {"type": "run-deployment", "deployment_id": f"@{name}@", "job_variables": variables}
            pair.check("POST", f"{PATH}/", automation(actions=[action]))
            pair.check("POST", f"{PATH}/", automation(actions=[NOTHING, action, action]))
            pair.check("PUT", f"{PATH}/{id}", automation(actions=[action]))
    for variables in ({}, {"a": 1}):
        pair.check("POST", f"{PATH}/", automation(actions=[{**RUN, "job_variables": variables}]))
        pair.check("PUT", f"{PATH}/{id}", automation(actions=[{**RUN, "job_variables": variables}]))
        pair.check("PUT", f"{PATH}/{NOBODY}", automation(actions=[{**RUN, "job_variables": variables}]))


FILTERS: Filters = {
    "empty": {},
    "id": {"id": {"any_": ["@auto.a@", "@auto.c@", NOBODY]}},
    "id any of nothing": {"id": {"any_": []}},
    "id empty": {"id": {}},
    "name": {"name": {"any_": ["a one", "same", "nobody"]}},
    "name any of nothing": {"name": {"any_": []}},
    "name in other case": {"name": {"any_": ["A ONE"]}},
    "name empty": {"name": {}},
    "created before": {"created": {"before_": "2999-01-01T00:00:00Z"}},
    "created before long ago": {"created": {"before_": "1999-01-01T00:00:00Z"}},
    "created empty": {"created": {}},
    "tags all": {"tags": {"all_": ["x"]}},
    "tags all of two": {"tags": {"all_": ["x", "y"]}},
    "tags all of nothing": {"tags": {"all_": []}},
    "tags any": {"tags": {"any_": ["y", "z"]}},
    "tags any of nothing": {"tags": {"any_": []}},
    "tags are null": {"tags": {"is_null_": True}},
    "tags are not null": {"tags": {"is_null_": False}},
    "tags all or null": {"tags": {"operator": "or_", "all_": ["y"], "is_null_": True}},
    "name and tags": {"operator": "and_", "name": {"any_": ["a one"]}, "tags": {"all_": ["x"]}},
    "name or tags": {"operator": "or_", "name": {"any_": ["b two"]}, "tags": {"all_": ["y"]}},
    "id or name": {"operator": "or_", "id": {"any_": ["@auto.a@"]}, "name": {"any_": ["b two"]}},
    "id and name": {"id": {"any_": ["@auto.a@"]}, "name": {"any_": ["b two"]}},
    "or of one empty part": {"operator": "or_", "name": {"any_": ["b two"]}, "id": {}},
    "or of nothing": {"operator": "or_"},
    "unknown field": {"enabled": {}},
    "unknown clause": {"id": {"not_any_": []}},
    "no id": {"id": {"any_": ["x"]}},
    "no time": {"created": {"before_": "x"}},
    "null": {"name": None},
}
SORTS = ["CREATED_DESC", "UPDATED_DESC", "NAME_DESC", "NAME_ASC"]


@pytest.fixture(scope="module")
def few_automations() -> Iterator[Pair]:
    """A few automations on servers that nothing else writes to."""
    with asked_side_by_side() as pair:
        for key, name, tags in (("c", "c three", ["y"]), ("a", "a one", ["x", "y"]), ("d", "Same", []), ("b", "b two", ["x"])):
            pair.prepare("POST", f"{PATH}/", automation(name, tags=tags), name=f"auto.{key}")
        pair.prepare("PATCH", f"{PATH}/@auto.a@", {"enabled": False})
        yield pair


@pytest.fixture
def dataset(few_automations: Pair, request: pytest.FixtureRequest) -> Pair:
    few_automations.test = request.node.nodeid
    return few_automations


@pytest.mark.parametrize("name", FILTERS)
def test_filter(dataset: Pair, name: str) -> None:
    dataset.check("POST", f"{PATH}/count", {"automations": FILTERS[name]})
    for sort in SORTS:
        dataset.check("POST", f"{PATH}/filter", {"automations": FILTERS[name], "sort": sort})


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("filter", [None, {"tags": {"is_null_": False}}, {"name": {"any_": ["Same", "b two"]}}], ids=str)
def test_pages(dataset: Pair, sort: str, filter: Any) -> None:
    for window in ({"limit": 2}, {"limit": 2, "offset": 1}, {"offset": 3}, {"offset": 9}, {"limit": 0}):
        dataset.check("POST", f"{PATH}/filter", {"automations": filter, "sort": sort, **window})


@pytest.mark.parametrize(
    "body",
    [{}, {"limit": 201}, {"limit": -1}, {"offset": -1}, {"limit": None}, {"sort": "x"}, {"sort": None}, {"automations": []}, {"unknown": 1}, None, []],
    ids=str,
)
def test_query_requests(dataset: Pair, body: Any) -> None:
    dataset.check("POST", f"{PATH}/filter", body)
    dataset.check("POST", f"{PATH}/count", body)


def test_bounds_are_told(pair: Pair) -> None:
    for body in (automation(description="x" * 210_000), automation(actions=[runs(number) for number in range(46)])):
        answer = httpx.post(f"{pair.subject.url}{PATH}/", json=body, timeout=60)
        assert (answer.status_code, answer.json()["exception_detail"][0]["type"]) == (422, "budget_exceeded")


def test_an_automation_is_written_by_one_at_a_time(pair: Pair) -> None:
    url = f"{pair.subject.url}{PATH}"
    id = httpx.post(f"{url}/", json=automation("raced"), timeout=60).json()["id"]

    def run(number: int) -> int:
        return httpx.put(f"{url}/{id}", json=automation("raced", actions=[runs(100 + number)]), timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(8))) == {204}
    found = [number for number in range(8) if httpx.get(f"{url}/related-to/{deployment(100 + number)}", timeout=60).json()]
    action = httpx.get(f"{url}/{id}", timeout=60).json()["actions"][0]
    assert [runs(100 + number)["deployment_id"] for number in found] == [action["deployment_id"]]
