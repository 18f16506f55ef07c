"""The default result storage of the server: a block that writes, until the block is gone."""

from __future__ import annotations

from typing import Any

import pytest

from .blocks import Kind
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


CAPABILITIES: list[list[str]] = [["read-path", "write-path"], ["write-path"], ["read-path"], ["put-directory"], []]


@pytest.mark.parametrize("capabilities", CAPABILITIES, ids=str)
@pytest.mark.parametrize("more", [{}, {"is_anonymous": True}], ids=["named", "anonymous"])
def test_which_blocks_store_results(pair: Pair, capabilities: list[str], more: Any) -> None:
    kind = Kind(pair, capabilities=capabilities)
    document = kind.make({"basepath": "/results"}, **more)
    pair.check("PUT", PATH, {FIELD: document})
    pair.check("PUT", PATH, {FIELD: document})
    pair.check("GET", PATH)
    pair.check("DELETE", PATH)
    pair.check("GET", PATH)


def test_what_is_set_is_shown_by_pools_and_kept_by_refusals(pair: Pair) -> None:
    kind = Kind(pair, capabilities=["write-path"])
    first, second = kind.make(), kind.make()
    reads = Kind(pair, capabilities=["read-path"]).make()
    for body in ({FIELD: first}, {FIELD: reads}, {FIELD: NOBODY}, {FIELD: None}, {FIELD: second}):
        pair.check("PUT", PATH, body)
        pair.check("GET", PATH)
    pair.prepare("POST", "/work_pools/", {"name": "with default storage", "type": "process"})
    pair.check("GET", "/work_pools/with default storage")
    pair.prepare("DELETE", PATH)
    pair.check("GET", "/work_pools/with default storage")


@pytest.mark.parametrize("gone", ["document", "schema", "type"])
def test_it_ends_with_the_block(pair: Pair, gone: str) -> None:
    kind = Kind(pair, capabilities=["write-path"])
    document = kind.make()
    pair.prepare("PUT", PATH, {FIELD: document})
    path = {"document": f"/block_documents/{document}", "schema": f"/block_schemas/{kind.schema}", "type": f"/block_types/{kind.type}"}
    pair.check("DELETE", path[gone])
    pair.check("GET", PATH)
