"""Either kind of client, called alike, and what the tests of its methods share."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from prefect import flow, task
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.exceptions import ObjectNotFound

IS_ORACLE = "PROCTOR_SUBJECT_IS_ORACLE" in os.environ

# Public, and no call of an operation: one sends whatever it is given, the other tells the client's own version.
NO_OPERATION = {"request", "client_version"}


def methods(kind: type) -> set[str]:
    """Returns the names of the client's methods that call the server: all public ones."""
    public = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    return public - NO_OPERATION


class Client:
    """Either kind of client, called alike: `client.read_flow(id)` returns what the method answers.

    `answered` has the methods that have answered so far.
    """

    def __init__(self, inner: PrefectClient | SyncPrefectClient, run: Callable[[Any], Any]) -> None:
        self._inner = inner
        self._run = run
        self.answered: set[str] = set()

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            answer = getattr(self._inner, method)(*arguments, **named)
            answer = self._run(answer) if inspect.isawaitable(answer) else answer
            self.answered.add(method)
            return answer

        return call


@contextlib.contextmanager
def not_found() -> Iterator[None]:
    """Expects a 404; only some of the client's methods have an exception of their own for it."""
    with pytest.raises((ObjectNotFound, httpx.HTTPStatusError)) as raised:
        yield
    error = raised.value
    response = (error.http_exc if isinstance(error, ObjectNotFound) else error).response
    assert response.status_code == 404


@task
def some_task() -> None:
    """Never run: only its definition is sent."""


@flow
def some_flow(number: int = 0) -> None:
    """Never run: only its definition is sent."""
