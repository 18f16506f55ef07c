"""What no client should send: broken JSON, wrong encodings, enormous and deeply nested bodies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair

JSON = {"content-type": "application/json"}

# One operation of every way to take a body.
BODIES = (
    ("POST", "/flows/"),
    ("POST", "/flows/filter"),
    ("POST", "/flow_runs/"),
    ("POST", "/flow_runs/filter"),
    ("POST", f"/flow_runs/{NOBODY}/set_state"),
    ("PATCH", f"/flow_runs/{NOBODY}"),
    ("PATCH", f"/flow_runs/{NOBODY}/labels"),
    ("POST", f"/flow_runs/{NOBODY}/input"),
    ("POST", "/task_runs/"),
    ("POST", "/task_runs/filter"),
    ("POST", "/logs/"),
    ("POST", "/logs/filter"),
    ("POST", "/events"),
    ("POST", "/events/filter"),
)


@pytest.fixture
def flow(pair: Pair) -> str:
    """The id of a flow, the same one for all tests."""
    return pair.prepare("POST", "/flows/", {"name": "errors"})["id"]


@pytest.mark.parametrize(("method", "path"), BODIES)
def test_no_body(pair: Pair, method: str, path: str) -> None:
    """Only queries do without one; a flow run filter must not answer with other tests' runs here."""

    def kind(body: Any) -> Any:
        return "a list" if isinstance(body, list) or (isinstance(body, dict) and "events" in body) else body

    pair.check(method, path, view=kind)
    pair.check(method, path, content=b"", headers=JSON, view=kind)
    pair.check(method, path, content=b"null", headers=JSON, view=kind)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"}",
        b'{"a": 1,}',
        b"{'a': 1}",
        b'{"a": 1} x',
        b'{"a" 1}',
        b'{"a":\n\n  x}',
        b"[1, 2",
        b'"unclosed',
        b'{"a": "\\x"}',
        b'{"a": "tab\there"}',
        b"nul",
        b"tru",
        b"01",
        b"1.",
        b"-",
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"name": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"name": "byte order mark"}',
        b" \n\t ",
        b"\x00",
    ],
    ids=repr,
)
@pytest.mark.parametrize("path", ["/flows/", "/logs/"])
def test_broken_json(pair: Pair, path: str, content: bytes) -> None:
    pair.check("POST", path, content=content, headers=JSON)


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "half a pair \\ud800"}',
        b'{"name": "a pair \\ud83c\\udf0a"}',
        b'{"name": "not a number", "labels": {"n": NaN}}',
        b'{"name": "infinity", "labels": {"n": Infinity}}',
        b'{"name": "1e400", "labels": {"n": 1e400}}',
        b'{"name": "first", "name": "second key wins"}',
        b'{"name": "\\u0000"}',
        b'{"name": "\\u007f\\u0080\\u200b\\ufeff"}',
    ],
    ids=repr,
)
def test_odd_json(pair: Pair, content: bytes) -> None:
    pair.check("POST", "/flows/", content=content, headers=JSON)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/vnd.api+json",
        "application/json-patch",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "nonsense",
        "",
    ],
)
def test_content_type(pair: Pair, content_type: str) -> None:
    pair.check("POST", "/flows/", {"name": "content type"}, headers={"content-type": content_type})


def test_no_content_type(pair: Pair) -> None:
    pair.check("POST", "/flows/", content=b'{"name": "content type"}')


def parameters_of(size: int) -> dict[str, Any]:
    """Parameters that are `size` bytes of JSON."""
    return {"x": "y" * (size - len(json.dumps({"x": ""})))}


@pytest.mark.parametrize("size", [1_000, 100_000, 524_288 - 1, 524_288, 524_288 + 1, 600_000, 2_000_000])
def test_size_of_parameters(pair: Pair, flow: str, size: int) -> None:
    body = {"flow_id": flow, "name": "large", "parameters": parameters_of(size)}
    answer = pair.check("POST", "/flow_runs/", body)
    if answer.status == 201:
        pair.check("GET", f"/flow_runs/{answer['id']}")
        pair.check("DELETE", f"/flow_runs/{answer['id']}")


@pytest.mark.parametrize("size", [524_288, 524_288 + 1])
def test_size_of_updated_parameters(pair: Pair, flow: str, size: int) -> None:
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "grows"})
    pair.check("PATCH", f"/flow_runs/{run['id']}", {"parameters": parameters_of(size)})
    pair.check("GET", f"/flow_runs/{run['id']}")


@pytest.mark.parametrize("character", ["ü", "✓", "🌊", '"', "\n", "\u0001"])
def test_size_of_parameters_in_other_scripts(pair: Pair, flow: str, character: str) -> None:
    for count in (524_288 // 6 - 10, 524_288 // 3):
        body = {"flow_id": flow, "name": "large", "parameters": {"x": character * count}}
        pair.check("POST", "/flow_runs/", body, view=lambda body: {**body, "parameters": None})


def nested(depth: int, kind: str) -> bytes:
    left, right = {"lists": (b"[", b"]"), "objects": (b'{"a":', b"}")}[kind]
    return left * depth + b"1" + right * depth


@pytest.mark.parametrize("depth", [10, 60, 100, 200, 900, 5_000, 100_000])
@pytest.mark.parametrize("kind", ["lists", "objects"])
def test_depth(pair: Pair, flow: str, kind: str, depth: int) -> None:
    value = nested(depth, kind)
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "deep"})
    path = f"/flow_runs/{run['id']}"
    pair.check("PATCH", path, content=b'{"parameters": {"x": %s}}' % value, headers=JSON, view=kind_of_error)
    pair.check("PATCH", f"{path}/labels", content=b'{"x": %s}' % value, headers=JSON, view=kind_of_error)
    pair.check("GET", path)


