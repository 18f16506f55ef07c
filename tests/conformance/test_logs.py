"""Logs: create, filter, and the download of a flow run's logs."""

from __future__ import annotations

from typing import Any

import pytest

from . import filters
from .library import NOBODY
from .side_by_side import Pair

LOG = {"name": "prefect", "level": 20, "message": "hello", "timestamp": "2024-01-01T00:00:00Z"}


def without_ids(body: Any) -> Any:
    """Logs of equal instants come in any order, and their ids are the server's."""
    return (
        [{key: value for key, value in log.items() if key != "id"} for log in body] if isinstance(body, list) else body
    )


@pytest.mark.parametrize("sort", ["TIMESTAMP_ASC", "TIMESTAMP_DESC"])
@pytest.mark.parametrize("filter", filters.LOGS.values(), ids=filters.LOGS)
def test_filter(filled: Pair, filter: dict[str, Any], sort: str) -> None:
    filled.check("POST", "/logs/filter", {"logs": filter, "sort": sort})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"logs": None},
        {"sort": "LEVEL_ASC"},
        {"sort": None},
        {"sort": ""},
        {"logs": {"unknown": {}}},
        {"logs": {"text": {}}},
        {"logs": {"text": {"query": "x" * 201}}},
        {"logs": {"text": {"query": None}}},
        {"logs": {"text": None}},
        {"logs": {"level": {"ge_": "20"}}},
        {"logs": {"level": {"ge_": "x"}}},
        {"logs": {"level": {"ge_": 20.0}}},
        {"logs": {"level": {"ge_": 20.5}}},
        {"logs": {"level": 20}},
        {"logs": {"timestamp": {"before_": "soon"}}},
        {"logs": {"flow_run_id": {"any_": ["x"]}}},
        {"logs": {"flow_run_id": {"is_null_": True}}},
        {"logs": {"task_run_id": {"is_null_": "x"}}},
        {"logs": {"operator": "xor_"}},
        {"logs": []},
        [],
        "text",
        None,
    ],
    ids=lambda body: str(body)[:60],
)
def test_query(filled: Pair, body: Any) -> None:
    filled.check("POST", "/logs/filter", body)


@pytest.mark.parametrize("limit", [0, 1, 3, 200, 201, -1, "5", "x", 1.5, None, True])
def test_limit(filled: Pair, limit: Any) -> None:
    filled.check("POST", "/logs/filter", {"limit": limit})


@pytest.mark.parametrize("offset", [0, 1, 7, 8, 100, -1, "2", None, 1.5])
def test_offset(filled: Pair, offset: Any) -> None:
    filled.check("POST", "/logs/filter", {"offset": offset, "limit": 3, "sort": "TIMESTAMP_DESC"})


@pytest.fixture
def run(pair: Pair) -> str:
    """The id of a flow run of the test's own."""
    flow = pair.prepare("POST", "/flows/", {"name": "logs"})
    return pair.prepare("POST", "/flow_runs/", {"flow_id": flow["id"], "name": "run, with ü & more"})["id"]


