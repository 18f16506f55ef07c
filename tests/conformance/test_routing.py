"""What holds for every route: unknown paths, other methods, slashes, CORS, version headers."""

from __future__ import annotations

import re

import pytest

from .library import NOBODY
from .side_by_side import Pair


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/",
        "",
        "/flows/filter/more",
        f"/flows/{NOBODY}/more",
        "/flow_runs/name/x",
        "//flows/",
        "/Flows/",
        "/flow-runs/",
        "/health/deep",
        "/flows/%2e%2e/health",
        "/task_runs/subscriptions/scheduled",
        "/events/in",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_path(pair: Pair, method: str, path: str) -> None:
    pair.check(method, path)


@pytest.mark.parametrize(
    "path",
    [
        "/health",
        "/hello",
        "/flows/",
        "/flows/filter",
        f"/flows/{NOBODY}",
        "/flows/name/x",
        f"/flow_runs/{NOBODY}/set_state",
        f"/flow_runs/{NOBODY}/input/key",
        "/flow_run_states/",
        "/task_runs/",
        "/logs/",
        "/events",
        "/events/filter/next",
        "/csrf-token",
    ],
)
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "TRACE", "GET", "DELETE", "PATCH"])
def test_method(pair: Pair, method: str, path: str) -> None:
    pair.check(method, path)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/flows"),
        ("POST", "/flows/filter/"),
        ("POST", "/flow_runs"),
        ("POST", "/task_runs"),
        ("POST", "/logs"),
        ("POST", "/events/"),
        ("POST", "/events/filter/"),
        ("GET", "/health/"),
        ("GET", "/hello/"),
        ("GET", f"/flows/{NOBODY}/"),
        ("GET", "/flow_run_states"),
        ("GET", "/flow_run_states?flow_run_id=x&y=%20z"),
        ("GET", "/csrf-token/"),
        ("GET", "/flows/"),
        ("GET", "/flows"),
    ],
)
def test_slash_at_the_end(pair: Pair, method: str, path: str) -> None:
    pair.check(method, path, *([{}] if method == "POST" else []))


NO_TEXT = ["%ff", "a%ffb", "my%deployment", "%C3%28", "%e2%82", "%f0%9f%98", "%ed%a0%80", "%c0%af", "%f4%90%80%80"]


@pytest.mark.parametrize("text", [*NO_TEXT, "%", "%z", "a%zzb", "%2", "100%25"])
def test_path_that_is_no_text(pair: Pair, text: str) -> None:
    """It is decoded with U+FFFD in the place of what is no text, and then looked for as any other."""
    for path in (
        f"/deployments/name/f/{text}",
        f"/deployments/name/{text}/d",
        f"/flows/name/{text}",
        f"/work_pools/{text}",
        f"/work_pools/{text}/queues/{text}",
        f"/variables/name/{text}",
        f"/artifacts/{text}/latest",
        f"/v2/concurrency_limits/{text}",
        f"/flow_runs/{NOBODY}/input/{text}",
    ):
        pair.check("GET", path)
        pair.check("PUT", path, {})
        # Where it redirects to, the oracle encodes anew, and spares what it need not encode.
        if not re.search("%2[58]", text):
            pair.check("GET", f"{path}/")
    for path in (f"/flows/{text}", f"/flow_runs/{text}/graph-v2", f"/{text}", f"/flows{text}", f"/flows/{text}/"):
        pair.check("GET", path)
    pair.check("POST", f"/work_pools/{text}/workers/heartbeat", {"name": "w"})
    pair.check("DELETE", f"/flow_runs/{text}")
    pair.check("POST", f"/{text}", {})


def test_name_that_is_no_text(pair: Pair) -> None:
    """So a record whose name has a U+FFFD is found by what is no text."""
    for name in ("found \ufffd", "found \ufffd\ufffd"):
        pair.prepare("POST", "/flows/", {"name": name})
    for text in ("%ff", "%EF%BF%BD", "%ff%fe", "%e2%82", "%ed%a0"):
        pair.check("GET", f"/flows/name/found%20{text}")


ORIGIN = {"origin": "http://somewhere.example"}


@pytest.mark.parametrize(
    "headers",
    [
        {**ORIGIN, "access-control-request-method": "POST"},
        {**ORIGIN, "access-control-request-method": "PATCH", "access-control-request-headers": "x-prefect-api-version"},
        {**ORIGIN, "access-control-request-method": "BREW"},
        {**ORIGIN, "access-control-request-method": "POST", "access-control-request-private-network": "true"},
        {"access-control-request-method": "POST"},
        ORIGIN,
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/flows/", "/health", "/nowhere"])
def test_cors_preflight(pair: Pair, path: str, headers: dict[str, str]) -> None:
    pair.check("OPTIONS", path, headers=headers)


@pytest.mark.parametrize(
    ("method", "path", "json"),
    [
        ("GET", "/hello", None),
        ("GET", "/nowhere", None),
        ("POST", "/flows/filter", {"limit": -1}),
        ("PUT", "/health", {}),
    ],
)
@pytest.mark.parametrize("headers", [ORIGIN, {**ORIGIN, "cookie": "a=b"}, {"origin": "null"}], ids=str)
def test_cors_answer(pair: Pair, method: str, path: str, json: object, headers: dict[str, str]) -> None:
    pair.check(method, path, *([] if json is None else [json]), headers=headers)


VERSIONS = [
    "0.8.4", "0.8.0", "0.7.9", "0.1.0", "0.8", "0.8.4.1", "1.0.0", "99.0.0", "0.10.0", "0.08.4", "-1.0.0", "0.-1.0",
    "abc", "v0.8.4", "0.8.x", "", "0. 8.4", "0.8.4rc1", "0,8,4", "1_0.0.0", "+1.0.0",
]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_api_version(pair: Pair, version: str) -> None:
    headers = {"x-prefect-api-version": version}
    pair.check("GET", "/hello", headers=headers)
    pair.check("POST", "/flow_runs/", {"flow_id": NOBODY, "unknown": 1}, headers=headers)
    pair.check("GET", "/health", headers=headers)
    pair.check("GET", "/nowhere", headers=headers)


@pytest.mark.parametrize("agent", ["prefect/3.8.8 (API 0.8.4)", "prefect/2.20.0 (API 0.8.4)", "prefect/x", "curl"])
def test_client_version(pair: Pair, agent: str) -> None:
    headers = {"user-agent": agent}
    flow = pair.check("POST", "/flows/", {"name": f"agent {agent.replace('/', ' ')}"}, headers=headers)
    run = pair.check("POST", "/flow_runs/", {"flow_id": flow["id"], "name": "agent"}, headers=headers)
    for state in ("RUNNING", "COMPLETED"):
        body = {"state": {"type": state}}
        pair.check("POST", f"/flow_runs/{run['id']}/set_state", body, headers=headers)


@pytest.mark.parametrize("encoding", ["gzip", "identity", "br", "gzip, deflate"])
def test_large_answers_are_compressed_on_request(filled: Pair, encoding: str) -> None:
    filled.check("POST", "/flows/filter", {}, headers={"accept-encoding": encoding})
    filled.check("GET", "/hello", headers={"accept-encoding": encoding})


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc", "/api/health", "/api/docs", "/api/openapi.json"])
def test_outside_of_the_api(pair: Pair, path: str) -> None:
    def only_the_kind(body: object) -> str:
        return type(body).__name__

    pair.check("GET", path, from_root=True, view=only_the_kind)
