"""Task workers: what is asked of them while none is connected."""

from __future__ import annotations

from typing import Any

import pytest

from .side_by_side import Pair

FILTERS = (
    None,
    {},
    {"task_keys": []},
    {"task_keys": ["a", "b"]},
    {"task_keys": "a"},
    {"task_keys": [1]},
    {"task_keys": None},
    {"x": 1},
    [],
)


@pytest.mark.parametrize("filter", FILTERS, ids=str)
def test_filters(pair: Pair, filter: Any) -> None:
    pair.check("POST", "/task_workers/filter", {"task_worker_filter": filter})


def test_no_body(pair: Pair) -> None:
    pair.check("POST", "/task_workers/filter")
    pair.check("POST", "/task_workers/filter", {})
    pair.check("GET", "/task_workers/filter")
