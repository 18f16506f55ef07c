"""Methods of artifacts and of events."""

from __future__ import annotations

import uuid

import pytest
from both_kinds import Client, not_found
from harness import eventually
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactFilter
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.client.schemas.sorting import ArtifactSort
from prefect.events.filters import EventFilter, EventNameFilter, EventOrder, EventResourceFilter
from prefect.states import Failed, Running


@pytest.fixture
def artifact(client: Client, name: str) -> Artifact:
    return client.create_artifact(ArtifactCreate(key=name, type="markdown", data="# said"))


def test_create_artifact(client: Client, flow_run: FlowRun, name: str) -> None:
    given = ArtifactCreate(key=name, type="table", data=[{"a": 1}], description="said", flow_run_id=flow_run.id)
    created = client.create_artifact(given)
    [read] = client.read_artifacts(artifact_filter=ArtifactFilter(key={"any_": [name]}))
    assert (read.id, read.type, read.description) == (created.id, "table", "said")
    assert (read.data, read.flow_run_id) == ([{"a": 1}], flow_run.id)


def test_update_artifact(client: Client, artifact: Artifact) -> None:
    client.update_artifact(artifact.id, ArtifactUpdate(data="# changed", description="later"))
    [read] = client.read_artifacts(artifact_filter=ArtifactFilter(id={"any_": [artifact.id]}))
    assert (read.data, read.description, read.key) == ("# changed", "later", artifact.key)
    with not_found():
        client.update_artifact(uuid.uuid4(), ArtifactUpdate(data="# changed"))


def test_read_artifacts(client: Client, name: str) -> None:
    created = [client.create_artifact(ArtifactCreate(key=name, type="markdown", data=each)).id for each in "abc"]
    wanted = ArtifactFilter(key={"any_": [name]})
    read = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.UPDATED_DESC)
    assert [each.id for each in read] == created[::-1]
    page = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.UPDATED_DESC, limit=1, offset=1)
    assert [each.id for each in page] == [created[1]]


def test_read_latest_artifacts(client: Client, name: str) -> None:
    created = [client.create_artifact(ArtifactCreate(key=name, type="markdown", data=each)).id for each in "abc"]
    wanted = ArtifactCollectionFilter(key={"any_": [name]})
    [read] = client.read_latest_artifacts(artifact_filter=wanted)
    assert (read.key, read.latest_id, read.data) == (name, created[-1], "c")


def test_delete_artifact(client: Client, artifact: Artifact) -> None:
    client.delete_artifact(artifact.id)
    assert client.read_artifacts(artifact_filter=ArtifactFilter(id={"any_": [artifact.id]})) == []
    with not_found():
        client.delete_artifact(artifact.id)


def told_of(flow_run: FlowRun) -> EventFilter:
    resource = EventResourceFilter(id=[f"prefect.flow-run.{flow_run.id}"])
    return EventFilter(resource=resource, event=EventNameFilter(prefix=["prefect.flow-run."]), order=EventOrder.ASC)


def test_read_events(client: Client, flow_run: FlowRun) -> None:
    client.set_flow_run_state(flow_run.id, Running())

    def are_told() -> None:
        page = client.read_events(told_of(flow_run), limit=10)
        assert [event.event for event in page.events] == ["prefect.flow-run.Pending", "prefect.flow-run.Running"]
        assert (page.total, page.next_page) == (2, None)

    eventually(are_told)


def test_read_events_page(client: Client, flow_run: FlowRun) -> None:
    for state in (Running(), Failed()):
        client.set_flow_run_state(flow_run.id, state)

    def are_told() -> None:
        first = client.read_events(told_of(flow_run), limit=2)
        assert first.total == 3
        second = client.read_events_page(first.next_page)
        assert [event.event for event in second.events] == ["prefect.flow-run.Failed"]

    eventually(are_told)
