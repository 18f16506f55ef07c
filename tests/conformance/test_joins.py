"""Filters on what flow runs, deployments and flows belong to: deployments, work pools and queues, alone and together."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair, sorted_by

Body = dict[str, Any]


@pytest.fixture
def joined(joined_session: Pair, request: pytest.FixtureRequest) -> Pair:
    joined_session.test = request.node.nodeid
    return joined_session


@pytest.fixture(scope="module")
def joined_session(session_pair: Pair) -> Pair:
    """Two flows, two pools, three queues, four deployments and nine flow runs, of which three have no deployment."""
    pair = session_pair
    for number in (1, 2):
        pair.prepare("POST", "/flows/", {"name": f"joins-{number}"}, name=f"joins.flow.{number}")
        kind = "process" if number == 1 else "docker"
        pool = {"name": f"joins-{number}", "type": kind}
        pair.prepare("POST", "/work_pools/", pool, name=f"joins.pool.{number}")
    pair.prepare("POST", "/work_pools/joins-1/queues", {"name": "joins-other"}, name="joins.queue.1")
    places: list[tuple[int, Body]] = [
        (1, {"work_pool_name": "joins-1"}),
        (1, {"work_pool_name": "joins-1", "work_queue_name": "joins-other", "paused": True}),
        (2, {"work_pool_name": "joins-2", "tags": ["joins-a"]}),
        (2, {"tags": ["joins-a", "joins-b"]}),
    ]
    for number, (flow, place) in enumerate(places):
        body = {"name": f"joins-{number}", "flow_id": f"@joins.flow.{flow}@", **place}
        pair.prepare("POST", "/deployments/", body, name=f"joins.deployment.{number}")
        for run in range(2 if number < 2 else 1):
            state = {"type": "SCHEDULED" if run else "PENDING"}
            run_body = {"name": f"joins-run-{number}-{run}", "state": state, "tags": ["joins"]}
            pair.prepare("POST", f"/deployments/@joins.deployment.{number}@/create_flow_run", run_body)
    for flow in (1, 1, 2):
        number = len(pair.oracle.references)
        body = {"name": f"joins-run-own-{number}", "flow_id": f"@joins.flow.{flow}@", "tags": ["joins"]}
        pair.prepare("POST", "/flow_runs/", body | {"state": {"type": "RUNNING"}}, name=f"joins.own.{number}")
    return pair


RELATED: list[tuple[str, Body]] = [
    ("deployments", {"id": {"any_": ["@joins.deployment.0@", "@joins.deployment.2@", NOBODY]}}),
    ("deployments", {"id": {"not_any_": ["@joins.deployment.0@"]}, "name": {"like_": "joins-"}}),
    ("deployments", {"name": {"any_": ["joins-1", "joins-3"]}}),
    ("deployments", {"paused": {"eq_": True}, "name": {"like_": "joins"}}),
    ("deployments", {"tags": {"all_": ["joins-a"]}}),
    ("deployments", {"tags": {"any_": ["joins-b"]}}),
    ("deployments", {"work_queue_name": {"any_": ["joins-other"]}}),
    ("deployments", {"flow_or_deployment_name": {"like_": "JOINS-1"}}),
    ("work_pools", {"name": {"any_": ["joins-1"]}}),
    ("work_pools", {"id": {"any_": ["@joins.pool.2@"]}}),
    ("work_pools", {"type": {"any_": ["docker"]}, "name": {"any_": ["joins-1", "joins-2"]}}),
    ("work_pools", {"name": {"any_": ["nobody"]}}),
    ("work_pool_queues", {"name": {"any_": ["joins-other"]}}),
    ("work_pool_queues", {"id": {"any_": ["@joins.queue.1@"]}}),
    ("work_pool_queues", {"name": {"startswith_": ["joins"]}}),
    ("flows", {"name": {"any_": ["joins-1"]}}),
    ("flows", {"name": {"like_": "joins"}, "deployment": {"is_null_": False}}),
    ("flows", {"name": {"like_": "joins"}, "deployment": {"is_null_": True}}),
    ("flow_runs", {"state": {"type": {"any_": ["SCHEDULED"]}}, "tags": {"all_": ["joins"]}}),
    ("flow_runs", {"deployment_id": {"any_": ["@joins.deployment.1@"]}}),
    ("flow_runs", {"deployment_id": {"is_null_": True}, "tags": {"all_": ["joins"]}}),
    ("flow_runs", {"work_queue_name": {"any_": ["joins-other"]}}),
    ("flow_runs", {"name": {"any_": ["joins-run-0-0", "joins-run-3-0"]}}),
]

SORTS = ["NAME_ASC", "NAME_DESC"]
ALL = {"flow_runs": {"tags": {"all_": ["joins"]}}}


def together(filters: tuple[tuple[str, Body], ...]) -> Body | None:
    """Returns the filters as one body; nothing if two are on the same kind of record."""
    body = dict(filters)
    return body if len(body) == len(filters) else None


def with_sorted_tags(body: Any) -> Any:
    """The oracle puts the tags of a run together with its deployment's in an order of chance."""
    if isinstance(body, list):
        return [with_sorted_tags(item) for item in body]
    if isinstance(body, dict):
        return {key: sorted(value) if key == "tags" else with_sorted_tags(value) for key, value in body.items()}
    return body


ONES = [dict([one]) for one in RELATED]
PAIRS = [body for two in combinations(RELATED, 2) if (body := together(two)) is not None]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("body", ONES, ids=str)
def test_flow_runs_of_what_matches(joined: Pair, body: Body, sort: str) -> None:
    joined.check("POST", "/flow_runs/filter", ALL | body | {"sort": sort}, view=with_sorted_tags)
    joined.check("POST", "/flow_runs/filter", ALL | body | {"sort": sort, "limit": 2, "offset": 1}, view=with_sorted_tags)
    joined.check("POST", "/flow_runs/paginate", ALL | body | {"sort": sort, "limit": 3, "page": 1}, view=with_sorted_tags)


@pytest.mark.parametrize("body", PAIRS, ids=str)
def test_two_filters_must_both_match(joined: Pair, body: Body) -> None:
    joined.check("POST", "/flow_runs/filter", ALL | body | {"sort": "NAME_ASC"}, view=with_sorted_tags)
    joined.check("POST", "/flow_runs/count", ALL | body)


@pytest.mark.parametrize("body", ONES, ids=str)
def test_deployments_of_what_matches(joined: Pair, body: Body) -> None:
    named = {"deployments": {"name": {"like_": "joins-"}}} | body
    joined.check("POST", "/deployments/filter", named | {"sort": "NAME_ASC"}, view=sorted_by("name"))
    joined.check("POST", "/deployments/count", named)


@pytest.mark.parametrize("body", [one for one in ONES if "work_pool_queues" not in one], ids=str)
def test_flows_of_what_matches(joined: Pair, body: Body) -> None:
    named = {"flows": {"name": {"like_": "joins-"}}} | body
    joined.check("POST", "/flows/filter", named | {"sort": "NAME_ASC"})
    joined.check("POST", "/flows/count", named)
