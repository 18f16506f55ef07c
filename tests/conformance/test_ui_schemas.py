"""What the web interface is told of a form: everything that is wrong with values, property by property."""

from __future__ import annotations

from typing import Any

import pytest

from .side_by_side import Pair

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Parameters",
    "properties": {
        "name": {"type": "string", "position": 0},
        "age": {"type": "integer", "minimum": 3, "exclusiveMaximum": 200, "multipleOf": 2},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 2}, "maxItems": 3, "uniqueItems": True},
        "e": {"enum": ["a", "b", 1, None]},
        "const": {"const": {"a": [1]}},
        "nested": {
            "type": "object",
            "properties": {
                "x": {"type": "number"},
                "deep": {"properties": {"y": {"type": "boolean"}}, "required": ["y"]},
            },
            "required": ["x", "deep"],
        },
        "u": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
        "one": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
        "all": {"allOf": [{"type": "string"}, {"maxLength": 3}, {"pattern": "^a"}]},
        "p": {"type": "string", "pattern": "^a+$", "default": "a"},
        "opt": {"type": "string", "default": None},
        "null": {"type": "null"},
        "pair": {"type": "array", "items": [{"type": "integer"}, {"type": "string"}], "minItems": 2},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2},
        "pattern": {"patternProperties": {"^x": {"type": "integer"}, "y$": {"type": "string"}}},
        "ref": {"$ref": "#/definitions/Model"},
        "models": {"type": "array", "items": {"$ref": "#/definitions/Model"}},
        "maybe": {"anyOf": [{"$ref": "#/definitions/Model"}, {"type": "null"}]},
        "block": {"$ref": "#/definitions/Block"},
        "not": {"not": {"type": "string"}},
        "if": {"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"type": "integer"}},
        "contains": {"contains": {"type": "integer"}},
        "matrix": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
    },
    "required": ["name", "age"],
    "definitions": {
        "Model": {
            "type": "object",
            "title": "Model",
            "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "integer"}}},
            "required": ["a"],
            "additionalProperties": False,
        },
        "Block": {
            "title": "Block",
            "type": "object",
            "block_type_slug": "block",
            "properties": {"v": {"type": "integer"}},
        },
    },
}
GOOD = {"name": "n", "age": 4}

VALUES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "good": GOOD,
    "wrong types": {"name": 1, "age": "x"},
    "one missing": {"name": "n"},
    "several faults of a value": GOOD | {"age": 201},
    "too small": GOOD | {"age": 1},
    "a whole float": GOOD | {"age": 4.0},
    "a fraction": GOOD | {"age": 4.5},
    "items": GOOD | {"tags": ["ab", 2, "c", None]},
    "too many items": GOOD | {"tags": ["ab", "ab", "cd", "ef"]},
    "enum": GOOD | {"e": "c"},
    "const": GOOD | {"const": {"a": 1}},
    "nested empty": GOOD | {"nested": {}},
    "nested wrong": GOOD | {"nested": {"x": "y", "deep": {}}},
    "nested deep": GOOD | {"nested": {"x": 1, "deep": {"y": 1}}},
    "nested no object": GOOD | {"nested": 5},
    "any of": GOOD | {"u": "q"},
    "one of both": GOOD | {"one": 1},
    "one of neither": GOOD | {"one": "x"},
    "all of": GOOD | {"all": "bcde"},
    "all of another type": GOOD | {"all": 5},
    "pattern": GOOD | {"p": "b"},
    "null without default": GOOD | {"tags": None, "all": None, "nested": None},
    "null with default": GOOD | {"opt": None, "p": None},
    "null wanted": GOOD | {"null": 0},
    "pair": GOOD | {"pair": ["x", 1, 2]},
    "short pair": GOOD | {"pair": []},
    "map": GOOD | {"map": {"a": 2, "b": 1, "c": "y"}},
    "empty map": GOOD | {"map": {}},
    "pattern properties": GOOD | {"pattern": {"y": 1, "x": "1", "xy": None}},
    "reference": GOOD | {"ref": {"b": [1, "x"], "c": 1, "d": 2}},
    "models": GOOD | {"models": [{"a": 1}, {}, {"a": "x", "b": ["y", 2, "z"]}]},
    "maybe a model": GOOD | {"maybe": {"a": "x"}},
    "maybe null": GOOD | {"maybe": None},
    "block": GOOD | {"block": {"v": "x"}},
    "block by reference": GOOD | {"block": {"$ref": "no uuid"}},
    "block by id": GOOD | {"block": {"$ref": "00000000-0000-4000-8000-00000000dead"}},
    "not": GOOD | {"not": "x"},
    "then": GOOD | {"if": "x"},
    "else": GOOD | {"if": 1.5},
    "contains": GOOD | {"contains": ["x"]},
    "matrix": GOOD | {"matrix": [[1], ["x", 2, "y"], 5, [None]]},
    "unknown": GOOD | {"zz": 1},
    "order of values": {"matrix": 1, "tags": 1, "e": 1.5, "age": None, "name": None},
    "everything": {"name": 1, "age": 1, "tags": 1, "nested": {"x": "x"}, "u": "x", "all": 5, "pair": [1], "not": ""},
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_values(pair: Pair, values: dict[str, Any]) -> None:
    pair.check("POST", "/ui/schemas/validate", {"schema": SCHEMA, "values": values})


