"""Methods of automations."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from both_kinds import Client, not_found
from prefect.client.schemas.sorting import AutomationSort
from prefect.events.actions import DoNothing, RunDeployment
from prefect.events.filters import AutomationFilter, AutomationFilterName
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture


def about(name: str, resource: str = "prefect.flow-run.*", description: str = "said") -> AutomationCore:
    trigger = EventTrigger(
        match={"prefect.resource.id": resource},
        expect={"prefect.flow-run.Failed"},
        posture=Posture.Reactive,
        threshold=2,
        within=timedelta(seconds=60),
    )
    return AutomationCore(name=name, description=description, tags=["kept"], trigger=trigger, actions=[DoNothing()])


@pytest.fixture
def automation_id(client: Client, name: str) -> uuid.UUID:
    return client.create_automation(about(name))


@pytest.fixture
def deployment(client: Client, name: str) -> str:
    """The resource of a deployment that an automation runs, and that owns nothing else."""
    deployment_id = client.create_deployment(client.create_flow_from_name(name), name)
    automation = about(name)
    automation.actions = [RunDeployment(deployment_id=deployment_id)]
    client.create_automation(automation)
    return f"prefect.deployment.{deployment_id}"


def test_create_automation(client: Client, name: str) -> None:
    created = client.create_automation(about(name))
    read = client.read_automation(created)
    assert (read.name, read.description, read.tags, read.enabled) == (name, "said", ["kept"], True)
    assert (read.trigger, read.actions) == (about(name).trigger, [DoNothing()])


def test_read_automation(client: Client, automation_id: uuid.UUID, name: str) -> None:
    assert client.read_automation(automation_id).name == name
    assert client.read_automation(str(automation_id)).id == automation_id
    with not_found():
        client.read_automation(uuid.uuid4())


def test_read_automations(client: Client, name: str) -> None:
    names = [f"{name}-{letter}" for letter in "abc"]
    for each in names:
        client.create_automation(about(each))
    wanted = AutomationFilter(name=AutomationFilterName(any_=names))
    read = client.read_automations(automations=wanted, sort=AutomationSort.NAME_DESC)
    assert [automation.name for automation in read] == names[::-1]
    page = client.read_automations(automations=wanted, sort=AutomationSort.NAME_ASC, limit=1, offset=1)
    assert [automation.name for automation in page] == [names[1]]


def test_read_automations_by_name(client: Client, automation_id: uuid.UUID, name: str) -> None:
    assert [automation.id for automation in client.read_automations_by_name(name)] == [automation_id]
    both = {automation_id, client.create_automation(about(name))}
    assert {automation.id for automation in client.read_automations_by_name(name)} == both
    assert client.read_automations_by_name(f"no-{name}") == []


def test_find_automation(client: Client, automation_id: uuid.UUID, name: str) -> None:
    for way in (automation_id, str(automation_id), name, name.upper()):
        assert client.find_automation(way).id == automation_id
    assert client.find_automation(f"no-{name}") is None


def test_update_automation(client: Client, automation_id: uuid.UUID, name: str) -> None:
    client.update_automation(automation_id, about(name, "prefect.task-run.*", "changed"))
    read = client.read_automation(automation_id)
    assert (read.description, read.trigger.match.root) == ("changed", {"prefect.resource.id": "prefect.task-run.*"})
    with not_found():
        client.update_automation(uuid.uuid4(), about(name))


def test_pause_automation(client: Client, automation_id: uuid.UUID) -> None:
    client.pause_automation(automation_id)
    assert client.read_automation(automation_id).enabled is False
    with not_found():
        client.pause_automation(uuid.uuid4())


def test_resume_automation(client: Client, automation_id: uuid.UUID) -> None:
    client.pause_automation(automation_id)
    client.resume_automation(automation_id)
    assert client.read_automation(automation_id).enabled is True
    with not_found():
        client.resume_automation(uuid.uuid4())


def test_delete_automation(client: Client, automation_id: uuid.UUID) -> None:
    client.delete_automation(automation_id)
    with not_found():
        client.read_automation(automation_id)
    with not_found():
        client.delete_automation(automation_id)


def test_read_resource_related_automations(client: Client, deployment: str, name: str) -> None:
    assert [automation.name for automation in client.read_resource_related_automations(deployment)] == [name]
    assert client.read_resource_related_automations(f"prefect.deployment.{uuid.uuid4()}") == []


def test_delete_resource_owned_automations(client: Client, name: str) -> None:
    owner = f"prefect.deployment.{uuid.uuid4()}"
    owned = about(name)
    owned.owner_resource = owner
    created, other = client.create_automation(owned), client.create_automation(about(f"{name}-other"))
    client.delete_resource_owned_automations(owner)
    with not_found():
        client.read_automation(created)
    assert client.read_automation(other).id == other
    client.delete_resource_owned_automations(owner)
