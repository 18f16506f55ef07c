"""Each method of the Prefect client, on both of its kinds, has one test, which is named after it and has to call it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from both_kinds import Client, some_flow, some_task
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.states import Pending


def method_of(item: pytest.Item) -> str:
    """Returns the method that a test is of."""
    assert isinstance(item, pytest.Function)
    return item.originalname.removeprefix("test_")


@pytest.fixture(scope="module", params=["async", "sync"])
def client(request: pytest.FixtureRequest, api_url: str) -> Iterator[Client]:
    """An open client of each kind."""
    if request.param == "sync":
        with SyncPrefectClient(api_url) as inner:
            yield Client(inner, lambda answer: answer)
        return
    loop = asyncio.new_event_loop()
    opened = PrefectClient(api_url)
    loop.run_until_complete(opened.__aenter__())
    try:
        yield Client(opened, loop.run_until_complete)
    finally:
        loop.run_until_complete(opened.__aexit__(None, None, None))
        loop.close()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Fails a test that has run without an answer of the method it is named after."""
    client = pyfuncitem.funcargs.get("client")
    if isinstance(client, Client):
        client.answered.clear()
    outcome = yield
    if isinstance(client, Client):
        assert method_of(pyfuncitem) in client.answered, "the test does not call its method"
    return outcome


@pytest.fixture
def name() -> str:
    """A name that nothing else has."""
    return f"client-{uuid.uuid4()}"


@pytest.fixture
def flow_run(client: Client) -> FlowRun:
    return client.create_flow_run(some_flow, parameters={"number": 1}, state=Pending())


@pytest.fixture
def task_run(client: Client, flow_run: FlowRun) -> TaskRun:
    return client.create_task_run(some_task, flow_run_id=flow_run.id, dynamic_key="0", state=Pending())