FORMATS = [
    "date", "time", "date-time", "email", "uuid", "ipv4", "ipv6", "regex", "hostname", "uri", "duration",
    "json-pointer", "relative-json-pointer", "idn-email", "uri-reference", "unknown",
]  # fmt: skip
KEYWORDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "no schema": ({}, {"a": 1}),
    "keywords in another order": ({"required": ["b"], "properties": {"a": {"maximum": 1, "type": "string"}}}, {"a": 2}),
    "additional first": (
        {"additionalProperties": False, "properties": {"a": {"type": "string"}}, "required": ["c"]},
        {"a": 2, "b": 1},
    ),
    "additional last": (
        {"properties": {"a": {"type": "string"}}, "additionalProperties": False},
        {"a": 2, "b": 1, "c": 2},
    ),
    "no object": ({"type": "array"}, {}),
    "a name with a space": ({"required": ["a b", "it's"]}, {}),
    "a reference beside others": (
        {"properties": {"a": {"maxLength": 1, "$ref": "#/$defs/s"}}, "$defs": {"s": {"type": "integer"}}},
        {"a": "xx"},
    ),
    "formats": ({"properties": {name: {"format": name} for name in FORMATS}}, dict.fromkeys(FORMATS, "(no one's")),
    "good formats": (
        {"properties": {name: {"format": name} for name in ("date", "date-time", "time")}},
        {"date": "2026-02-28", "date-time": "2026-02-28T10:00:00Z", "time": "10:00:00Z"},
    ),
    "no schema of a property": ({"properties": {"a": True, "b": False}}, {"a": 1, "b": 1}),
    "dependent": ({"dependentRequired": {"a": ["b", "c"]}, "dependentSchemas": {"a": {"required": ["d"]}}}, {"a": 1}),
    "names": ({"propertyNames": {"maxLength": 1}}, {"ab": 1, "c": 2}),
    "unevaluated": ({"properties": {"a": {}}, "unevaluatedProperties": False}, {"a": 1, "b": 2}),
    "unknown type": ({"type": "strin"}, {}),
    "a wrong keyword": ({"properties": {"a": {"minimum": "x"}}}, {"a": 1}),
    "required no list": ({"required": "a"}, {}),
    "a pattern that is none": ({"properties": {"a": {"pattern": "("}}}, {"a": "x"}),
    "circle": ({"$ref": "#"}, {}),
    "circle below": ({"properties": {"a": {"$ref": "#/properties/a"}}}, {"a": 1}),
    "recursion": ({"properties": {"a": {"$ref": "#"}, "b": {"type": "integer"}}}, {"a": {"a": {"b": "x"}}}),
    "nowhere": ({"$ref": "#/definitions/x"}, {}),
    "elsewhere": ({"$ref": "http://127.0.0.1:1/schema"}, {}),
}


