"""The operations that belong to no resource: health, versions, settings, CSRF tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import asked_side_by_side
from .side_by_side import Pair

# The settings that a client or the web interface takes from the server.
SETTINGS_READ_BY_CLIENTS = (
    ("server", "api", "default_limit"),
    ("server", "api", "keepalive_timeout"),
    ("deployments", "clear_schedules_on_empty"),
    ("server", "api", "csrf_protection_enabled"),
    ("server", "api", "max_parameter_size"),
    ("server", "api", "csrf_token_expiration"),
    ("server", "services", "scheduler", "enabled"),
    ("server", "services", "late_runs", "enabled"),
    ("server", "logs", "stream_out_enabled"),
)


@pytest.mark.parametrize("path", ["/health", "/ready", "/hello", "/version", "/admin/version"])
def test_read(pair: Pair, path: str) -> None:
    pair.check("GET", path)


def test_settings_have_the_same_shape(pair: Pair) -> None:
    def known_settings(body: dict[str, Any]) -> dict[str, Any]:
        return {".".join(path): setting(body, path) for path in SETTINGS_READ_BY_CLIENTS}

    answer = pair.check("GET", "/admin/settings", view=known_settings)
    assert unknown_settings("", answer.json, answer.subject.json()) == []


def setting(body: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = body
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def unknown_settings(path: str, oracle: Any, subject: Any) -> list[str]:
    """The settings of the subject that the oracle does not have, or has with another type."""
    if isinstance(oracle, dict) and isinstance(subject, dict):
        return [
            problem
            for name, value in subject.items()
            for problem in (
                unknown_settings(f"{path}.{name}", oracle[name], value) if name in oracle else [f"{path}.{name}"]
            )
        ]
    optional = oracle is None or subject is None
    return [] if optional or type(oracle) is type(subject) else [path]


@pytest.mark.parametrize("params", [{}, {"client": "me"}, {"client": ""}, {"other": "me"}, {"client": "ü"}], ids=str)
def test_csrf_token_when_disabled(pair: Pair, params: dict[str, str]) -> None:
    pair.check("GET", "/csrf-token", params=params)


@pytest.fixture(scope="module")
def protected() -> Iterator[Pair]:
    with asked_side_by_side({"PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true"}) as pair:
        yield pair


def same_kind_of_token(body: dict[str, Any]) -> dict[str, Any]:
    """Looks at a CSRF token without the random part of it."""
    return {**body, "token": len(body["token"])} if "token" in body else body


def test_csrf_token_when_enabled(protected: Pair, request: pytest.FixtureRequest) -> None:
    protected.test = request.node.nodeid
    protected.check("GET", "/csrf-token")
    protected.check("GET", "/csrf-token", params={"client": ""}, view=same_kind_of_token)
    first = protected.check("GET", "/csrf-token", params={"client": "me"}, view=same_kind_of_token)
    second = protected.check("GET", "/csrf-token", params={"client": "me"}, view=same_kind_of_token)
    body = {"name": "protected"}
    for headers in (
        {},
        {"Prefect-Csrf-Client": "me"},
        {"Prefect-Csrf-Token": second["token"]},
        {"Prefect-Csrf-Client": "you", "Prefect-Csrf-Token": second["token"]},
        {"Prefect-Csrf-Client": "me", "Prefect-Csrf-Token": first["token"]},
        {"Prefect-Csrf-Client": "me", "Prefect-Csrf-Token": "wrong"},
        {"Prefect-Csrf-Client": "me", "Prefect-Csrf-Token": second["token"]},
        {"Prefect-Csrf-Client": "me", "Prefect-Csrf-Token": second["token"]},
    ):
        protected.check("POST", "/flows/", body, headers=headers)
    protected.check("POST", "/flows/filter", {})
    protected.check("GET", "/flows/name/protected")
    protected.check("POST", "/nowhere", {})


@pytest.fixture(scope="module")
def secured() -> Iterator[Pair]:
    settings = {
        "PREFECT_SERVER_API_AUTH_STRING": "admin:pass",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "http://one.example,http://two.example",
        "PREFECT_SERVER_API_CORS_ALLOWED_METHODS": "GET,POST",
        "PREFECT_SERVER_CORS_ALLOWED_HEADERS": "X-One,Authorization",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "90.5",
        "PREFECT_API_DEFAULT_LIMIT": "100",
    }
    with asked_side_by_side(settings) as pair:
        yield pair


PASSED = {"authorization": "Basic YWRtaW46cGFzcw=="}


@pytest.mark.parametrize(
    "credentials",
    [
        PASSED["authorization"],
        "",
        "Basic",
        "Basic YWRtaW46cGFzcw== more",
        "basic YWRtaW46cGFzcw==",
        "Bearer YWRtaW46cGFzcw==",
        "Basic YWRtaW46cGFzcw",
        "Basic Y!WRtaW46cGFzcw==",
        "Basic YWRtaW46d3Jvbmc=",
        "Basic /w==",
    ],
)
def test_basic_authentication(secured: Pair, request: pytest.FixtureRequest, credentials: str) -> None:
    secured.test = request.node.nodeid
    for method, path in (("GET", "/hello"), ("POST", "/flows/filter"), ("GET", "/nowhere"), ("PUT", "/health")):
        secured.check(method, path, *([{}] if method == "POST" else []), headers={"authorization": credentials})


@pytest.mark.parametrize("path", ["/health", "/ready", "/hello", "/health/", "/docs", "/openapi.json", "/version"])
def test_what_needs_no_credentials(secured: Pair, request: pytest.FixtureRequest, path: str) -> None:
    secured.test = request.node.nodeid
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        secured.check(method, path)


@pytest.mark.parametrize("origin", ["http://one.example", "http://two.example", "http://three.example"])
@pytest.mark.parametrize(
    "wanted", [{}, {"access-control-request-headers": "x-one, accept"}, {"access-control-request-headers": "x-two"}]
)
def test_listed_origins(
    secured: Pair, request: pytest.FixtureRequest, origin: str, wanted: dict[str, str]
) -> None:
    secured.test = request.node.nodeid
    for method in ("POST", "PATCH"):
        preflight = {"origin": origin, "access-control-request-method": method, **wanted}
        secured.check("OPTIONS", "/hello", headers=preflight)
    secured.check("GET", "/hello", headers={"origin": origin, **PASSED})
    secured.check("GET", "/hello", headers={"origin": origin})


def test_settings_of_the_environment(secured: Pair, request: pytest.FixtureRequest) -> None:
    secured.test = request.node.nodeid

    def some(body: dict[str, Any]) -> dict[str, Any]:
        server = body["server"]
        cors = {name: value for name, value in server["api"].items() if "cors" in name}
        late = server["services"]["late_runs"]
        return {**cors, **late, "secret": server["api"]["auth_string"], "limit": server["api"]["default_limit"]}

    secured.check("GET", "/admin/settings", headers=PASSED, view=some)
