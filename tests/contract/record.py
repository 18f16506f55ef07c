"""Records how the oracle answers malformed and odd requests, into vectors.json beside this file.

Usage: record.py BASE_URL, with a fresh oracle (`shared/oracle/serve.sh DIR PORT`) at BASE_URL, such as
http://127.0.0.1:4300/api. Only the standard library is needed. `cargo test -p common --test contract_vectors`
replays what was recorded.

The requests come from two places: for every field that an operation's schema reaches, a set of wrong and odd values
that its type calls for; and a list of hand-picked requests.
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
CONTRACT = json.loads((HERE.parent.parent / "common/contract/documents/openapi-3.9.1.json").read_text())
COMPONENTS = CONTRACT["components"]["schemas"]
UUID = "01a2034c-a60e-77df-8caf-82a280613781"
TIME = "2026-01-31T09:30:00Z"

# Every operation of the first milestone that takes a parameter or a body.
OPERATIONS = [
    ("POST", "/flows/"),
    ("PATCH", "/flows/{id}"),
    ("GET", "/flows/{id}"),
    ("DELETE", "/flows/{id}"),
    ("POST", "/flows/count"),
    ("POST", "/flows/filter"),
    ("POST", "/flows/paginate"),
    ("POST", "/flows/bulk_delete"),
    ("POST", "/flow_runs/"),
    ("PATCH", "/flow_runs/{id}"),
    ("GET", "/flow_runs/{id}"),
    ("DELETE", "/flow_runs/{id}"),
    ("POST", "/flow_runs/count"),
    ("POST", "/flow_runs/filter"),
    ("POST", "/flow_runs/paginate"),
    ("POST", "/flow_runs/{id}/set_state"),
    ("PATCH", "/flow_runs/{id}/labels"),
    ("POST", "/flow_runs/{id}/input"),
    ("POST", "/flow_runs/{id}/input/filter"),
    ("GET", "/flow_runs/{id}/logs/download"),
    ("GET", "/flow_run_states/{id}"),
    ("GET", "/flow_run_states/"),
    ("POST", "/task_runs/"),
    ("PATCH", "/task_runs/{id}"),
    ("GET", "/task_runs/{id}"),
    ("DELETE", "/task_runs/{id}"),
    ("POST", "/task_runs/count"),
    ("POST", "/task_runs/filter"),
    ("POST", "/task_runs/paginate"),
    ("POST", "/task_runs/history"),
    ("POST", "/task_runs/{id}/set_state"),
    ("GET", "/task_run_states/{id}"),
    ("GET", "/task_run_states/"),
    ("POST", "/logs/"),
    ("POST", "/logs/filter"),
    ("POST", "/events"),
    ("POST", "/events/filter"),
    ("GET", "/csrf-token"),
]

# Bodies that are valid, to which the mutations are applied.
BASES: dict[str, Any] = {
    "/flows/": {"name": "a flow"},
    "/flow_runs/": {"flow_id": UUID},
    "/flow_runs/{id}/set_state": {"state": {"type": "RUNNING"}},
    "/flow_runs/{id}/input": {"key": "k", "value": "v"},
    "/flow_runs/{id}/input/filter": {"prefix": "p"},
    "/task_runs/": {"task_key": "t", "dynamic_key": "0", "flow_run_id": UUID},
    "/task_runs/{id}/set_state": {"state": {"type": "RUNNING"}},
    "/task_runs/history": {"history_start": TIME, "history_end": TIME, "history_interval_seconds": 60},
    "/logs/": [{"name": "n", "level": 20, "message": "m", "timestamp": TIME}],
    "/events": [
        {
            "occurred": TIME,
            "event": "e",
            "resource": {"prefect.resource.id": "r"},
            "related": [{"prefect.resource.id": "r", "prefect.resource.role": "o"}],
            "id": UUID,
        }
    ],
}

STRUCTURES = [None, True, [], {}, "text", 7]
WRONG: dict[str, list[Any]] = {
    "string": [None, 5, 1.5, True, [], {}, "", "a/b", "x" * 201],
    "uuid": [None, 5, "", "x", UUID.replace("-", ""), UUID.upper(), f"urn:uuid:{UUID}", UUID + "0", "g" * 32, [], {}],
    "date-time": [
        None, 0, -1, 1.5, 1e20, True, "", "2024", "2024-01-01", "2024-13-01", "abc", "2024-01-01T00:00:00",
        "2024-01-01 00:00:00+02:00", "2024-01-01T00:00:00+25:00", "2024-W01", "P1D", "12:00", [], {},
    ],
    "integer": [None, "5", "x", "", " 5 ", "5.0", "1_000", 5.0, 5.5, True, -1, 0, 10**30, "9" * 30, [], {}],
    "number": [None, "5", "x", "1e3", 5, 5.5, True, -1, [], {}],
    "boolean": [None, "yes", "OFF", "maybe", 0, 1, 2, 0.0, 0.5, [], {}],
    "array": [None, "x", 5, {}, True, [None], [5], [[]], ["x"]],
    "object": [None, "x", 5, [], True, {"unknown": 1}],
    "enum": [None, "x", 5, [], {}],
}


class Sent(NamedTuple):
    """A request: what identifies the operation, and what is sent."""

    method: str
    template: str
    path: dict[str, str]
    query: str
    headers: dict[str, str]
    body: bytes


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return COMPONENTS[reference.rsplit("/", 1)[1]] if reference else schema


def wrong_values(schema: dict[str, Any]) -> list[Any]:
    schema = resolve(schema)
    if "anyOf" in schema:
        values: list[Any] = []
        for member in schema["anyOf"]:
            values += [value for value in wrong_values(member) if value not in values]
        return values
    if "enum" in schema or "const" in schema:
        return WRONG["enum"]
    return WRONG.get(schema.get("format", ""), WRONG.get(schema.get("type", ""), STRUCTURES))


def mutations(schema: dict[str, Any], base: Any, walked: set[str]) -> Iterator[Any]:
    """Yields bodies that differ from `base` in one place; a component within another is walked only once."""
    reference = schema.get("$ref", "")
    if reference in walked:
        return
    if reference:
        walked.add(reference)
    schema = resolve(schema)
    for member in schema.get("anyOf", []):
        yield from mutations(member, base, walked)
    if "items" in schema:
        items = base if isinstance(base, list) and base else [{}]
        for mutated in mutations(schema["items"], items[0], walked):
            yield [mutated]
    properties = schema.get("properties")
    if properties is None:
        return
    fields = base if isinstance(base, dict) else {}
    for missing in fields:
        yield {name: value for name, value in fields.items() if name != missing}
    yield {**fields, "undeclared": 1}
    for name, field in properties.items():
        for value in wrong_values(field):
            yield {**fields, name: value}
        for value in mutations(field, fields.get(name), walked):
            yield {**fields, name: value}


def generated() -> Iterator[Sent]:
    walked: set[str] = set()
    for method, template in OPERATIONS:
        operation = CONTRACT["paths"][template][method.lower()]
        path = {name: UUID for name in ("id",) if "{id}" in template}
        queries = [p for p in operation.get("parameters", []) if p["in"] == "query"]
        for query in queries:
            for value in WRONG["uuid"] if query["schema"].get("format") == "uuid" else ["", "x"]:
                pairs = {query["name"]: value if isinstance(value, str) else json.dumps(value), "other": "1"}
                yield Sent(method, template, path, urllib.parse.urlencode(pairs), {}, b"")
            yield Sent(method, template, path, "", {}, b"")
            yield Sent(method, template, path, f"{query['name']}=x&{query['name']}={UUID}", {}, b"")
        if path:
            for value in ("x", "1", UUID.upper(), UUID.replace("-", ""), UUID[:-1], "filter-me"):
                yield Sent(method, template, {"id": value}, "", {}, b"")
        if "requestBody" not in operation:
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        base = BASES.get(template, {})
        json_type = {"content-type": "application/json"}
        for body in [*STRUCTURES, [5], [None], "", base]:
            yield Sent(method, template, path, "", json_type, json.dumps(body).encode())
        for body in mutations(schema, base, walked):
            yield Sent(method, template, path, "", json_type, json.dumps(body).encode())


def picked() -> Iterator[Sent]:
    """Yields requests that no rule generates."""

    def post(template: str, body: Any, headers: dict[str, str] | None = None, method: str = "POST") -> Sent:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = {"id": UUID} if "{id}" in template else {}
        return Sent(method, template, path, "", headers or {"content-type": "application/json"}, text)

    for text in (
        b"", b" ", b"{", b"}", b'{"a"', b'{"a":', b'{"a":}', b'{"a":1', b'{"a":1,', b'{"a":1,}', b"{'a':1}", b'{"name":"x"}x',
        b'{"name":"x"} \n', b"[1,]", b"[1 2]", b"[", b'["a', b'"\\x"', b'"\\u12"', b'"\\u12g4"', b'"a\tb"', b'"\x7f"', b"nul",
        b"nulll", b"tru", b"-", b"01", b"1.", b"1.e5", b".5", b"1e", b"+1", b"0x10", b"'x'", b"\xef\xbb\xbf{}", b'{"\xc3\xa9" 1}',
        b"\xff\xfe{\x00}\x00", b'{"name":"\xff"}', b'{"name":"a","name":5}', b'{"name":5,"name":"b"}', b"\x00", b'{"a":1}\x00',
        b"/* */{}", b"[" * 2000, b"[" * 50 + b"]" * 50, '{"name":"é/\u0001"}'.encode(), b'"\\ud83d\\ude00"', b"1e400x", b"true false",
    ):  # fmt: skip
        yield post("/flows/", text)
        yield post("/flows/filter", text)
    for kind in (
        "text/plain", "application/json; charset=utf-8", "APPLICATION/JSON", "application/problem+json", "application/x-json",
        "json", "", "application/json;", "text/json", "multipart/form-data", " application/json ", "application/jsonp",
    ):  # fmt: skip
        for template in ("/flows/", "/flows/filter", "/logs/", "/events"):
            yield post(template, {"name": 5, "limit": "x"}, {"content-type": kind})
    for version in ("0.8.4", "0.8.0", "0.7.9", "1.0.0", "0.8", "x", "", "0.8.x", "0.8.4.1", " 0.8.4", "-1.0.0", "0.08.4", "1_0.0.0"):
        yield post("/flows/", {"name": 5}, {"content-type": "application/json", "x-prefect-api-version": version})
        yield post("/flows/filter", {"limit": "x"}, {"content-type": "application/json", "x-prefect-api-version": version})
    for limit in (0, 1, 200, 201, -1, "200", "201", "-1", 200.0, 200.5, True, None, 10**18):
        for template in ("/flows/filter", "/flow_runs/filter", "/flow_runs/paginate", "/task_runs/filter", "/logs/filter"):
            yield post(template, {"limit": limit, "offset": "x", "page": "x"})
    for limit in (0, 50, 51, -1, "7", 1.5):
        yield post("/events/filter", {"limit": limit, "filter": {"order": "x"}})
    for field, values in {
        "labels": [{"a": value} for value in (True, 1, 1.5, "x", None, [], {}, [1])],
        "tags": [["a", "a"], ["", " "], [None], ["x", 5, {}, "y"], "tag"],
        "name": ["", None, 0, False, [], {}, " ", "a/b", "a%b", "a&b", "a<b", "a>b", "é", "x" * 5000, "a\nb", "\u0000", 1, [1]],
    }.items():
        for value in values:
            yield post("/flows/", {"name": "ok", field: value})
            yield post("/flow_runs/", {"flow_id": UUID, field: value})
            yield post("/task_runs/", {"task_key": "t", "dynamic_key": "d", field: value})
    for policy in (
        {"max_retries": 3}, {"max_retries": "3"}, {"max_retries": "x"}, {"max_retries": 0, "retries": "x"}, {"retry_delay_seconds": "y"},
        {"retry_delay_seconds": 2.5}, {"retry_delay": "x"}, {"retry_delay": ["x", 2.5]}, {"retry_delay": [1, 2.5]}, {"retry_delay": {}},
        {"retry_delay": [1] * 51}, {"retry_jitter_factor": -1}, {"retry_jitter_factor": "x"}, {"pause_keys": ["a", "a", 5]},
        {"retry_type": "x"}, {"retry_type": "reschedule"}, {"resuming": "x"}, {"unknown": 1}, {"retries": 1.5}, {"retry_delay": True},
    ):  # fmt: skip
        yield post("/flow_runs/", {"flow_id": "x", "empirical_policy": policy})
        yield post("/task_runs/", {"task_key": 5, "dynamic_key": "d", "empirical_policy": policy})
    for state in (
        {}, {"type": "x"}, {"type": "SCHEDULED", "name": 5}, {"type": "RUNNING", "state_details": {"scheduled_time": "x"}},
        {"type": "RUNNING", "state_details": []}, {"type": "RUNNING", "timestamp": TIME}, {"type": "RUNNING", "data": [{"_sa": 1}]},
        {"type": None, "data": {"_sa_x": 1, "y": {"_sa": 2, "z": 3}}}, {"type": "RUNNING", "state_details": {"run_input_keyset": {"a": 5}}},
    ):  # fmt: skip
        yield post("/flow_runs/{id}/set_state", {"state": state})
        yield post("/flow_runs/{id}/set_state", {"state": state, "force": "maybe"})
        yield post("/flow_runs/", {"flow_id": 5, "state": state})
    for inputs in (
        {"x": [{"input_type": "task_run", "id": UUID}]}, {"x": [{"input_type": "nothing", "id": UUID}]}, {"x": [{"id": 5}]}, {"x": {}},
        {"x": [{"name": "p"}]}, {"x": [{"input_type": "parameter"}]}, {"x": ["p"]}, {"x": []}, [],
    ):  # fmt: skip
        yield post("/task_runs/", {"task_key": 5, "dynamic_key": "d", "task_inputs": inputs})
    yield post("/task_runs/", {"task_key": "t", "dynamic_key": "d", "cache_key": "x" * 2001})
    yield post("/flow_runs/", {"flow_id": UUID, "parameters": {"x": "é" * 90_000}})
    event = BASES["/events"][0]
    for change in (
        {"resource": {}}, {"resource": {"prefect.resource.id": ""}}, {"resource": {"prefect.resource.id": 5}}, {"resource": 5}, {"resource": None},
        {"resource": []}, {"related": [{}]}, {"related": [{"prefect.resource.id": "r"}]}, {"related": [5, {"prefect.resource.id": "r", "x": 1}]},
        {"related": [{"prefect.resource.id": "r", "prefect.resource.role": ""}]}, {"related": [event["related"][0]] * 101}, {"event": "e" * 1025},
        {"resource": {"prefect.resource.id": "r", **{f"l{i}": "x" for i in range(500)}}}, {"payload": [], "follows": 5}, {"extra": 1, "id": None},
    ):  # fmt: skip
        yield post("/events", [{**event, **change}])
    for events in (
        {"related": 5}, {"related": [5]}, {"related": {"id": 5}}, {"related": [{"labels": {"a": 5}}]}, {"related": {"labels": {"a": [5, "x"]}}},
        {"related": {"resources_in_roles": [["a"], ["a", "b", "c"], ["a", 5], "ab"]}}, {"text": {"query": "x" * 201}}, {"text": {}},
        {"any_resource": {"id": "x"}}, {"any_resource": [{"unknown": 1}]}, {"occurred": {"since": "x"}}, {"occurred": None}, {"occurred": []},
        {"id": {"id": ["x"]}}, {"resource": {"labels": {"a": {}}, "distinct": "x"}}, {"event": {"prefix": "x"}}, {"resource": {"labels": 5}},
    ):  # fmt: skip
        yield post("/events/filter", {"filter": events, "limit": -1})
    for value in (
        "now", "2024-060", "2024060", "202405", "2024-05", "20240501T1030", "20240501T103000+0200", "2024-W01-3", "2024W013", "2024W01", "2024-W54",
        "2024/05/01", "2024:05:01 1:2:3", "12:30:15.5", "123015", "2024-05-01T10", "2024-05-01T10:30:60", "2024-05-01T10:30,5", "P1Y2M3DT4H", "P1W",
        "PT", "P", "2024-05-01/2024-05-02", "2024-05-01/P1D", "2024-366", "2023-366", "0000-01-01", "2024-5-1", "2024-05-1", "24:00", "1:2", "5:",
        "2024-05-01T10:30:00 Z", "2024-05-01T10:30:00z", "2024-05-01t10:30:00Z", "2024-05-01T10:30:00.1234567891Z", "2024-05-01T10:30:00+0530",
        "2024-05-01T10:30:00+05", "2024-05-01T10:30Z", "2024-02-30", "99999", "9999999999999", "1e10", "-1", "1.5", "tomorrow", "\u0661", " 2024-05-01",
        "2024-05-01 ", "2024-05-01T", "T10:30", "2024-05-01T10:30:00+24:00", "2024-05-01T10:30:00-23:59", "20240501", "2024-05-01_10:30:00", "é",
        "10:30Z", "10:30+02:00", "1030", "10", "2024-05-01 10:30 PM", "1970-01-01T00:00:00.000001Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
    ):  # fmt: skip
        yield post("/logs/", [{"name": "n", "level": 20, "message": "m", "timestamp": value}])
    for value in ("+5", "-5", "0005", "5.", ".0", "1__0", "_1", "1_", "--5", "+-5", "1e3", "\u0663", "5.0_0", "\u00a05", "0x5", "5\n", "- 5", "9" * 4301):
        yield post("/logs/", [{"name": "n", "level": value, "message": "m", "timestamp": TIME}])
    for value in ("nan", "inf", "1_0", "1__0", "_1", ".5", "5.", "0x1", "1e1_0", "\u0663", "+5", "- 5", "", " 5 ", -0.0, 0):
        yield post("/task_runs/history", {**BASES["/task_runs/history"], "history_interval_seconds": value, "history_start": "x"})
    for value in ("{%s}" % UUID, f"URN:UUID:{UUID}", UUID[:-1], UUID.replace("-", "_"), f" {UUID}", "{}", "urn:uuid:", "a-b", "é" * 16, UUID[:8] + UUID[9:]):
        yield post("/flow_runs/", {"flow_id": value})
    for header in (UUID, "x", "", "5"):
        headers = {"content-type": "application/json", "prefect-automation-id": header, "prefect-automation-name": "eA=="}
        yield post("/flow_runs/", {"flow_id": "x"}, headers)


def send(base: str, sent: Sent) -> tuple[int, Any]:
    path = sent.template
    for name, value in sent.path.items():
        path = path.replace("{" + name + "}", urllib.parse.quote(value, safe=""))
    url = base + path + ("?" + sent.query if sent.query else "")
    # urllib invents a content type for a body that has none, so an empty body is sent as none at all.
    request = urllib.request.Request(url, data=sent.body or None, method=sent.method, headers=sent.headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, None
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text else None


def main() -> None:
    base = sys.argv[1].rstrip("/")
    vectors = []
    seen = set()
    for sent in [*generated(), *picked()]:
        key = json.dumps([*sent[:5], sent.body.decode("latin-1")])
        if key in seen:
            continue
        seen.add(key)
        status, answer = send(base, sent)
        vector: dict[str, Any] = {"method": sent.method, "template": sent.template, "status": status}
        for name in ("path", "query", "headers"):
            if getattr(sent, name):
                vector[name] = getattr(sent, name)
        if sent.headers == {"content-type": "application/json"}:
            del vector["headers"]
        elif sent.body and not sent.headers:
            vector["headers"] = {}
        try:
            vector["body"] = sent.body.decode()
        except UnicodeDecodeError:
            vector["body_hex"] = sent.body.hex()
        if status in (400, 422):
            # A body that is echoed as it was sent need not be kept twice.
            if isinstance(answer, dict) and answer.get("request_body", ...) == _parsed(sent.body):
                answer["request_body"] = {"$sent": True}
            vector["answer"] = answer
        vectors.append(vector)
    lines = ",\n".join(json.dumps(vector, ensure_ascii=False, separators=(",", ":")) for vector in vectors)
    (HERE / "vectors.json").write_text(f"[\n{lines}\n]\n")
    statuses: dict[int, int] = {}
    for vector in vectors:
        statuses[vector["status"]] = statuses.get(vector["status"], 0) + 1
    print(f"{len(vectors)} vectors: {statuses}")


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


if __name__ == "__main__":
    main()
