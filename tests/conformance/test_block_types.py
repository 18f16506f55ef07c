"""Block types: what kinds of blocks there are, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from . import servers
from .blocks import Kind, bare_servers, make_schema, make_type
from .conftest import asked_side_by_side
from .filters import Filters
from .library import NOBODY
from .side_by_side import Pair

PATH = "/block_types"


@pytest.mark.parametrize("name", ["plain", "Upper", " ", "a b", "ü ✓", 'x"', "n" * 300, "prefect", "Prefect x", "pre-fect", "", "a/b", "a%b", "a<b", 5, None], ids=str)
def test_names(pair: Pair, name: Any) -> None:
    slug = f"names-{abs(hash(str(name)))}"
    pair.check("POST", f"{PATH}/", {"name": name, "slug": slug})
    pair.check("GET", f"{PATH}/slug/{slug}")


@pytest.mark.parametrize("slug", ["a-slug", "a1", "-", "Upper", "a b", "a_b", "a.b", "ü", "a/b", "s" * 300, "x\n", 5, None], ids=str)
def test_slugs(pair: Pair, slug: Any) -> None:
    pair.check("POST", f"{PATH}/", {"name": f"slug {slug}".replace("/", ""), "slug": slug})


@pytest.mark.parametrize(
    "more",
    [
        {"logo_url": "https://example.com/logo.png", "documentation_url": "https://example.com"},
        {"logo_url": "no url"},
        {"logo_url": None, "documentation_url": None, "description": None, "code_example": None},
        {"description": 'a <b> & "c" &amp; \'d\'', "code_example": "if a < b && c > d: ..."},
        {"description": ""},
        {"description": 5},
        {"is_protected": True},
        {"unknown": 1},
    ],
    ids=str,
)
def test_create(pair: Pair, more: Any) -> None:
    slug = f"create-{abs(hash(str(more)))}"
    pair.check("POST", f"{PATH}/", {"name": slug, "slug": slug, **more})
    pair.check("GET", f"{PATH}/slug/{slug}")


@pytest.mark.parametrize("body", [{}, None, [], {"name": "n"}, {"slug": "s"}], ids=str)
def test_malformed(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/", body)


def test_a_slug_is_unique(pair: Pair) -> None:
    make_type(pair, "taken")
    pair.check("POST", f"{PATH}/", {"name": 'Another "name"', "slug": "taken"})
    pair.check("GET", f"{PATH}/slug/taken")


def test_a_name_is_not(pair: Pair) -> None:
    """A second type of a name is made, and the real server answers with either of the two."""
    make_type(pair, "first-of-the-name", name="One name")
    made = pair.send("POST", f"{PATH}/", {"name": "One name", "slug": "second-of-the-name"})
    assert (made.oracle.status_code, made.subject.status_code) == (201, 201)
    assert made.subject.json()["slug"] == "second-of-the-name"
    pair.check("GET", f"{PATH}/slug/second-of-the-name")
    pair.check("GET", f"{PATH}/slug/first-of-the-name")


def test_read(pair: Pair) -> None:
    id = make_type(pair, "to-be-read")
    for path in (id, "slug/to-be-read", NOBODY, "slug/nobody", "no-id", "slug/TO-BE-READ", "slug/a b"):
        pair.check("GET", f"{PATH}/{path}")


CHANGES: list[Any] = [
    {"logo_url": "https://example.com/new.png"},
    {"documentation_url": "https://example.com/new"},
    {"description": "new & <improved>"},
    {"code_example": None},
    {"logo_url": "x", "documentation_url": "y", "description": "d & d", "code_example": "c"},
    {"logo_url": "l", "documentation_url": "d", "description": "a & b", "code_example": "c < d"},
    {"name": "new"},
    {"slug": "new"},
    {"is_protected": True},
    {"description": 5},
    {"unknown": 1},
    {},
    None,
    [],
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_update(pair: Pair, number: int) -> None:
    shown = {"logo_url": "l", "documentation_url": "d", "description": "a & b", "code_example": "c < d"}
    id = make_type(pair, f"update-{number}", **shown)
    pair.check("PATCH", f"{PATH}/{id}", CHANGES[number])
    pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{NOBODY}", CHANGES[number])


def test_a_change_to_what_is_there_changes_nothing(pair: Pair) -> None:
    shown = {"logo_url": "l", "documentation_url": "d", "description": "a & b", "code_example": "c < d"}
    id = make_type(pair, "unchanged", **shown)
    before = pair.check("GET", f"{PATH}/{id}")
    pair.check("PATCH", f"{PATH}/{id}", shown)
    after = pair.check("GET", f"{PATH}/{id}")
    for one, other in ((before.oracle, after.oracle), (before.subject, after.subject)):
        assert one.json() == other.json()


def test_delete(pair: Pair) -> None:
    kind = Kind(pair)
    document = kind.make({"a": 1}, "gone")
    other = Kind(pair)
    around = other.make({"inner": {"$ref": {"block_document_id": document}}}, "around")
    for which in (kind.type, kind.type, NOBODY, "no-id"):
        pair.check("DELETE", f"{PATH}/{which}")
    pair.check("GET", f"{PATH}/slug/{kind.slug}")
    pair.check("GET", f"/block_schemas/{kind.schema}")
    pair.check("GET", f"/block_documents/{document}")
    pair.check("GET", f"{PATH}/slug/{kind.slug}/block_documents")
    pair.check("POST", "/block_documents/count", {"block_documents": {"id": {"any_": [document]}}})
    other.check(around)
    pair.check("POST", f"{PATH}/", {"name": "anew", "slug": kind.slug})


def test_changes_are_told(pair: Pair) -> None:
    id = make_type(pair, "told", description="a & b")
    pair.prepare("PATCH", f"{PATH}/{id}", {"logo_url": "https://example.com"})
    pair.prepare("DELETE", f"{PATH}/{id}")
    wanted = {"filter": {"resource": {"id": [f"prefect.block-type.{id}"]}, "order": "ASC"}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda body: body["total"] == 3)


def test_one_of_many_gets_a_slug(pair: Pair) -> None:
    def create(number: int) -> int:
        body = {"name": f"Racer {number}", "slug": "raced"}
        return httpx.post(f"{pair.subject.url}{PATH}/", json=body, timeout=60).status_code

    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(create, range(16))) == [201] + [409] * 15


FILTERS: Filters = {
    "empty": {},
    "name": {"name": {"like_": "type B"}},
    "name of no case": {"name": {"like_": "TYPE"}},
    "name empty": {"name": {"like_": ""}},
    "name says nothing": {"name": {}},
    "slug": {"slug": {"any_": ["b", "c", "nobody"]}},
    "slug any of nothing": {"slug": {"any_": []}},
    "slug says nothing": {"slug": {}},
    "name and slug": {"name": {"like_": "b"}, "slug": {"any_": ["a", "b"]}},
    "nulls": {"name": None, "slug": None},
    "unknown": {"id": {}},
}
SCHEMAS: Filters = {
    "empty": {},
    "capabilities": {"block_capabilities": {"all_": ["read"]}},
    "capabilities, all of two": {"block_capabilities": {"all_": ["write", "read"]}},
    "capabilities, none": {"block_capabilities": {"all_": []}},
    "capabilities say nothing": {"block_capabilities": {}},
    "type": {"block_type_id": {"any_": ["@kind.a@", NOBODY]}},
    "type of nothing": {"block_type_id": {"any_": []}},
    "id": {"id": {"any_": ["@schema.b@"]}},
    "version": {"version": {"any_": ["2", "9"]}},
    "type and version": {"block_type_id": {"any_": ["@kind.b@"]}, "version": {"any_": ["2"]}},
    "type or version": {"operator": "or_", "block_type_id": {"any_": ["@kind.c@"]}, "version": {"any_": ["2"]}},
    "or of nothing": {"operator": "or_"},
    "unknown": {"checksum": {}},
}


@pytest.fixture(scope="module")
def few_types() -> Iterator[Pair]:
    """A few types with schemas, on servers that nothing else writes to."""
    with bare_servers() as pair:
        for slug in ("c", "a", "b", "without"):
            pair.prepare("POST", f"{PATH}/", {"name": f"Type {slug.upper()}", "slug": slug}, name=f"kind.{slug}")
        make_schema(pair, "@kind.a@", capabilities=["read"])
        make_schema(pair, "@kind.b@", capabilities=["read", "write"], version="2")
        body = {"fields": {"title": "Other"}, "block_type_id": "@kind.b@"}
        pair.prepare("POST", "/block_schemas/", body, name="schema.b")
        make_schema(pair, "@kind.c@", capabilities=["write"])
        yield pair


@pytest.fixture
def dataset(few_types: Pair, request: pytest.FixtureRequest) -> Pair:
    few_types.test = request.node.nodeid
    return few_types


@pytest.mark.parametrize("name", FILTERS)
def test_filter(dataset: Pair, name: str) -> None:
    dataset.check("POST", f"{PATH}/filter", {"block_types": FILTERS[name]})
    dataset.check("POST", f"{PATH}/filter", {"block_types": FILTERS[name], "block_schemas": {}})


@pytest.mark.parametrize("name", SCHEMAS)
def test_filter_by_schemas(dataset: Pair, name: str) -> None:
    dataset.check("POST", f"{PATH}/filter", {"block_schemas": SCHEMAS[name]})
    dataset.check("POST", f"{PATH}/filter", {"block_schemas": SCHEMAS[name], "block_types": {"name": {"like_": "b"}}})


@pytest.mark.parametrize(
    "body",
    [{}, {"limit": 2}, {"limit": 2, "offset": 1}, {"offset": 9}, {"limit": 0}, {"limit": 201}, {"limit": -1}, {"offset": -1}, {"limit": None}, {"sort": "x"}, None, []],
    ids=str,
)
def test_pages(dataset: Pair, body: Any) -> None:
    dataset.check("POST", f"{PATH}/filter", body)


def test_a_query_without_a_body(dataset: Pair) -> None:
    dataset.check("POST", f"{PATH}/filter")


def test_documents_of_a_type(pair: Pair) -> None:
    kind = Kind(pair, ["x"])
    for name in ("b", "a", "c"):
        kind.make({"x": name, "y": name}, name)
    pair.prepare("POST", "/block_documents/", kind.body({"x": 1}, is_anonymous=True))
    other = Kind(pair)
    other.make({}, "a")
    for secrets in ({}, {"include_secrets": "true"}, {"include_secrets": "false"}, {"include_secrets": "perhaps"}):
        for path in (kind.slug, "nobody", f"{kind.slug}/", kind.slug.upper()):
            pair.check("GET", f"{PATH}/slug/{path}/block_documents", params=secrets)
        for name in ("a", "nobody", "A", "anonymous"):
            pair.check("GET", f"{PATH}/slug/{kind.slug}/block_documents/name/{name}", params=secrets)
        pair.check("GET", f"{PATH}/slug/nobody/block_documents/name/a", params=secrets)


@pytest.fixture(scope="module")
def installed() -> Iterator[Pair]:
    """Both servers with the block types that Prefect ships, and nothing else."""
    with asked_side_by_side() as pair:
        yield pair


@pytest.fixture
def with_shipped(installed: Pair, request: pytest.FixtureRequest) -> Pair:
    installed.test = request.node.nodeid
    return installed


def test_what_is_shipped_is_installed(with_shipped: Pair) -> None:
    answer = with_shipped.check("POST", f"{PATH}/filter", {})
    assert len(answer.json) > 50


def by_checksum(body: Any) -> Any:
    """The oracle inserts many schemas in the same moment, and what they can do in the order of a Python set."""
    sets = [{**schema, "capabilities": sorted(schema["capabilities"])} for schema in body]
    return sorted(sets, key=lambda schema: (schema["checksum"], schema["version"]))


def one(body: Any) -> Any:
    return by_checksum([body])


def test_schemas_of_what_is_shipped(with_shipped: Pair) -> None:
    answer = with_shipped.check("POST", "/block_schemas/filter", {}, view=by_checksum)
    for schema in answer.json:
        with_shipped.check("GET", f"/block_schemas/checksum/{schema['checksum']}", params={"version": schema["version"]}, view=one)


def test_no_event_tells_of_what_is_installed(with_shipped: Pair) -> None:
    """The event of a variable that is made later comes, and none of a block type before it."""
    with_shipped.prepare("POST", "/variables/", {"name": "sentinel", "value": 1})
    every = {"filter": {"occurred": {"since": "2020-01-01T00:00:00Z"}}}
    told = with_shipped.eventually("POST", "/events/filter", every, until=lambda body: body["total"] > 0)
    assert [event["event"] for event in told.json["events"]] == ["prefect.variable.created"]


def test_capabilities_of_what_is_shipped(with_shipped: Pair) -> None:
    with_shipped.check("GET", "/block_capabilities/", view=sorted)


@pytest.mark.parametrize("slug", ["secret", "local-file-system", "webhook"])
def test_a_protected_type(with_shipped: Pair, slug: str) -> None:
    protected = with_shipped.check("GET", f"{PATH}/slug/{slug}")
    id = protected["id"]
    with_shipped.check("DELETE", f"{PATH}/{id}")
    of_type = {"block_schemas": {"block_type_id": {"any_": [id]}}}
    schemas = with_shipped.check("POST", "/block_schemas/filter", of_type, view=by_checksum)
    with_shipped.check("DELETE", f"/block_schemas/{schemas.at(0, 'id')}")
    with_shipped.check("POST", f"{PATH}/", {"name": "Another", "slug": slug})


def test_a_checksum_in_several_versions(with_shipped: Pair) -> None:
    """A client of another release registers the same fields under its own version."""
    secret = with_shipped.check("GET", f"{PATH}/slug/secret")
    found = with_shipped.check("POST", "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [secret["id"]]}}})
    body = {"fields": found.json[0]["fields"], "block_type_id": secret["id"], "version": "3.9.0"}
    for status in (201, 200):
        assert with_shipped.check("POST", "/block_schemas/", body).status == status
    with_shipped.check("GET", f"/block_schemas/checksum/{found.json[0]['checksum']}")


def test_installing_again(with_shipped: Pair) -> None:
    slug = "discord-webhook"
    before = with_shipped.check("GET", f"{PATH}/slug/{slug}")
    secret = with_shipped.check("GET", f"{PATH}/slug/secret")
    with_shipped.prepare("PATCH", f"{PATH}/{secret['id']}", {"logo_url": "https://example.com/other.png"})
    with_shipped.check("POST", f"{PATH}/install_system_block_types")
    with_shipped.check("GET", f"{PATH}/slug/secret")
    after = with_shipped.check("GET", f"{PATH}/slug/{slug}")
    assert before.subject.json() == after.subject.json()


def test_what_is_not_there_is_made_by_a_command(tmp_path: Path) -> None:
    with servers.ours({"PROCTOR_ASSETS": str(tmp_path / "nothing")}) as url:
        assert httpx.post(f"{url}{PATH}/filter", json={}).json() == []
        answer = httpx.post(f"{url}{PATH}/install_system_block_types", timeout=60)
        assert answer.status_code == 404 and "proctor assets" in answer.json()["detail"]
