"""Without a key, ours refuses as the real server refuses without its password."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from . import servers
from .conftest import asked_side_by_side
from .side_by_side import Pair
from .sockets import check_talk

PASSWORD = {"PREFECT_SERVER_API_AUTH_STRING": "admin:secret"}


@pytest.fixture(scope="module")
def asking() -> Iterator[Pair]:
    """The real server with a password, and ours with keys."""
    is_oracle = os.environ.get("PROCTOR_SUBJECT") == "oracle"
    with (
        servers.subject(PASSWORD if is_oracle else {"PROCTOR_AUTH_MODE": "keys"}) as subject,
        asked_side_by_side(PASSWORD, subject_url=subject) as pair,
    ):
        yield pair


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer x", "Bearer proctor_0_0", "Basic YWRtaW46d3Jvbmc=", "Digest x"],
)
def test_requests_without_a_key(
    asking: Pair, request: pytest.FixtureRequest, authorization: str | None
) -> None:
    asking.test = request.node.nodeid
    headers = {} if authorization is None else {"authorization": authorization}
    for method, path in (
        ("GET", "/health"),
        ("GET", "/ready"),
        ("GET", "/hello"),
        ("GET", "/admin/version"),
        ("POST", "/flows/filter"),
        ("DELETE", "/flows/01980000-0000-7000-8000-000000000001"),
        ("GET", "/nowhere"),
        ("PUT", "/health"),
    ):
        asking.check(method, path, *([{}] if method == "POST" else []), headers=headers)


@pytest.mark.parametrize(
    ("protocols", "first"),
    [
        (["prefect"], {"type": "auth", "token": "wrong"}),
        (["prefect"], {"type": "auth", "token": None}),
        (["prefect"], {"type": "auth"}),
        (["prefect"], {"type": "hello"}),
        (None, {"type": "auth", "token": "wrong"}),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "path",
    [
        "/events/in",
        "/events/out",
        "/logs/out",
        "/task_runs/subscriptions/scheduled",
        "/work_pools/a/workers/connect",
    ],
)
def test_handshake_without_a_key(asking: Pair, path: str, protocols: list[str] | None, first: object) -> None:
    check_talk(asking, path, protocols, [first], reads=1)
