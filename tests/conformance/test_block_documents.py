"""Block documents: blocks with their secrets, and the blocks within them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .blocks import Kind, bare_servers, make_schema, ref
from .filters import Filters, texts
from .library import NOBODY
from .side_by_side import Answer, Pair

PATH = "/block_documents"
HIDDEN = "********"

# Paths of secrets, and data in which they are single values: where they are not, Prefect shows them.
SECRET_FIELDS = ["x", "null", "m.n", "d.*", "absent", "absent.*", "m.deep.er"]
DATA: dict[str, Any] = {
    "x": "secret",
    "null": None,
    "m": {"n": 5, "o": "open", "deep": {"er": [1], "est": True}},
    "d": {"a": "1", "b": None, "c": {"e": [1], "f": {}}, "": 0},
    "plain": "p",
    "number": 1.5,
    "list": [1, {"x": "y"}],
    "empty": {},
}


@pytest.fixture(scope="module")
def kinds() -> dict[str, Kind]:
    return {}


@pytest.fixture
def kind(pair: Pair, kinds: dict[str, Kind]) -> Kind:
    """A type with secrets, shared by the tests of this file."""
    if "kind" not in kinds:
        kinds["kind"] = Kind(pair, SECRET_FIELDS, capabilities=["read"])
    return kinds["kind"]


NAMES = ["plain", "a1-b", "-", "", "Upper", "a b", "a_b", "a.b", "a/b", "ü", "n" * 300, "x\n", 5, None]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: str(name)[:20])
@pytest.mark.parametrize("more", [{}, {"is_anonymous": True}, {"is_anonymous": False}, {"is_anonymous": None}, {"is_anonymous": "yes"}], ids=str)
def test_names(pair: Pair, kind: Kind, name: Any, more: Any) -> None:
    pair.check("POST", f"{PATH}/", kind.body({"x": 1}, name, **more))
    pair.check("POST", f"{PATH}/", kind.body({"x": 2}, name, **more))


VALUES: dict[str, Any] = {
    "all": DATA,
    "empty": {},
    "unicode": {"x": 'Ünï "quoted"\n\u0000 ✓', "plain": "\U0001f600"},
    "numbers": {"x": 2**63 - 1, "n": -(2**63), "f": 1e-300, "w": 1.0},
    "nested": {"m": {"m": {"m": {"n": 1}}}, "d": {"d": {"d": {}}}},
    "wildcard of a list": {"d": [1, 2]},
    "wildcard of a text": {"d": "text"},
    "wildcard of nothing": {"d": {}},
    "wildcard of null": {"d": None},
    "a list where a path goes on": {"m": [1]},
    "a text where a path goes on": {"m": "text"},
    "null where a path goes on": {"m": None},
    "falsy": {"x": 0, "m": {"n": False}},
    "empty text": {"x": "", "m": {"n": ""}},
    "list": {"x": [1, 2]},
    "a reference within": {"list": [ref(NOBODY)], "m": {"k": ref(NOBODY)}},
    "asterisks": {"x": HIDDEN, "plain": HIDDEN},
    "large": {"x": "y" * 100_000, "plain": "z"},
}


@pytest.mark.parametrize("which", VALUES)
def test_data(pair: Pair, kind: Kind, which: str) -> None:
    made = pair.check("POST", f"{PATH}/", kind.body(VALUES[which], f"data-{which.replace(' ', '-')}"))
    kind.check(made["id"])


@pytest.mark.parametrize(
    "more",
    [
        {"data": None},
        {"data": []},
        {"data": "x"},
        {"block_schema_id": NOBODY},
        {"block_schema_id": None},
        {"block_schema_id": "x"},
        {"block_type_id": NOBODY},
        {"block_type_id": None},
        {"block_type_name": "x"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_create(pair: Pair, kind: Kind, more: Any) -> None:
    pair.check("POST", f"{PATH}/", {**kind.body({}, f"create-{abs(hash(str(more)))}"), **more})


@pytest.mark.parametrize("body", [{}, None, [], {"name": "n"}, {"is_anonymous": True}], ids=str)
def test_malformed(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/", body)
    pair.check("PATCH", f"{PATH}/{NOBODY}", body)


def test_a_name_is_unique_among_those_of_a_type(pair: Pair, kind: Kind) -> None:
    kind.make({}, "unique")
    pair.check("POST", f"{PATH}/", kind.body({}, "unique"))
    pair.check("POST", f"{PATH}/", kind.body({}, "unique", is_anonymous=True))
    other = Kind(pair)
    pair.check("POST", f"{PATH}/", other.body({}, "unique"))


def test_a_schema_of_another_type(pair: Pair, kind: Kind) -> None:
    other = Kind(pair)
    made = pair.check("POST", f"{PATH}/", {**kind.body({"x": 1}, "mixed"), "block_schema_id": other.schema})
    kind.check(made["id"])


def test_read(pair: Pair, kind: Kind) -> None:
    id = kind.make(DATA, "to-be-read")
    for path in (id, NOBODY, "no-id", ""):
        for params in ({}, {"include_secrets": "true"}, {"include_secrets": "0"}, {"include_secrets": "perhaps"}, {"include_secrets": ""}):
            pair.check("GET", f"{PATH}/{path}", params=params)


CHANGES: dict[str, Any] = {
    "a value": {"data": {"plain": "new"}},
    "a secret": {"data": {"x": "new"}},
    "a new value": {"data": {"other": {"a": 1}}},
    "an object is replaced": {"data": {"m": {"o": "new"}}},
    "a null": {"data": {"x": None}},
    "nothing in data": {"data": {}},
    "nothing": {},
    "in place": {"data": {"plain": "new"}, "merge_existing_data": False},
    "nothing in place": {"data": {}, "merge_existing_data": False},
    "in place without data": {"merge_existing_data": False},
    "merge of nothing": {"merge_existing_data": True},
    "asterisks": {"data": {"x": HIDDEN}},
    "asterisks in objects": {"data": {"m": {"n": HIDDEN, "o": "new"}, "d": {"a": HIDDEN, "new": "v"}}},
    "asterisks in place": {"data": {"x": HIDDEN, "d": {"a": HIDDEN, "b": HIDDEN}}, "merge_existing_data": False},
    "asterisks that are no secret": {"data": {"plain": HIDDEN, "m": {"o": HIDDEN}}},
    "asterisks for null": {"data": {"null": HIDDEN}},
    "other asterisks": {"data": {"x": "*******"}},
    "name": {"name": "new"},
    "type": {"block_type_id": NOBODY},
    "null data": {"data": None},
    "null merge": {"data": {}, "merge_existing_data": None},
    "null schema": {"block_schema_id": None, "data": {"plain": "new"}},
    "schema that is not there": {"block_schema_id": NOBODY, "data": {}},
    "schema alone that is not there": {"block_schema_id": NOBODY},
    "no schema": {"block_schema_id": "x"},
    "unknown": {"unknown": 1},
}


@pytest.mark.parametrize("which", CHANGES)
def test_update(pair: Pair, kind: Kind, which: str) -> None:
    id = kind.make(DATA, f"update-{which.replace(' ', '-')}")
    pair.check("PATCH", f"{PATH}/{id}", CHANGES[which])
    kind.check(id)
    pair.check("PATCH", f"{PATH}/{NOBODY}", CHANGES[which])


def test_asterisks_for_nothing(pair: Pair, kind: Kind) -> None:
    id = kind.make(DATA)
    pair.check("PATCH", f"{PATH}/{id}", {"data": {"d": {"zzz": HIDDEN}}})


def test_what_is_shown_and_sent_back_changes_nothing(pair: Pair, kind: Kind) -> None:
    id = kind.make({key: value for key, value in DATA.items() if key != "null"}, "sent-back")
    shown = pair.check("GET", f"{PATH}/{id}").json["data"]
    pair.check("PATCH", f"{PATH}/{id}", {"data": shown})
    kind.check(id)


def test_another_schema_of_the_type(pair: Pair, kind: Kind) -> None:
    id = kind.make(DATA, "migrated")
    later, other = make_schema(pair, kind.type, {"secret_fields": ["plain"]}), Kind(pair)
    pair.check("PATCH", f"{PATH}/{id}", {"block_schema_id": later})
    kind.check(id)
    pair.check("PATCH", f"{PATH}/{id}", {"block_schema_id": other.schema, "data": {}})
    kind.check(id)
    pair.check("PATCH", f"{PATH}/{id}", {"block_schema_id": later, "data": {"plain": "hidden"}})
    kind.check(id)
    pair.check("PATCH", f"{PATH}/{id}", {"block_schema_id": later, "data": {"plain": HIDDEN}})
    kind.check(id)


def test_delete(pair: Pair, kind: Kind) -> None:
    id = kind.make({}, "delete")
    for which in (id, id, NOBODY, "no-id"):
        pair.check("DELETE", f"{PATH}/{which}")
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", {"data": {}})
    pair.check("POST", f"{PATH}/", kind.body({}, "delete"))


REFERENCES: dict[str, Any] = {
    "no id": {},
    "null id": {"block_document_id": None},
    "not there": {"block_document_id": NOBODY},
    "number": 5,
    "null": None,
    "text": "x",
    "list": [],
}


@pytest.mark.parametrize("which", REFERENCES)
def test_references_that_lead_nowhere(pair: Pair, kind: Kind, which: str) -> None:
    name = f"nowhere-{which.replace(' ', '-')}"
    data = {"plain": 1, "k": {"$ref": REFERENCES[which]}}
    pair.check("POST", f"{PATH}/", kind.body(data, name))
    pair.check("GET", f"/block_types/slug/{kind.slug}/block_documents/name/{name}")
    id = kind.make(DATA, f"{name}-later")
    pair.check("PATCH", f"{PATH}/{id}", {"data": data})
    kind.check(id)


def test_a_reference_that_is_no_uuid(pair: Pair, kind: Kind) -> None:
    pair.check("POST", f"{PATH}/", kind.body({"k": ref("x")}, "no-uuid"))


def test_documents_within_documents(pair: Pair, kind: Kind) -> None:
    other = Kind(pair, ["token"])
    leaf = other.make({"token": "t", "open": 1}, "leaf")
    middle = kind.make({**DATA, "leaf": ref(leaf), "also": {**ref(leaf), "more": 1}}, "middle")
    anonymous = pair.prepare("POST", f"{PATH}/", kind.body({"x": "y"}, is_anonymous=True))["id"]
    top = kind.make({"middle": ref(middle), "anonymous": ref(anonymous), "x": "z"}, "top")
    for id in (leaf, middle, top):
        kind.check(id)
    pair.prepare("PATCH", f"{PATH}/{leaf}", {"data": {"token": "new", "open": 2}})
    kind.check(top)
    pair.check("DELETE", f"{PATH}/{leaf}")
    kind.check(middle)
    kind.check(top)
    pair.check("DELETE", f"{PATH}/{middle}")
    kind.check(top)


def test_a_reference_in_the_place_of_a_value_and_back(pair: Pair, kind: Kind) -> None:
    within, other = kind.make({"x": 1}), kind.make({"x": 2})
    id = kind.make({"k": 1})
    for value in (ref(within), 2, ref(within), ref(other), {"a": 1}, ref(within), None):
        pair.check("PATCH", f"{PATH}/{id}", {"data": {"k": value}})
        kind.check(id)
    pair.check("PATCH", f"{PATH}/{id}", {"data": {"k": ref(within), "l": ref(within)}, "merge_existing_data": False})
    kind.check(id)
    pair.check("PATCH", f"{PATH}/{id}", {"data": {"l": ref(within)}, "merge_existing_data": False})
    kind.check(id)


def test_a_merge_keeps_the_documents_within(pair: Pair, kind: Kind) -> None:
    """Prefect loses them: whoever changes a value of a block takes the blocks within away."""
    within = kind.make({"x": 1})
    id = kind.make({"k": ref(within), "plain": 1})
    pair.check("PATCH", f"{PATH}/{id}", {"data": {"plain": 2}})
    pair.check("GET", f"{PATH}/{id}")


def test_secrets_are_hidden_that_prefect_shows(pair: Pair) -> None:
    """Of objects as secrets, and of secrets in lists."""
    kind = Kind(pair, ["value", "models.token"])
    id = kind.make({"value": {"password": "shown"}, "models": [{"token": "shown", "open": 1}]}, "shown")
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", {"data": {"value": {"password": "new"}}})
    pair.check("GET", f"{PATH}/{id}", params={"include_secrets": "true"})


def test_no_document_is_within_itself(pair: Pair, kind: Kind) -> None:
    a = kind.make({})
    b = kind.make({"k": ref(a)})
    c = kind.make({"k": ref(b)})
    for id, within in ((a, a), (a, b), (a, c), (b, c), (c, a), (b, b)):
        pair.check("PATCH", f"{PATH}/{id}", {"data": {"l": ref(within)}, "merge_existing_data": False})
    for id in (a, b, c):
        kind.check(id)


def test_changes_are_told(pair: Pair) -> None:
    kind = Kind(pair, ["x", "d.*"], capabilities=["read", "write"])
    within = kind.make({"x": "inner"})
    id = kind.make({"x": "secret", "plain": "p", "other": "o", "n": 1, "d": {"a": "b"}, "k": ref(within)}, "told")
    pair.prepare("PATCH", f"{PATH}/{id}", {"data": {"plain": "new", "x": "other", "k": ref(within)}})
    pair.prepare("DELETE", f"{PATH}/{id}")
    wanted = {"filter": {"resource": {"id": [f"prefect.block-document.{id}"]}, "order": "ASC"}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda body: body["total"] == 3)


def events_of(pair: Pair, id: str, last: str) -> Answer:
    """What is told of a document, as soon as both servers told `last`."""
    wanted = {"filter": {"resource": {"id": [f"prefect.block-document.{id}"]}, "order": "ASC"}}
    told = f"prefect.block-document.{last}"
    return pair.eventually("POST", "/events/filter", wanted, until=lambda body: any(event["event"] == told for event in body["events"]))


def test_a_change_to_what_is_there_is_not_told(pair: Pair, kind: Kind) -> None:
    id = kind.make({"x": "secret", "plain": "p"}, "unchanged")
    pair.check("PATCH", f"{PATH}/{id}", {"data": {"plain": "p", "x": HIDDEN}})
    pair.check("PATCH", f"{PATH}/{id}", {"data": {"plain": "q"}})
    events_of(pair, id, "updated")


def test_what_was_ever_secret_is_not_told(pair: Pair) -> None:
    kind = Kind(pair, ["token"])
    id = kind.make({"token": "hush", "plain": "p"}, "once-secret")
    fields = {"title": "Opened", "type": "object", "properties": {}, "secret_fields": []}
    opened = pair.prepare("POST", "/block_schemas/", {"fields": fields, "block_type_id": kind.type})["id"]
    pair.check("PATCH", f"{PATH}/{id}", {"data": {"plain": "q"}, "block_schema_id": opened})
    pair.check("DELETE", f"{PATH}/{id}")
    answer = events_of(pair, id, "deleted")
    assert "hush" not in answer.subject.text


def test_long_texts_are_not_told(pair: Pair, kind: Kind) -> None:
    id = kind.make({"plain": "p" * 40_000, "short": "s"}, "long")
    pair.check("DELETE", f"{PATH}/{id}")
    events_of(pair, id, "deleted")


def test_no_event_tells_of_an_anonymous_document(pair: Pair, kind: Kind) -> None:
    anonymous = pair.prepare("POST", f"{PATH}/", kind.body({"plain": 1}, is_anonymous=True))["id"]
    pair.prepare("PATCH", f"{PATH}/{anonymous}", {"data": {"plain": 2}})
    pair.prepare("DELETE", f"{PATH}/{anonymous}")
    later = kind.make({}, "sentinel")
    ids = [f"prefect.block-document.{id}" for id in (anonymous, later)]
    wanted = {"filter": {"resource": {"id": ids}, "order": "ASC"}}
    told = pair.eventually("POST", "/events/filter", wanted, until=lambda body: body["total"] > 0)
    assert [event["event"] for event in told.json["events"]] == ["prefect.block-document.created"]


DOCUMENTS: Filters = {
    "empty": {},
    "id": {"id": {"any_": ["@doc.a@", "@doc.anonymous@", NOBODY]}},
    "id with anonymous ones": {"id": {"any_": ["@doc.a@", "@doc.anonymous@"]}, "is_anonymous": None},
    "id any of nothing": {"id": {"any_": []}},
    "anonymous": {"is_anonymous": {"eq_": True}},
    "not anonymous": {"is_anonymous": {"eq_": False}},
    "either": {"is_anonymous": {}},
    "either by null": {"is_anonymous": None},
    "either by null inside": {"is_anonymous": {"eq_": None}},
    "type": {"block_type_id": {"any_": ["@kind.one@"]}},
    "types": {"block_type_id": {"any_": ["@kind.two@", "@kind.one@", NOBODY]}},
    "type any of nothing": {"block_type_id": {"any_": []}},
    "type with anonymous ones": {"block_type_id": {"any_": ["@kind.one@"]}, "is_anonymous": None},
    "type and name": {"block_type_id": {"any_": ["@kind.one@", "@kind.two@"]}, "name": {"any_": ["a-text", "nobody"]}},
    **texts("name", ["a-text", "b-100"], "tex"),
    "name with anonymous ones": {"name": {"like_": "a"}, "is_anonymous": None},
    "or": {"operator": "or_", "name": {"any_": ["b-100"]}, "id": {"any_": ["@doc.anonymous@"]}},
    "or without the default": {"operator": "or_", "name": {"any_": ["b-100"]}, "id": {"any_": ["@doc.anonymous@"]}, "is_anonymous": None},
    "or of one": {"operator": "or_", "name": {"any_": ["b-100"]}, "is_anonymous": None},
    "or of nothing": {"operator": "or_"},
    "or of nothing at all": {"operator": "or_", "is_anonymous": None},
    "parts that say nothing": {"id": {}, "name": {}, "block_type_id": {}, "is_anonymous": {}},
    "unknown": {"data": {}},
    "no id": {"id": {"any_": ["x"]}},
}
TYPES: Filters = {
    "empty": {},
    "slug": {"slug": {"any_": ["one", "nobody"]}},
    "slugs": {"slug": {"any_": ["two", "one"]}},
    "slug any of nothing": {"slug": {"any_": []}},
    "name": {"name": {"like_": "WO"}},
    "name and slug": {"name": {"like_": "o"}, "slug": {"any_": ["one"]}},
}
SCHEMAS: Filters = {
    "empty": {},
    "id": {"id": {"any_": ["@schema.one@", NOBODY]}},
    "capabilities": {"block_capabilities": {"all_": ["read"]}},
    "version": {"version": {"any_": ["2"]}},
    "type": {"block_type_id": {"any_": ["@kind.two@"]}},
    "or": {"operator": "or_", "version": {"any_": ["2"]}, "id": {"any_": ["@schema.one@"]}},
}
SORTS = ["NAME_DESC", "NAME_ASC", "BLOCK_TYPE_AND_NAME_ASC"]


@pytest.fixture(scope="module")
def few_documents() -> Iterator[Pair]:
    """A few documents on servers that nothing else writes to; no two of them of one name, for the oracle leaves open which comes first."""
    with bare_servers() as pair:
        for slug, capabilities, version in (("two", ["read", "write"], "2"), ("one", ["read"], "1")):
            pair.prepare("POST", "/block_types/", {"name": f"The {slug}", "slug": slug}, name=f"kind.{slug}")
            fields = {"title": slug, "secret_fields": ["x"]}
            body = {"fields": fields, "block_type_id": f"@kind.{slug}@", "capabilities": capabilities, "version": version}
            pair.prepare("POST", "/block_schemas/", body, name=f"schema.{slug}")
        for key, slug, name, more in (
            ("c", "one", "c-texture", {}),
            ("a", "two", "a-text", {}),
            ("d", "one", "d", {}),
            ("b", "two", "b-100", {}),
            ("anonymous", "one", "anonymous-a", {"is_anonymous": True}),
        ):
            body = {"name": name, "data": {"x": key, "y": key}, "block_type_id": f"@kind.{slug}@", "block_schema_id": f"@schema.{slug}@", **more}
            pair.prepare("POST", f"{PATH}/", body, name=f"doc.{key}")
        body = {"name": "e", "data": {"x": 1, "k": ref("@doc.a@")}, "block_type_id": "@kind.one@", "block_schema_id": "@schema.one@"}
        pair.prepare("POST", f"{PATH}/", body, name="doc.e")
        yield pair


@pytest.fixture
def dataset(few_documents: Pair, request: pytest.FixtureRequest) -> Pair:
    few_documents.test = request.node.nodeid
    return few_documents


@pytest.mark.parametrize("name", DOCUMENTS)
def test_filter(dataset: Pair, name: str) -> None:
    dataset.check("POST", f"{PATH}/count", {"block_documents": DOCUMENTS[name]})
    for sort in SORTS:
        dataset.check("POST", f"{PATH}/filter", {"block_documents": DOCUMENTS[name], "sort": sort})


@pytest.mark.parametrize("documents", [None, {"is_anonymous": None}, {"name": {"any_": ["a-text", "d"]}}, {"operator": "or_", "name": {"like_": "a"}}], ids=str)
@pytest.mark.parametrize("name", TYPES)
def test_filter_by_types(dataset: Pair, name: str, documents: Any) -> None:
    body = {"block_documents": documents, "block_types": TYPES[name]}
    dataset.check("POST", f"{PATH}/count", body)
    for sort in SORTS:
        dataset.check("POST", f"{PATH}/filter", {**body, "sort": sort})


@pytest.mark.parametrize("name", SCHEMAS)
def test_filter_by_schemas(dataset: Pair, name: str) -> None:
    for types in (None, {"slug": {"any_": ["one"]}}):
        body = {"block_schemas": SCHEMAS[name], "block_types": types}
        dataset.check("POST", f"{PATH}/count", body)
        for sort in SORTS:
            dataset.check("POST", f"{PATH}/filter", {**body, "sort": sort})


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("documents", [None, {"is_anonymous": None}, {"block_type_id": {"any_": ["@kind.one@"]}}], ids=str)
def test_pages(dataset: Pair, sort: str, documents: Any) -> None:
    for window in ({"limit": 2}, {"limit": 2, "offset": 1}, {"offset": 3}, {"offset": 9}, {"limit": 0}):
        dataset.check("POST", f"{PATH}/filter", {"block_documents": documents, "sort": sort, **window})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"include_secrets": True},
        {"include_secrets": "x"},
        {"include_secrets": None},
        {"limit": 201},
        {"limit": -1},
        {"offset": -1},
        {"limit": None},
        {"sort": "x"},
        {"sort": None},
        {"unknown": 1},
        None,
        [],
    ],
    ids=str,
)
def test_query_requests(dataset: Pair, body: Any) -> None:
    dataset.check("POST", f"{PATH}/filter", body)
    dataset.check("POST", f"{PATH}/count", body)


def test_one_of_many_gets_a_name(pair: Pair, kind: Kind) -> None:
    body = pair.subject.resolve_value(kind.body({"x": 1}, "raced"))

    def create(_: int) -> int:
        return httpx.post(f"{pair.subject.url}{PATH}/", json=body, timeout=60).status_code

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(create, range(16))) == [201] + [409] * 15


def test_many_changes_at_once_are_all_made(pair: Pair, kind: Kind) -> None:
    """The oracle loses some: it reads, changes and writes without looking whether somebody else did."""
    id = pair.subject.resolve(kind.make({}, "changed-by-many"))
    url = f"{pair.subject.url}{PATH}/{id}"

    def change(number: int) -> int:
        return httpx.patch(url, json={"data": {f"key-{number}": number}}, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(change, range(8))) == [204] * 8
    if not pair.subject.is_oracle:
        data = httpx.get(url, params={"include_secrets": True}, timeout=60).json()["data"]
        assert data == {f"key-{number}": number for number in range(8)}
