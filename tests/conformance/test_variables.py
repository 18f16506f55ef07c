"""Variables: values that flows and templates share by name."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from .conftest import asked_side_by_side
from .filters import Filters, texts
from .library import NOBODY
from .side_by_side import Pair

PATH = "/variables"


def add(pair: Pair, name: str, value: Any = 1, **more: Any) -> str:
    return pair.prepare("POST", f"{PATH}/", {"name": name, "value": value, **more})["id"]


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


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
    "as-large-as-can-be": "x" * 4998,
    "one-too-large": "x" * 4999,
    "two-bytes-a-letter": "ü" * 2499,
    "two-bytes-too-large": "ü" * 2500,
    "large-list": list(range(2000)),
    "deep": nested(254),
    "too-deep": nested(255),
    "much-too-deep": nested(400),
}


@pytest.mark.parametrize("kind", VALUES)
def test_values(pair: Pair, kind: str) -> None:
    pair.check("POST", f"{PATH}/", {"name": f"value-{kind}", "value": VALUES[kind]})
    pair.check("GET", f"{PATH}/name/value-{kind}")
    id = add(pair, f"changed-{kind}")
    pair.check("PATCH", f"{PATH}/{id}", {"value": VALUES[kind]})
    pair.check("GET", f"{PATH}/{id}")


def test_integers_beyond_64_bits(pair: Pair) -> None:
    pair.check("POST", f"{PATH}/", {"name": "bigger", "value": 2**64})


@pytest.mark.parametrize("name", ["plain", "a-b_c-1", "-", "", "x\n", "x\n\n", "Upper", "a b", "ü", "a/b", "a.b", "n" * 255, "n" * 256, "N" * 256, 5, None])
def test_names(pair: Pair, name: Any) -> None:
    pair.check("POST", f"{PATH}/", {"name": name, "value": 1})


@pytest.mark.parametrize(
    "body",
    [
        {"name": "tagged", "value": 1, "tags": ["b", "a", "b"]},
        {"name": "tags-null", "value": 1, "tags": None},
        {"name": "tags-text", "value": 1, "tags": "a"},
        {"name": "tags-numbers", "value": 1, "tags": [1]},
        {"name": "unknown", "value": 1, "unknown": 1},
        {"name": "without-value"},
        {"value": 1},
        {},
        None,
        [],
    ],
    ids=str,
)
def test_create(pair: Pair, body: Any) -> None:
    pair.check("POST", f"{PATH}/", body)


def test_a_name_is_unique(pair: Pair) -> None:
    add(pair, "unique")
    pair.check("POST", f"{PATH}/", {"name": "unique", "value": 2})
    pair.check("GET", f"{PATH}/name/unique")


def test_read(pair: Pair) -> None:
    id = add(pair, "to-be-read", {"a": [1]}, tags=["t"])
    for path in (id, "name/to-be-read", NOBODY, "name/nobody", "no-id", "name/", "name/a b", "name/TO-BE-READ"):
        pair.check("GET", f"{PATH}/{path}")


CHANGES: list[Any] = [
    {"value": 7},
    {"value": None},
    {"tags": ["x", "y"]},
    {"tags": []},
    {"value": [1], "tags": ["x"]},
    {},
    {"name": None},
    {"tags": None},
    {"name": "Upper"},
    {"name": "n" * 256},
    {"value": "x" * 5000},
    {"unknown": 1},
    None,
]


@pytest.mark.parametrize("which", ["by id", "by name"])
@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_update(pair: Pair, number: int, which: str) -> None:
    name = f"update-{number}-{which.replace(' ', '-')}"
    id = add(pair, name, "old", tags=["t"])
    pair.check("PATCH", f"{PATH}/{id if which == 'by id' else f'name/{name}'}", CHANGES[number])
    pair.check("GET", f"{PATH}/{id}")
    nobody = NOBODY if which == "by id" else "name/nobody"
    pair.check("PATCH", f"{PATH}/{nobody}", CHANGES[number])


def test_rename(pair: Pair) -> None:
    id = add(pair, "old")
    add(pair, "other")
    pair.check("PATCH", f"{PATH}/name/old", {"name": "new", "value": 2})
    pair.check("GET", f"{PATH}/name/old")
    pair.check("GET", f"{PATH}/name/new")
    pair.check("PATCH", f"{PATH}/{id}", {"name": "other"})
    pair.check("PATCH", f"{PATH}/{id}", {"name": "new"})
    pair.check("GET", f"{PATH}/{id}")
    pair.check("POST", f"{PATH}/", {"name": "old", "value": 1})


def test_delete(pair: Pair) -> None:
    id = add(pair, "delete")
    add(pair, "delete-by-name")
    for which in (id, "name/delete-by-name", id, "name/delete", "no-id"):
        pair.check("DELETE", f"{PATH}/{which}")
    pair.check("GET", f"{PATH}/{id}")
    pair.check("POST", f"{PATH}/", {"name": "delete", "value": 1})


def test_changes_are_told(pair: Pair) -> None:
    id = add(pair, "told", {"a": 1}, tags=["t"])
    pair.prepare("PATCH", f"{PATH}/{id}", {"value": 2})
    pair.prepare("PATCH", f"{PATH}/{id}", {"name": "told-anew"})
    pair.prepare("DELETE", f"{PATH}/{id}")
    wanted = {"filter": {"resource": {"id": [f"prefect.variable.{id}"]}, "order": "ASC"}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda body: body["total"] == 4)


FILTERS: Filters = {
    "empty": {},
    "id": {"id": {"any_": ["@var.a@", "@var.c@", NOBODY]}},
    "id any of nothing": {"id": {"any_": []}},
    "id empty": {"id": {}},
    **texts("name", ["a_1-text", "b-100"], "tex"),
    "tags all": {"tags": {"all_": ["x"]}},
    "tags all of two": {"tags": {"all_": ["x", "y"]}},
    "tags all of nothing": {"tags": {"all_": []}},
    "tags are null": {"tags": {"is_null_": True}},
    "tags are not null": {"tags": {"is_null_": False}},
    "tags all or null": {"tags": {"operator": "or_", "all_": ["y"], "is_null_": True}},
    "name and tags": {"operator": "and_", "name": {"like_": "a"}, "tags": {"all_": ["x"]}},
    "name or tags": {"operator": "or_", "name": {"any_": ["b-100"]}, "tags": {"all_": ["y"]}},
    "id or name": {"operator": "or_", "id": {"any_": ["@var.a@"]}, "name": {"any_": ["b-100"]}},
    "id and name": {"id": {"any_": ["@var.a@"]}, "name": {"any_": ["b-100"]}},
    "or of one empty part": {"operator": "or_", "name": {"any_": ["b-100"]}, "id": {}},
    "or of nothing": {"operator": "or_"},
    "unknown field": {"value": {}},
    "unknown clause": {"id": {"not_any_": []}},
    "no id": {"id": {"any_": ["x"]}},
    "null": {"name": None},
}
SORTS = ["CREATED_DESC", "UPDATED_DESC", "NAME_DESC", "NAME_ASC"]


@pytest.fixture(scope="module")
def few_variables() -> Iterator[Pair]:
    """A few variables on servers that nothing else writes to."""
    with asked_side_by_side() as pair:
        for key, name, tags in (
            ("c", "c-texture", ["y"]),
            ("a", "a_1-text", ["x", "y"]),
            ("d", "d", []),
            ("b", "b-100", ["x"]),
        ):
            pair.prepare("POST", f"{PATH}/", {"name": name, "value": key, "tags": tags}, name=f"var.{key}")
        pair.prepare("PATCH", f"{PATH}/@var.a@", {"value": "changed last"})
        yield pair


@pytest.fixture
def dataset(few_variables: Pair, request: pytest.FixtureRequest) -> Pair:
    few_variables.test = request.node.nodeid
    return few_variables


@pytest.mark.parametrize("name", FILTERS)
def test_filter(dataset: Pair, name: str) -> None:
    dataset.check("POST", f"{PATH}/count", {"variables": FILTERS[name]})
    for sort in SORTS:
        dataset.check("POST", f"{PATH}/filter", {"variables": FILTERS[name], "sort": sort})


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("filter", [None, {"tags": {"is_null_": False}}, {"name": {"any_": ["d", "b-100", "c-texture"]}}], ids=str)
def test_pages(dataset: Pair, sort: str, filter: Any) -> None:
    for window in ({"limit": 2}, {"limit": 2, "offset": 1}, {"offset": 3}, {"offset": 9}, {"limit": 0}):
        dataset.check("POST", f"{PATH}/filter", {"variables": filter, "sort": sort, **window})


@pytest.mark.parametrize(
    "body",
    [{}, {"limit": 201}, {"limit": -1}, {"offset": -1}, {"limit": None}, {"sort": "x"}, {"sort": None}, {"unknown": 1}, None, []],
    ids=str,
)
def test_query_requests(dataset: Pair, body: Any) -> None:
    dataset.check("POST", f"{PATH}/filter", body)
    dataset.check("POST", f"{PATH}/count", body)


def test_one_of_many_gets_a_name(pair: Pair) -> None:
    def create(value: int) -> int:
        return httpx.post(f"{pair.subject.url}{PATH}/", json={"name": "raced", "value": value}, timeout=60).status_code

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(16)))
    assert sorted(answers) == [201] + [409] * 15


def test_renames_leave_each_name_to_one(pair: Pair) -> None:
    url = f"{pair.subject.url}{PATH}"
    ids = [httpx.post(f"{url}/", json={"name": f"racer-{n}", "value": n}, timeout=60).json()["id"] for n in range(8)]

    def rename(id: str) -> int:
        return httpx.patch(f"{url}/{id}", json={"name": "racers-goal"}, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(rename, ids))
    assert sorted(answers) == [204] + [409] * 7
    names = [httpx.get(f"{url}/{id}", timeout=60).json()["name"] for id in ids]
    assert names.count("racers-goal") == 1
    assert httpx.get(f"{url}/name/racers-goal", timeout=60).json()["id"] == ids[names.index("racers-goal")]