def kind_of_error(body: Any) -> Any:
    """An error without the rejected value in it, which is enormous here."""
    if isinstance(body, dict) and "exception_detail" in body:
        return [(problem["type"], problem["loc"][:3]) for problem in body["exception_detail"]][:1]
    return body


@pytest.mark.parametrize("number", [2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63) - 1, 1e308])
def test_huge_numbers(filled: Pair, pair: Pair, flow: str, number: float) -> None:
    for body in ({"limit": number}, {"offset": number}, {"page": number}):
        path = "/flows/paginate" if "page" in body else "/flows/filter"
        filled.check("POST", path, body)
    pair.check("POST", "/flow_runs/", {"flow_id": flow, "name": "n", "parameters": {"n": number}})
    pair.check("POST", "/flows/", {"name": f"number {number}", "labels": {"n": number}})
    log = {"name": "n", "level": number, "message": "m", "timestamp": "2024-01-01T00:00:00Z"}
    pair.check("POST", "/logs/", [log])
    policy = {"retries": number, "retry_delay": number}
    pair.check("POST", "/flow_runs/", {"flow_id": flow, "name": "n", "empirical_policy": policy})


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "10000-01-01T00:00:00Z",
        "2024-02-29T24:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01T00:00:00+25:00",
        "2024-01-01T00:00:00-23:59",
        "2024-01-01t00:00:00z",
        "2024-01-01T00:00",
        "2024-01-01T00:00:00,5Z",
        "20240101T000000Z",
        "2024-W01-1",
        "1e10",
        "",
        -1,
        10**18,
        1.5,
        True,
        {},
    ],
    ids=str,
)
def test_times(filled: Pair, pair: Pair, flow: str, time: Any) -> None:
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": time}}
    pair.check("POST", "/flow_runs/", {"flow_id": flow, "name": "time", "state": state})
    filter = {"expected_start_time": {"after_": time}}
    filled.check("POST", "/flow_runs/filter", {"flow_runs": filter, "sort": "NAME_ASC"})


@pytest.mark.parametrize(
    "text",
    [
        "\u0000",
        "a\u0000b",
        "\u0001\u001f",
        "\u2028\u2029",
        "\u202eabc",
        "é",
        "e\u0301",
        "ﬃ",
        "İi̇ıI",
        "'; DROP TABLE flow; --",
        "x" * 20_000,
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_text(filled: Pair, pair: Pair, flow: str, text: str) -> None:
    pair.check("POST", "/flows/", {"name": f"text {text}", "tags": [text], "labels": {text: text}})
    run = pair.check("POST", "/flow_runs/", {"flow_id": flow, "name": text, "tags": [text], "idempotency_key": text})
    pair.check("POST", "/flow_runs/filter", {"flow_runs": {"name": {"any_": [text]}, "tags": {"all_": [text]}}})
    pair.check("POST", "/flow_runs/count", {"flow_runs": {"name": {"like_": text}, "id": {"any_": [run["id"]]}}})
    pair.check("DELETE", f"/flow_runs/{run['id']}")
    filled.check("POST", "/flows/filter", {"flows": {"name": {"like_": text}, "tags": {"all_": [text]}}})


@pytest.mark.parametrize("count", [100, 1_000, 5_000])
def test_many_values_in_a_filter(filled: Pair, count: int) -> None:
    ids = [f"00000000-0000-4000-8000-{n:012d}" for n in range(count)]
    body = {"flow_runs": {"id": {"any_": [*ids, "@run.failed@"]}}, "sort": "NAME_ASC"}
    filled.check("POST", "/flow_runs/filter", body)
    filled.check("POST", "/flow_runs/count", {"flow_runs": {"tags": {"all_": [f"t{n}" for n in range(count)]}}})


@pytest.mark.parametrize(
    "path", ["/flows/name/%00", "/flows/name/%ff", "/flows/name/%2F", "/flows/name/a%20b", "/flows/name/%C3%BC"]
)
def test_odd_paths(pair: Pair, path: str) -> None:
    pair.check("GET", path)


def test_deleting_twice(pair: Pair, flow: str) -> None:
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "twice"})
    for _ in range(2):
        pair.check("DELETE", f"/flow_runs/{run['id']}")
    pair.check("POST", f"/flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}})
    pair.check("PATCH", f"/flow_runs/{run['id']}", {"name": "gone"})


def test_a_refused_request_writes_nothing(pair: Pair, flow: str) -> None:
    run = pair.prepare("POST", "/flow_runs/", {"flow_id": flow, "name": "kept", "tags": ["kept"]})
    path = f"/flow_runs/{run['id']}"
    pair.check("PATCH", path, {"name": "changed", "tags": "not a list"})
    pair.check("POST", f"{path}/set_state", {"state": {"type": "RUNNING", "message": 5}})
    pair.check("PATCH", f"{path}/labels", ["not an object"])
    pair.check("GET", path)
    pair.check("GET", "/flow_run_states/", params={"flow_run_id": run["id"]})
