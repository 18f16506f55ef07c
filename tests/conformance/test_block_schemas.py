"""Block schemas: which fields the blocks of a type have, in versions of their checksums."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .blocks import Kind, bare_servers, make_schema, make_type
from .filters import Filters
from .library import NOBODY
from .side_by_side import Pair

PATH = "/block_schemas"

PLAIN = {"title": "Plain", "type": "object", "properties": {"x": {"type": "string"}}, "secret_fields": ["x"], "block_schema_references": {}}
MODEL = {"title": "Model", "type": "object", "properties": {"next": {"$ref": "#/definitions/Other"}}}

FIELDS: dict[str, Any] = {
    "plain": PLAIN,
    "empty": {},
    "empty definitions": {"definitions": {}},
    "unused definitions": {"definitions": {"A": {"title": "A"}}},
    "a model": {"properties": {"m": {"$ref": "#/definitions/Model"}}, "definitions": {"Model": MODEL, "Other": {"title": "Other"}, "Third": {}}},
    "numbers": {"properties": {"n": {"minimum": 1, "maximum": 1.0, "multipleOf": 1e-7, "default": 1e22, "x": -0.0, "y": 123456789012345}}},
    "texts": {"description": 'Ünï "quoted" \\ \n\t\u0000 \U0001f600 </script>'},
    "order": {"b": 1, "a": {"d": 1, "c": [3, 1, 2]}},
    "nested secrets": {"properties": {"secret_fields": {"secret_fields": [1]}}, "list": [{"secret_fields": 1}]},
    "deep": {"a": {"b": {"c": {"d": {"e": [[[{"f": None}]]]}}}}},
    "many": {"properties": {f"field_{number}": {"type": "string", "title": f"Field {number}"} for number in range(300)}},
}


@pytest.mark.parametrize("which", FIELDS)
def test_checksums(pair: Pair, which: str) -> None:
    fields = {**FIELDS[which], "block_type_slug": "checksums"} if which not in ("empty", "empty definitions") else FIELDS[which]
    block_type = make_type(pair)
    made = pair.check("POST", f"{PATH}/", {"fields": fields, "block_type_id": block_type})
    pair.check("POST", f"{PATH}/", {"fields": fields, "block_type_id": block_type})
    pair.check("GET", f"{PATH}/{made['id']}")
    pair.check("GET", f"{PATH}/checksum/{made['checksum']}")


@pytest.mark.parametrize(
    "more",
    [
        {"capabilities": ["b", "a", "b"]},
        {"capabilities": []},
        {"capabilities": None},
        {"capabilities": [1]},
        {"version": "1.0.0"},
        {"version": ""},
        {"version": "v" * 2000},
        {"version": None},
        {"version": 5},
        {"fields": None},
        {"fields": []},
        {"block_type_id": None},
        {"block_type_id": "x"},
        {"block_type_id": NOBODY},
        {"checksum": "sha256:x"},
        {"unknown": 1},
    ],
    ids=lambda more: str(more)[:60],
)
def test_create(pair: Pair, more: Any) -> None:
    fields = {"title": f"Create {str(more)[:60]}"}
    made = pair.check("POST", f"{PATH}/", {"fields": fields, "block_type_id": make_type(pair), **more})
    if made.status == 201:
        pair.check("GET", f"{PATH}/{made['id']}")


@pytest.mark.parametrize("body", [{}, None, [], {"fields": {}}], ids=str)
def test_malformed(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/", body)


def test_versions_of_a_checksum(pair: Pair) -> None:
    block_type, other = make_type(pair), make_type(pair)
    fields = {"title": "Versions", "secret_fields": ["a"]}

    def register(version: str, of: str = block_type, **more: Any) -> Any:
        return pair.check("POST", f"{PATH}/", {"fields": {**fields, **more}, "block_type_id": of, "version": version})

    first = register("1")
    register("1")
    register("1", other)
    second = register("2", secret_fields=["b"])
    register("2", secret_fields=["c"])
    checksum = first["checksum"]
    for version in ({}, {"version": "1"}, {"version": "2"}, {"version": "3"}, {"version": ""}):
        pair.check("GET", f"{PATH}/checksum/{checksum}", params=version)
    pair.prepare("DELETE", f"{PATH}/{second['id']}")
    pair.check("GET", f"{PATH}/checksum/{checksum}")
    register("2")
    pair.check("GET", f"{PATH}/checksum/{checksum}")


def test_read(pair: Pair) -> None:
    id = make_schema(pair, make_type(pair))
    for path in (id, NOBODY, "no-id", "checksum/sha256:nobody", "checksum/x", "checksum/a b"):
        pair.check("GET", f"{PATH}/{path}")


def test_delete(pair: Pair) -> None:
    kind = Kind(pair)
    document = kind.make({"a": 1})
    for which in (kind.schema, kind.schema, NOBODY, "no-id"):
        pair.check("DELETE", f"{PATH}/{which}")
    pair.check("GET", f"{PATH}/{kind.schema}")
    pair.check("GET", f"/block_documents/{document}")
    pair.check("GET", f"/block_types/slug/{kind.slug}/block_documents")
    pair.check("GET", f"/block_types/{kind.type}")


def nested(pair: Pair, slug: str, fields: dict[str, Any], references: dict[str, Any], definitions: dict[str, Any]) -> Any:
    body = {"title": slug.title(), "type": "object", "block_type_slug": slug, **fields, "block_schema_references": references, "definitions": definitions}
    return {"fields": body, "block_type_id": f"@kind.{slug}@"}


INNER = {"title": "Inner", "type": "object", "properties": {"x": {"type": "string"}}, "secret_fields": ["x"], "block_type_slug": "inner", "block_schema_references": {}}
MIDDLE = {
    "title": "Middle",
    "type": "object",
    "properties": {"inner": {"$ref": "#/definitions/Inner"}, "kind": {"$ref": "#/definitions/Kind"}},
    "block_type_slug": "middle",
    "secret_fields": ["inner.x"],
    "block_schema_references": {"inner": {"block_type_slug": "inner", "block_schema_checksum": "@checksum.inner@"}},
}
KIND = {"title": "Kind", "enum": ["a", "b"], "type": "string"}


@pytest.fixture(scope="module")
def nesting() -> Iterator[Pair]:
    """Types whose blocks lie within each other, on servers that nothing else writes to."""
    with bare_servers() as pair:
        for slug in ("inner", "middle", "outer", "either"):
            pair.prepare("POST", "/block_types/", {"name": slug.title(), "slug": slug}, name=f"kind.{slug}")
        yield pair


@pytest.fixture
def within(nesting: Pair, request: pytest.FixtureRequest) -> Pair:
    nesting.test = request.node.nodeid
    return nesting


def outer(pair: Pair, title: str, **more: Any) -> Any:
    """A schema of two levels; the checksums of those within are what the oracle computes."""
    references = {"middle": {"block_type_slug": "middle", "block_schema_checksum": f"sha256:{title}"}}
    fields = {"title": title, "properties": {"middle": {"$ref": "#/definitions/Middle"}}, "secret_fields": ["middle.inner.x"]}
    return nested(pair, "outer", {**fields, **more}, references, {"Middle": MIDDLE, "Inner": INNER, "Kind": KIND})


def test_schemas_within_are_registered_with_their_own(within: Pair) -> None:
    within.refer("sha256:i", "sha256:i", "checksum.inner")
    made = within.check("POST", f"{PATH}/", outer(within, "First"))
    within.check("GET", f"{PATH}/{made['id']}")
    within.check("GET", f"{PATH}/checksum/{made['checksum']}")
    within.check("POST", f"{PATH}/", outer(within, "First"))
    for kind in ("inner", "middle", "outer"):
        of_kind = {"block_schemas": {"block_type_id": {"any_": [f"@kind.{kind}@"]}}}
        within.check("POST", f"{PATH}/filter", of_kind)


def test_schemas_within_are_found_by_their_checksums(within: Pair) -> None:
    inner = within.check("POST", f"{PATH}/", {"fields": {**INNER, "title": "Found"}, "block_type_id": "@kind.inner@"})
    within.check("POST", f"{PATH}/", {"fields": {**INNER, "title": "Found"}, "block_type_id": "@kind.inner@", "version": "2"})
    named = {"block_type_slug": "inner", "block_schema_checksum": inner["checksum"]}
    fields = {"title": "Finds", "properties": {"found": {"$ref": "#/definitions/Found"}}}
    for definitions in ({"Found": {**INNER, "title": "Found"}}, {}):
        made = within.check("POST", f"{PATH}/", nested(within, "outer", {**fields, "n": len(definitions)}, {"found": named}, definitions))
        within.check("GET", f"{PATH}/{made['id']}")


def test_one_of_several_types_within(within: Pair) -> None:
    a, b = ({**INNER, "title": title, "block_type_slug": slug} for title, slug in (("AInner", "inner"), ("BEither", "either")))
    references = {"one": [{"block_type_slug": slug, "block_schema_checksum": f"sha256:{slug}"} for slug in ("inner", "either")]}
    fields = {"title": "Union", "properties": {"one": {"anyOf": [{"$ref": "#/definitions/AInner"}, {"$ref": "#/definitions/BEither"}]}}}
    made = within.check("POST", f"{PATH}/", nested(within, "outer", fields, references, {"AInner": a, "BEither": b}))
    within.check("GET", f"{PATH}/{made['id']}")


def test_a_deleted_schema_within_is_left_out(within: Pair) -> None:
    inner = within.prepare("POST", f"{PATH}/", {"fields": {**INNER, "title": "Doomed"}, "block_type_id": "@kind.inner@"})
    named = {"block_type_slug": "inner", "block_schema_checksum": inner["checksum"]}
    fields = {"title": "Survivor", "properties": {"doomed": {"$ref": "#/definitions/Doomed"}}}
    made = within.prepare("POST", f"{PATH}/", nested(within, "outer", fields, {"doomed": named}, {"Doomed": {**INNER, "title": "Doomed"}}))
    within.prepare("DELETE", f"{PATH}/{inner['id']}")
    within.check("GET", f"{PATH}/{made['id']}")


@pytest.mark.parametrize(
    "references",
    [
        {"a": {"block_type_slug": "nobody", "block_schema_checksum": "sha256:x"}},
        {"a": {"block_type_slug": "inner", "block_schema_checksum": "sha256:nobody"}},
        {"a": {"block_type_slug": "inner"}},
        {"a": "inner"},
        {"a": []},
        None,
        [],
    ],
    ids=str,
)
def test_references_that_lead_nowhere(within: Pair, references: Any) -> None:
    fields = {"title": f"Nowhere {references}", "properties": {"a": {"$ref": "#/definitions/Nobody"}}, "block_schema_references": references}
    within.check("POST", f"{PATH}/", {"fields": fields, "block_type_id": "@kind.outer@"})
    within.check("POST", f"{PATH}/", {"fields": {**fields, "definitions": {"Other": {}}}, "block_type_id": "@kind.outer@"})


FILTERS: Filters = {
    "empty": {},
    "id": {"id": {"any_": ["@schema.a@", "@schema.c@", NOBODY]}},
    "id any of nothing": {"id": {"any_": []}},
    "type": {"block_type_id": {"any_": ["@of.a@"]}},
    "two types": {"block_type_id": {"any_": ["@of.b@", "@of.a@", NOBODY]}},
    "type any of nothing": {"block_type_id": {"any_": []}},
    "capabilities": {"block_capabilities": {"all_": ["read"]}},
    "capabilities, all of two": {"block_capabilities": {"all_": ["write", "read"]}},
    "capabilities, nobody": {"block_capabilities": {"all_": ["fly"]}},
    "capabilities, all of nothing": {"block_capabilities": {"all_": []}},
    "version": {"version": {"any_": ["2"]}},
    "version any of nothing": {"version": {"any_": []}},
    "parts that say nothing": {"id": {}, "version": {}, "block_type_id": {}, "block_capabilities": {}},
    "and": {"operator": "and_", "version": {"any_": ["2"]}, "block_capabilities": {"all_": ["read"]}},
    "or": {"operator": "or_", "version": {"any_": ["2"]}, "block_capabilities": {"all_": ["read"]}},
    "or with a type": {"operator": "or_", "version": {"any_": ["2"]}, "block_type_id": {"any_": ["@of.a@"]}},
    "or of one empty part": {"operator": "or_", "version": {"any_": ["2"]}, "id": {}},
    "or of nothing": {"operator": "or_"},
    "nulls": {"id": None, "version": None, "block_type_id": None, "block_capabilities": None},
    "unknown": {"checksum": {}},
    "no id": {"id": {"any_": ["x"]}},
}


@pytest.fixture(scope="module")
def few_schemas() -> Iterator[Pair]:
    """A few schemas on servers that nothing else writes to."""
    with bare_servers() as pair:
        for slug in ("a", "b"):
            pair.prepare("POST", "/block_types/", {"name": slug.title(), "slug": slug}, name=f"of.{slug}")
        for key, of, more in (
            ("a", "a", {"capabilities": ["read"]}),
            ("b", "b", {"capabilities": ["write", "read"], "version": "2"}),
            ("c", "a", {"version": "2"}),
            ("d", "b", {"capabilities": ["write"]}),
        ):
            body = {"fields": {"title": key}, "block_type_id": f"@of.{of}@", **more}
            pair.prepare("POST", f"{PATH}/", body, name=f"schema.{key}")
        yield pair


@pytest.fixture
def dataset(few_schemas: Pair, request: pytest.FixtureRequest) -> Pair:
    few_schemas.test = request.node.nodeid
    return few_schemas


@pytest.mark.parametrize("name", FILTERS)
def test_filter(dataset: Pair, name: str) -> None:
    dataset.check("POST", f"{PATH}/filter", {"block_schemas": FILTERS[name]})
    dataset.check("POST", f"{PATH}/filter", {"block_schemas": FILTERS[name], "limit": 1, "offset": 1})


@pytest.mark.parametrize(
    "body",
    [{}, {"limit": 2}, {"limit": 2, "offset": 1}, {"offset": 9}, {"limit": 0}, {"limit": 201}, {"limit": -1}, {"offset": -1}, {"sort": "x"}, None, []],
    ids=str,
)
def test_pages(dataset: Pair, body: Any) -> None:
    dataset.check("POST", f"{PATH}/filter", body)


def test_one_of_many_registers_a_schema(pair: Pair) -> None:
    block_type = pair.subject.resolve(make_type(pair))

    def register(_: int) -> httpx.Response:
        body = {"fields": {"title": "Raced"}, "block_type_id": block_type}
        return httpx.post(f"{pair.subject.url}{PATH}/", json=body, timeout=60)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(register, range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
