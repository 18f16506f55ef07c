"""Deployments that are not there: what each operation that reads or deletes one answers, and what requests it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair

PATH = "/deployments"


@pytest.mark.parametrize("id", [NOBODY, "nobody", NOBODY.upper(), NOBODY.replace("-", "")])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_nobody(pair: Pair, method: str, id: str) -> None:
    pair.check(method, f"{PATH}/{id}")


def test_nobody_by_name(pair: Pair) -> None:
    pair.prepare("POST", "/flows/", {"name": "deployments-without"})
    pair.check("GET", f"{PATH}/name/deployments-without/nobody")
    pair.check("GET", f"{PATH}/name/nobody/nobody")
    pair.check("GET", f"{PATH}/name/deployments-without/")


@pytest.mark.parametrize("operation", ["filter", "count", "paginate"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sort": "CREATED_DESC"},
        {"sort": "ID_DESC"},
        {"limit": 0},
        {"limit": 201},
        {"offset": -1},
        {"page": 0},
        {"page": 3, "limit": 5},
        {"unknown": 1},
        {"deployments": {"id": {"any_": [NOBODY]}}},
        {"deployments": {"name": {"any_": ["nobody"]}}, "sort": "NAME_DESC"},
        {"deployments": {"flow_or_deployment_name": {"like_": "nobody"}}, "sort": "UPDATED_DESC"},
        {"deployments": {"paused": {"eq_": "x"}}},
        {"deployments": {"unknown": 1}},
        {"flows": {"name": {"any_": ["nobody"]}}},
        {"flow_runs": {"id": {"any_": [NOBODY]}}, "task_runs": {"id": {"any_": [NOBODY]}}},
        {"work_pools": {"name": {"any_": ["nobody"]}}},
        {"work_pool_queues": {"name": {"any_": ["nobody"]}}},
    ],
    ids=str,
)
def test_nothing_is_found(pair: Pair, operation: str, body: dict[str, Any]) -> None:
    pair.check("POST", f"{PATH}/{operation}", {"flows": {"name": {"any_": ["nobody"]}}, **body})
