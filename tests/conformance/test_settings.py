"""Settings of the API itself: how long a page is, and where the API is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import asked_side_by_side
from .side_by_side import Pair

BASE_PATH = "/v2/api"
PAGES = [
    f"/{resource}/{verb}"
    for resource, verbs in {
        "flows": ("filter", "paginate"),
        "flow_runs": ("filter", "paginate"),
        "task_runs": ("filter", "paginate"),
        "logs": ("filter",),
    }.items()
    for verb in verbs
]


@pytest.fixture(scope="module", params=[3, 500], ids=["limit 3", "limit 500"])
def limited(request: pytest.FixtureRequest) -> Iterator[tuple[Pair, int]]:
    """Both servers with another limit of pages, at another base path, with a page and one flow more."""
    limit: int = request.param
    settings = {
        "PREFECT_SERVER_API_DEFAULT_LIMIT": str(limit),
        "PREFECT_SERVER_API_BASE_PATH": BASE_PATH,
    }
    with asked_side_by_side(settings) as pair:
        pair.test = request.node.nodeid
        for number in range(4):
            pair.check("POST", "/flows/", {"name": f"flow {number}"})
        yield pair, limit


@pytest.mark.parametrize("path", PAGES)
def test_limit_of_pages(limited: tuple[Pair, int], request: pytest.FixtureRequest, path: str) -> None:
    pair, limit = limited
    pair.test = request.node.nodeid
    for body in (
        None,
        {},
        {"limit": None},
        {"limit": limit},
        {"limit": limit + 1},
        {"limit": str(limit + 1)},
        {"limit": -1},
        {"limit": 2**64},
        {"limit": 0, "offset": 1} if path.endswith("filter") else {"limit": limit, "page": 2},
    ):
        pair.check("POST", path, body)


def test_base_path(limited: tuple[Pair, int], request: pytest.FixtureRequest) -> None:
    pair, _ = limited
    pair.test = request.node.nodeid
    for path in ("/health", f"{BASE_PATH}/health", f"{BASE_PATH}/nowhere", "/api/health", "/api/flows/filter"):
        pair.check("GET", path, from_root=True)
    for path in (f"{BASE_PATH}/flows/filter/", f"{BASE_PATH}/flows", "/api/flows/"):
        pair.check("POST", path, {}, from_root=True)

    def servers(document: dict[str, Any]) -> Any:
        return document.get("servers")

    for path in ("/openapi.json", f"{BASE_PATH}/openapi.json"):
        pair.check("GET", path, from_root=True, view=servers)


def test_next_page_is_under_the_base_path(limited: tuple[Pair, int], request: pytest.FixtureRequest) -> None:
    pair, _ = limited
    pair.test = request.node.nodeid
    events = [
        {
            "occurred": f"2026-01-31T09:30:0{second}Z",
            "event": "kettle.boiled",
            "resource": {"prefect.resource.id": "kettle"},
            "id": f"01980000-0000-7000-8000-00000000000{second}",
        }
        for second in range(3)
    ]
    pair.check("POST", "/events", events)
    occurred = {"since": "2026-01-31T00:00:00Z", "until": "2026-02-01T00:00:00Z"}
    body = {"limit": 2, "filter": {"occurred": occurred, "event": {"name": ["kettle.boiled"]}}}

    def link(page: dict[str, Any]) -> list[Any]:
        return [page["total"], (page["next_page"] or "").split("?")[0]]

    pair.eventually("POST", "/events/filter", body, until=lambda page: page["total"] == 3, view=link)
