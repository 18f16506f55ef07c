"""The default result storage of the server. Block documents that it can be are tested with blocks."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair

PATH = "/admin/storage"
FIELD = "default_result_storage_block_id"


def test_there_is_none_at_first(pair: Pair) -> None:
    pair.check("GET", PATH)
    pair.check("DELETE", PATH)
    pair.check("DELETE", PATH)
    pair.check("GET", PATH)


@pytest.mark.parametrize(
    "body", [{FIELD: NOBODY}, {FIELD: None}, {FIELD: "x"}, {FIELD: 5}, {FIELD: NOBODY, "unknown": 1}, {}, [], None], ids=str
)
def test_what_can_not_be_set(pair: Pair, body: Any) -> None:
    pair.check("PUT", PATH, body)
    pair.check("GET", PATH)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_another_method(pair: Pair, method: str) -> None:
    pair.check(method, PATH, {})


def test_a_slash_at_the_end(pair: Pair) -> None:
    pair.check("GET", f"{PATH}/")