@pytest.mark.parametrize(
    "log",
    [
        {},
        {"message": ""},
        {"message": "ünïcode ✓ 🌊 \u2028"},
        {"message": "control \u0001 \u001b[31mred"},
        {"message": "nul \u0000 within", "name": "nul\u0000"},
        {"message": "x" * 100_000},
        {"message": 'quote " comma , line\nreturn\r\ntab\t'},
        {"name": ""},
        {"name": "x" * 1000},
        {"level": 0},
        {"level": -5},
        {"level": 2**31 - 1},
        {"level": "30"},
        {"level": 30.0},
        {"timestamp": "2024-01-01T00:00:00"},
        {"timestamp": "2024-01-01 00:00:00.123456+05:30"},
        {"timestamp": "1970-01-01T00:00:00Z"},
        {"timestamp": "2999-12-31T23:59:59.999999Z"},
        {"timestamp": 1700000000},
        {"timestamp": 1700000000.5},
        {"timestamp": "1700000000"},
        {"timestamp": "2024-01-01"},
        {"timestamp": "2024-02-30T00:00:00Z"},
        {"timestamp": "2024-01-01T00:00:00.123456789Z"},
        {"task_run_id": NOBODY},
        {"task_run_id": None},
        {"level": "x"},
        {"level": 30.5},
        {"level": None},
        {"message": None},
        {"message": 1},
        {"message": {}},
        {"name": None},
        {"timestamp": "soon"},
        {"timestamp": None},
        {"task_run_id": "x"},
        {"flow_run_id": "x"},
        {"flow_run_id": NOBODY},
        {"id": NOBODY},
        {"created": "2024-01-01T00:00:00Z"},
        {"unknown": 1},
    ],
    ids=lambda body: str(body)[:60],
)
def test_create(pair: Pair, run: str, log: dict[str, Any]) -> None:
    pair.check("POST", "/logs/", [{**LOG, "flow_run_id": run, **log}])
    pair.check("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})


@pytest.mark.parametrize(
    "body",
    [[], {}, [{}], [LOG, {}], [LOG, {**LOG, "level": "x"}], [[]], ["text"], LOG, "text", None, [None]],
    ids=lambda body: str(body)[:60],
)
def test_create_body(pair: Pair, body: Any) -> None:
    pair.check("POST", "/logs/", body)


def test_one_bad_log_refuses_them_all(pair: Pair, run: str) -> None:
    good = {**LOG, "flow_run_id": run}
    pair.check("POST", "/logs/", [good, {**good, "timestamp": "soon"}])
    pair.check("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})


def test_batch(pair: Pair, run: str) -> None:
    """One batch of 250 logs, more than a page holds."""
    logs = [
        {**LOG, "flow_run_id": run, "message": f"line {n}", "timestamp": f"2024-01-01T00:{n // 60:02}:{n % 60:02}Z"}
        for n in range(250)
    ]
    pair.check("POST", "/logs/", logs)
    for offset in (0, 200):
        body = {"logs": {"flow_run_id": {"any_": [run]}}, "offset": offset}
        pair.check("POST", "/logs/filter", body, view=without_ids)
    pair.check("GET", f"/flow_runs/{run}/logs/download")


def test_download(pair: Pair, run: str) -> None:
    pair.check("GET", f"/flow_runs/{run}/logs/download")
    messages = ["plain", 'quote " here', "comma, here", "line\nbreak", "ünï ✓", "", " space ", "return\rhere", "=1+1"]
    logs = [
        {**LOG, "flow_run_id": run, "message": message, "level": 10 * n, "timestamp": f"2024-01-01T00:00:{n:02}.{n}5Z"}
        for n, message in enumerate(messages)
    ]
    logs[3]["task_run_id"] = NOBODY
    pair.check("POST", "/logs/", list(reversed(logs)))
    pair.check("GET", f"/flow_runs/{run}/logs/download")


@pytest.mark.parametrize("name", ["plain", "ünï ✓", "a/b", 'quote"d', "semi;colon", "line\nbreak", "100%"])
def test_download_file_name(pair: Pair, name: str) -> None:
    flow = pair.prepare("POST", "/flows/", {"name": "logs"})
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow["id"], "name": name})
    pair.check("GET", f"/flow_runs/{run['id']}/logs/download")


def test_logs_go_with_their_run(pair: Pair, run: str) -> None:
    pair.prepare("POST", "/logs/", [{**LOG, "flow_run_id": run}])
    pair.check("DELETE", f"/flow_runs/{run}")
    body = {"logs": {"flow_run_id": {"any_": [run]}}}
    pair.eventually("POST", "/logs/filter", body, until=lambda logs: logs == [])


def test_logs_go_with_their_task_run(pair: Pair, run: str) -> None:
    task = pair.prepare("POST", "/task_runs/", {"flow_run_id": run, "task_key": "t", "dynamic_key": "0", "name": "t"})
    pair.prepare("POST", "/logs/", [{**LOG, "flow_run_id": run}, {**LOG, "task_run_id": task["id"]}])
    pair.check("DELETE", f"/task_runs/{task['id']}")
    body = {"logs": {"task_run_id": {"any_": [task["id"]]}}}
    pair.eventually("POST", "/logs/filter", body, until=lambda logs: logs == [])
    pair.check("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
