"""Resuming paused flow runs, with the input that they wait for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Answer, Pair

SCHEMA = {
    "title": "Answer",
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Name"},
        "age": {"type": "integer", "minimum": 3},
        "opt": {"type": "string", "default": None},
        "free": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2, "minItems": 1},
        "one": {"enum": ["a", "b"]},
        "nested": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]},
        "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "object": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "integer"}]},
        "inner": {"$ref": "#/$defs/Inner"},
        "pattern": {"type": "string", "pattern": "^a+$", "maxLength": 3},
        "date": {"type": "string", "format": "date"},
        "number": {"type": "number", "exclusiveMinimum": 0, "maximum": 10, "multipleOf": 0.5},
        "several": {"type": ["integer", "boolean"]},
        "constant": {"const": 1},
        "distinct": {"type": "array", "uniqueItems": True},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1},
        "with space": {"type": "integer"},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
    "$defs": {"Inner": {"type": "object", "properties": {"y": {"type": "integer"}}, "required": ["y"]}},
}
KEYS = {"schema": "s", "response": "r", "description": "d"}


class Paused:
    """A paused flow run on both servers."""

    def __init__(
        self,
        pair: Pair,
        schema: Any = None,
        *,
        text: str | None = None,
        keys: dict[str, str] | None = None,
        force: bool = False,
        **details: Any,
    ) -> None:
        flow = pair.prepare("POST", "/flows/", {"name": "resume"})
        self.pair = pair
        self.path = f"/flow_runs/{pair.prepare('POST', '/flow_runs/', {'flow_id': flow['id'], 'name': 'run'})['id']}"
        self.set("RUNNING")
        if text is not None or schema is not None:
            self.pair.prepare("POST", f"{self.path}/input", {"key": "s", "value": text or json.dumps(schema)})
        details = {"pause_timeout": "2040-01-01T00:00:00Z", "run_input_keyset": keys, **details}
        self.set("PAUSED", force=force, state_details=details)

    def set(self, type: str, *, force: bool = False, **state: Any) -> None:
        self.pair.prepare("POST", f"{self.path}/set_state", {"state": {"type": type, **state}, "force": force})

    def resume(self, *body: Any, view: Any = lambda body: body) -> Answer:
        answer = self.pair.check("POST", f"{self.path}/resume", *body, view=view)
        self.pair.check("GET", self.path)
        self.pair.check("GET", f"{self.path}/input/r")
        return answer


def test_without_input(pair: Pair) -> None:
    run = Paused(pair)
    run.resume()
    run.resume()
    pair.check("GET", "/flow_run_states/", params={"flow_run_id": run.path.removeprefix("/flow_runs/")})


@pytest.mark.parametrize(
    "body", [{}, None, {"run_input": None}, {"run_input": {}}, {"run_input": {"a": 1}}, {"x": 1}], ids=str
)
def test_input_that_nobody_waits_for(pair: Pair, body: Any) -> None:
    Paused(pair).resume(body)


@pytest.mark.parametrize("body", [[], "text", 1, {"run_input": 5}, {"run_input": []}, {"run_input": "{}"}], ids=str)
def test_malformed_body(pair: Pair, body: Any) -> None:
    Paused(pair, SCHEMA, keys=KEYS).resume(body)


@pytest.mark.parametrize("type", ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLING", "CANCELLED"])
def test_run_that_is_not_paused(pair: Pair, type: str) -> None:
    run = Paused(pair)
    run.set(type, force=True)
    run.resume({"run_input": {"a": 1}})


def test_unknown_run(pair: Pair) -> None:
    pair.check("POST", f"/flow_runs/{NOBODY}/resume")
    pair.check("POST", "/flow_runs/not-a-uuid/resume")


def test_suspended(pair: Pair) -> None:
    run = Paused(pair, SCHEMA, keys=KEYS, force=True, pause_reschedule=True)
    run.resume({"run_input": {"name": "n"}})
    # It has no deployment that could start it anew.
    run.resume({"run_input": {"name": "n", "age": 3}})


def test_after_the_timeout(pair: Pair) -> None:
    run = Paused(pair, SCHEMA, keys=KEYS, pause_timeout="2021-01-01T00:00:00Z")
    run.resume({"run_input": {"name": "n", "age": 3}})


def test_second_resumption(pair: Pair) -> None:
    run = Paused(pair, SCHEMA, keys=KEYS)
    for input in ({"name": "n"}, {"name": "n", "age": 4}, {"name": "m", "age": 5}):
        run.resume({"run_input": input})


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"name": "ü\n'\"✓"},
        {"age": 5.0},
        {"age": 2},
        {"age": 5.5},
        {"age": "x", "name": 1},
        {"age": None},
        {"free": None},
        {"free": 1},
        {"opt": None},
        {"zz": 1},
        {"zz": 1, "yy": 2, "it's": 3},
        {"tags": ["a", 2]},
        {"tags": ["a", "b", "c"]},
        {"tags": []},
        {"tags": "a"},
        {"one": "c"},
        {"one": "b"},
        {"nested": {}},
        {"nested": {"x": "y"}},
        {"either": "q"},
        {"either": [1.0, True, None, "it's", {"a": "b"}, 1e22, 1e-7]},
        {"either": None},
        {"object": {"y": "x"}},
        {"object": {}},
        {"object": "x"},
        {"inner": {"y": 1}},
        {"inner": {"y": []}},
        {"pattern": "b"},
        {"pattern": "aaaa"},
        {"date": "no date"},
        {"number": 0},
        {"number": 10.5},
        {"number": 0.3},
        {"several": "x"},
        {"several": True},
        {"constant": 2},
        {"distinct": [1, 1]},
        {"map": {}},
        {"map": {"a": "b", "c": "d"}},
        {"with space": "x"},
    ],
    ids=lambda more: str(more)[:60],
)
def test_validation(pair: Pair, more: dict[str, Any]) -> None:
    Paused(pair, SCHEMA, keys=KEYS).resume({"run_input": {"name": "n", "age": 5, **more}})


@pytest.mark.parametrize("input", [None, {}, {"name": "n"}, {"age": 3}], ids=str)
def test_missing_input(pair: Pair, input: Any) -> None:
    Paused(pair, SCHEMA, keys=KEYS).resume({"run_input": input})


def placeholder(kind: str | None, **more: Any) -> dict[str, Any]:
    return {"__prefect_kind": kind, **more}


@pytest.mark.parametrize(
    "input",
    [
        {"a": placeholder("json", value='{"b": [1, null, 1.5, "ü"]}')},
        {"a": placeholder("json", value="{")},
        {"a": placeholder("json", value="")},
        {"a": placeholder("json", value="[1,\n 2,]")},
        {"a": placeholder("json", value=5)},
        {"a": placeholder("json", value=placeholder("json", value='"[1]"'))},
        {"a": placeholder("json"), "b": 1},
        {"a": [placeholder("json"), 1]},
        placeholder("json", value='{"a": 1}'),
        placeholder("json"),
        {"a": placeholder("none", value=[placeholder("json")])},
        {"a": placeholder("none")},
        {"a": placeholder("other", value=3)},
        {"a": placeholder("other")},
        {"a": placeholder(None, value=3)},
        {"a": placeholder("workspace_variable", variable_name="nobody")},
        {"a": placeholder("workspace_variable", variable_name=5)},
        {"a": placeholder("workspace_variable"), "b": 1},
        {"a": placeholder("jinja")},
        {"a": placeholder("jinja", template="plain }} text")},
        {"a": placeholder("jinja", template="{{ 1 + 1 }} {{ x }}{{ x.y.z }}{{ true }}{{ none }}")},
        {"a": placeholder("jinja", template="{{ [1, 'a', {'b': 1.5}] }}{{ 'a' | upper }}{{ 7 // 2 }}{{ 'x' ~ 1 }}")},
        {
            "a": placeholder(
                "jinja",
                template="{% for i in range(3) %}{{ loop.index }}{% endfor %}{% if x %}y{% else %}n{% endif %}\n",
            )
        },
        {
            "a": placeholder(
                "jinja", template="{% set a = [3, 1] %}{{ a | sort | join(',') }}{{ a | length }}{{ a | first }}"
            )
        },
        {"a": placeholder("jinja", template="{% for i in range(200) %}{% endfor %}")},
        {"a": placeholder("jinja", template="{% for i in x %}{% endfor %}" * 11)},
        {"a": placeholder("jinja", template="{% for i in x %}" * 3 + "{% endfor %}" * 3)},
        {"a": placeholder("jinja", template=placeholder("json", value='"{{ 2 * 3 }}"'))},
    ],
    ids=lambda input: str(input)[:80],
)
def test_hydration(pair: Pair, input: Any) -> None:
    Paused(pair, {}, keys=KEYS).resume({"run_input": input})


def without_the_engine_s_words(body: Any) -> Any:
    """Cuts what the template engine says after what the server says."""
    if isinstance(body, dict) and "reason" in body.get("details", {}):
        body["details"]["reason"] = body["details"]["reason"].split("Invalid jinja:")[0]
    return body


@pytest.mark.parametrize("template", ["{{ 1", "{% for %}", "{{ 1 / 0 }}", "{{ 'a' | nobody }}", "{% nobody %}"])
def test_wrong_template(pair: Pair, template: str) -> None:
    input = {"a": placeholder("jinja", template=template)}
    Paused(pair, {}, keys=KEYS).resume({"run_input": input}, view=without_the_engine_s_words)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#/definitions/a"}], "definitions": {"a": {"$ref": "#/definitions/a"}}},
        {"$ref": "#/definitions/x"},
        {"$ref": "http://127.0.0.1:1/x"},
        {"type": "strin"},
        {"type": "array"},
        {"required": ["b"], "properties": {"a": {"type": "string"}}},
        {"properties": {"a": {"type": "string"}}},
        {
            "properties": {"a": {"$ref": "#/definitions/d"}},
            "definitions": {"d": {"properties": {"b": {"type": "string"}}}},
        },
        {"oneOf": [{"required": ["a"]}, {"properties": {"a": {"type": "integer"}}}]},
        {"oneOf": [{"required": ["b"]}, {"required": ["c"]}]},
        {"anyOf": [{"required": ["b"]}, {"properties": {"a": {"type": "string"}}, "required": ["a"]}]},
        {"not": {"required": ["a"]}},
        {"minProperties": 2},
        {"maxProperties": 0},
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}},
        [],
        True,
        "text",
    ],
    ids=str,
)
def test_schema(pair: Pair, schema: Any) -> None:
    Paused(pair, schema, keys=KEYS).resume({"run_input": {"a": 1}})


def test_schema_that_is_not_there(pair: Pair) -> None:
    Paused(pair, keys=KEYS).resume({"run_input": {"a": 1}})


def test_schema_that_is_no_json(pair: Pair) -> None:
    Paused(pair, text="nope", keys=KEYS).resume({"run_input": {"a": 1}})


@pytest.mark.parametrize("input", [{}, {"a": 1}], ids=str)
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"schema": "s"},
        {"response": "r"},
        {"schema": "S s", "response": "r"},
        {"schema": "s", "response": "R"},
        {"schema": "s", "response": "s"},
    ],
    ids=str,
)
def test_keys(pair: Pair, keys: dict[str, str], input: dict[str, Any]) -> None:
    Paused(pair, {}, keys=keys).resume({"run_input": input})