@pytest.mark.parametrize(("schema", "values"), KEYWORDS.values(), ids=KEYWORDS)
def test_keywords(pair: Pair, schema: dict[str, Any], values: dict[str, Any]) -> None:
    pair.check("POST", "/ui/schemas/validate", {"schema": schema, "values": values})


def placeholder(kind: Any, **more: Any) -> dict[str, Any]:
    return {"__prefect_kind": kind, **more}


TEMPLATE = placeholder("jinja", template="{{ x }}")
NO_TEMPLATE = placeholder("jinja", template="{{ x")
NO_JSON = placeholder("json", value="{")
NO_VARIABLE = placeholder("workspace_variable", variable_name="nobody_has_this_one")
NUMBER = placeholder("workspace_variable", variable_name="ui_form_number")
PLACEHOLDERS: dict[str, dict[str, Any]] = {
    "template": GOOD | {"name": TEMPLATE, "age": TEMPLATE, "e": TEMPLATE, "u": TEMPLATE, "ref": TEMPLATE},
    "loops": GOOD | {"name": placeholder("jinja", template="{% for x in range(10) %}" * 11 + "{% endfor %}" * 11)},
    "no template": GOOD | {"age": placeholder("jinja")},
    "json": GOOD | {"age": placeholder("json", value="5"), "name": placeholder("json", value='"x"')},
    "no json": GOOD | {"age": NO_JSON, "name": NO_JSON},
    "json missing": GOOD | {"age": placeholder("json"), "tags": [placeholder("json"), "ab"]},
    "no json where anything goes": GOOD | {"zz": NO_JSON},
    "variable": GOOD | {"name": NUMBER, "u": NUMBER, "one": NUMBER},
    "no variable": GOOD | {"name": NO_VARIABLE, "tags": ["ab", NO_VARIABLE, 1]},
    "no variable name": {"name": placeholder("workspace_variable"), "age": 4},
    "none": GOOD | {"name": placeholder("none", value={"a": NO_JSON}), "age": placeholder("none")},
    "another kind": GOOD | {"name": placeholder("other", value=5), "age": placeholder(None, value=4)},
    "by reference": GOOD | {"ref": NO_JSON, "models": [NO_VARIABLE, {"a": NO_JSON}], "block": NO_VARIABLE},
    "all of": GOOD | {"all": NO_VARIABLE},
    "any of": GOOD | {"u": NO_JSON, "maybe": NO_VARIABLE, "one": NO_JSON},
    "within any of": GOOD | {"maybe": {"a": NO_JSON}},
    "if": GOOD | {"if": NO_JSON, "not": NO_VARIABLE, "const": NO_JSON, "contains": [NO_JSON]},
    "within each other": GOOD
    | {"name": placeholder("json", value=NO_VARIABLE), "age": placeholder("json", value=TEMPLATE)},
    "all of it": placeholder("json", value='{"name": 1}'),
    "all of it is none": NO_JSON,
    "all of it is a template": TEMPLATE,
    "all of it is missing": placeholder("json"),
    "all of it is a list": placeholder("json", value="[1]"),
}


@pytest.fixture(scope="module")
def variables(session_pair: Pair) -> None:
    session_pair.prepare("POST", "/variables/", {"name": "ui_form_number", "value": 5})


@pytest.mark.parametrize("values", PLACEHOLDERS.values(), ids=PLACEHOLDERS)
def test_placeholders(pair: Pair, variables: None, values: dict[str, Any]) -> None:
    pair.check("POST", "/ui/schemas/validate", {"schema": SCHEMA, "values": values})


BODIES = [
    {}, {"schema": {}}, {"values": {}}, {"schema": None, "values": None}, {"schema": [], "values": "x"}, [], None, "x",
    {"schema": {}, "values": {}, "other": 1}, {"json_schema": {}, "values": {}},
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_bodies(pair: Pair, body: Any) -> None:
    pair.check("POST", "/ui/schemas/validate", body)
