"""Saved searches: named sets of conditions, saved again under the same name to change them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .conftest import asked_side_by_side
from .library import NOBODY
from .side_by_side import Pair

PATH = "/saved_searches"


def condition(value: Any = "x", **more: Any) -> dict[str, Any]:
    return {"object": "flow_run", "property": "name", "type": "string", "operation": "equals", "value": value, **more}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in condition().items() if name != key}


def save(pair: Pair, name: str, *filters: Any) -> str:
    return pair.prepare("PUT", f"{PATH}/", {"name": name, "filters": list(filters)})["id"]


NAMES = ["plain", "Upper", "", " ", "a b", "a/b", "ü ✓", 'x"\n', "x\u0000y", "n" * 3000, 5, 1.5, True, None, ["a"], {}]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: str(name)[:20])
def test_names(pair: Pair, name: Any) -> None:
    pair.check("PUT", f"{PATH}/", {"name": name, "filters": [condition()]})
    pair.check("PUT", f"{PATH}/", {"name": name})


FILTERS: dict[str, Any] = {
    "none": [],
    "one": [condition()],
    "several": [condition("b"), condition("a", operation="like"), condition("b")],
    "empty texts": [condition("", object="", property="", type="", operation="")],
    "unknown field": [condition(unknown=1)],
    "null": None,
    "text": "x",
    "object": condition(),
    "null inside": [None],
    "text inside": ["x"],
    "list inside": [[condition()]],
    "good and bad": [condition(), without("type")],
    **{f"without {key}": [without(key)] for key in condition()},
    **{f"null {key}": [condition(**{key: None})] for key in condition() if key != "value"},
    **{f"number as {key}": [condition(**{key: 5})] for key in condition() if key != "value"},
}


@pytest.mark.parametrize("which", FILTERS)
def test_filters(pair: Pair, which: str) -> None:
    """The conditions are checked and kept alike, whether the search is new or saved already."""
    body = {"name": f"filters {which}", "filters": FILTERS[which]}
    pair.check("PUT", f"{PATH}/", body)
    id = save(pair, f"filters {which}", condition("before"))
    pair.check("PUT", f"{PATH}/", body)
    pair.check("GET", f"{PATH}/{id}")


VALUES: dict[str, Any] = {
    "text": "my-value",
    "empty": "",
    "unicode": 'Ünï "quoted"\n\u0000 ✓',
    "integer": 5,
    "negative": -(2**63),
    "big": 2**63 - 1,
    "true": True,
    "false": False,
    "float": 1.5,
    "whole": 1.0,
    "tiny": 1e-300,
    "null": None,
    "list": [1, "a", None, [True, {}]],
    "object": {"b": {"c": [1]}, "a": None, "": 1.0},
    "placeholder": {"__prefect_kind": "json", "value": "{}"},
    "large": "x" * 50_000,
}


@pytest.mark.parametrize("kind", VALUES)
def test_values(pair: Pair, kind: str) -> None:
    search = pair.check("PUT", f"{PATH}/", {"name": f"value {kind}", "filters": [condition(VALUES[kind])]})
    pair.check("GET", f"{PATH}/{search['id']}")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "without filters"},
        {"name": "unknown", "unknown": 1},
        {"name": "id", "id": NOBODY},
        {"name": "created", "created": "2020-01-01T00:00:00Z"},
        {"filters": []},
        {},
        None,
        [],
        "x",
    ],
    ids=str,
)
def test_save(pair: Pair, body: Any) -> None:
    pair.check("PUT", f"{PATH}/", body)


def test_a_name_that_is_taken_names_the_search_that_is_changed(pair: Pair) -> None:
    body: dict[str, Any] = {"name": "again", "filters": [condition("first")]}
    first = pair.check("PUT", f"{PATH}/", body)
    for filters in ([condition("first")], [condition("second"), condition("third")], []):
        saved = pair.check("PUT", f"{PATH}/", {**body, "filters": filters})
        pair.check("GET", f"{PATH}/{first['id']}")
        for answer, before in ((saved.oracle, first.oracle), (saved.subject, first.subject)):
            assert answer.status_code == 200
            unchanged = ("id", "created", "updated", "name")
            assert [answer.json()[key] for key in unchanged] == [before.json()[key] for key in unchanged]
    pair.check("PUT", f"{PATH}/", {"name": "AGAIN"})
    pair.check("PUT", f"{PATH}/", {**body, "unknown": 1})
    pair.check("PUT", f"{PATH}/", {"name": "again"})
    pair.check("GET", f"{PATH}/{first['id']}")


def test_read(pair: Pair) -> None:
    id = save(pair, "to be read", condition())
    for path in (id, NOBODY, "no-id", "name/to be read", ""):
        pair.check("GET", f"{PATH}/{path}")


def test_methods(pair: Pair) -> None:
    id = save(pair, "methods")
    for method, path in (("POST", ""), ("PATCH", id), ("PUT", id), ("PUT", "filter"), ("GET", "filter"), ("POST", "count")):
        pair.check(method, f"{PATH}/{path}", {"name": "methods"})


def test_delete(pair: Pair) -> None:
    id = save(pair, "delete", condition())
    other = save(pair, "deleted not", condition())
    for which in (id, id, NOBODY, "no-id", ""):
        pair.check("DELETE", f"{PATH}/{which}")
    pair.check("GET", f"{PATH}/{id}")
    pair.check("GET", f"{PATH}/{other}")
    anew = pair.check("PUT", f"{PATH}/", {"name": "delete"})
    pair.check("GET", f"{PATH}/{anew['id']}")
    pair.check("GET", f"{PATH}/{id}")


@pytest.fixture(scope="module")
def few_searches() -> Iterator[Pair]:
    """A few saved searches on servers that nothing else writes to."""
    with asked_side_by_side() as pair:
        for name in ("b", "ü", "a b", "B", "", "a", "aa", "to be deleted"):
            pair.prepare("PUT", f"{PATH}/", {"name": name, "filters": [condition(name)]})
        pair.prepare("PUT", f"{PATH}/", {"name": "b", "filters": [condition("changed last")]})
        deleted = save(pair, "to be deleted", condition("changed"))
        pair.prepare("DELETE", f"{PATH}/{deleted}")
        yield pair


@pytest.fixture
def dataset(few_searches: Pair, request: pytest.FixtureRequest) -> Pair:
    few_searches.test = request.node.nodeid
    return few_searches


@pytest.mark.parametrize(
    "window",
    [{}, {"limit": 3}, {"limit": 3, "offset": 2}, {"offset": 5}, {"offset": 7}, {"offset": 100}, {"limit": 0}, {"limit": 200}],
    ids=str,
)
def test_pages_are_by_name(dataset: Pair, window: Any) -> None:
    dataset.check("POST", f"{PATH}/filter", window)


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"limit": -1},
        {"offset": -1},
        {"limit": None},
        {"offset": None},
        {"limit": "2"},
        {"limit": "x"},
        {"sort": "NAME_DESC"},
        {"saved_searches": {"name": {"any_": ["a"]}}},
        {"unknown": 1},
        None,
        [],
    ],
    ids=str,
)
def test_query_requests(dataset: Pair, body: Any) -> None:
    dataset.check("POST", f"{PATH}/filter", body)


def test_a_query_without_a_body(dataset: Pair) -> None:
    dataset.check("POST", f"{PATH}/filter")


def test_no_event_tells_of_a_search(dataset: Pair) -> None:
    """The event of a variable that is made later comes, and no other before it."""
    dataset.prepare("POST", "/variables/", {"name": "sentinel", "value": 1})
    every = {"filter": {"occurred": {"since": "2020-01-01T00:00:00Z"}}}
    told = dataset.eventually("POST", "/events/filter", every, until=lambda body: body["total"] > 0)
    assert [event["event"] for event in told.json["events"]] == ["prefect.variable.created"]


def test_one_of_many_makes_the_search(pair: Pair) -> None:
    def create(value: int) -> httpx.Response:
        return httpx.put(f"{pair.subject.url}{PATH}/", json={"name": "raced", "filters": [condition(value)]}, timeout=60)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 1
    saved = httpx.get(f"{pair.subject.url}{PATH}/{ids.pop()}", timeout=60).json()
    assert saved["filters"] in [[condition(value)] for value in range(16)]
