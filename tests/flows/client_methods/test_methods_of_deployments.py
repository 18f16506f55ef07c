"""Methods of deployments, their schedules, branches and agreements."""

from __future__ import annotations

import uuid
from datetime import timedelta

import httpx
import pytest
from both_kinds import IS_ORACLE, Client, not_found, some_flow
from prefect._experimental.sla.objects import LatenessSla, TimeToCompletionSla
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.client.schemas.objects import ConcurrencyOptions, FlowRun
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.client.schemas.sorting import DeploymentSort
from prefect.states import Scheduled

HOURLY = IntervalSchedule(interval=timedelta(hours=1))
DAILY = CronSchedule(cron="0 9 * * *", timezone="Europe/Berlin")


@pytest.fixture
def deployment_id(client: Client, name: str) -> uuid.UUID:
    return client.create_deployment(client.create_flow(some_flow), name, parameters={"number": 1})


def test_create_deployment(client: Client, name: str) -> None:
    client.create_work_pool(WorkPoolCreate(name=name, type="process"))
    created = client.create_deployment(
        client.create_flow(some_flow),
        name,
        version="one",
        schedules=[DeploymentScheduleCreate(schedule=HOURLY, active=False, slug="hourly")],
        concurrency_limit=3,
        concurrency_options=ConcurrencyOptions(collision_strategy="CANCEL_NEW"),
        parameters={"number": 7},
        description="said",
        work_pool_name=name,
        tags=["b", "a"],
        path="/code",
        entrypoint="flows.py:some_flow",
        parameter_openapi_schema={"type": "object", "properties": {"number": {"type": "integer"}}},
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": "/code"}}],
        enforce_parameter_schema=True,
        job_variables={"cpu": 2},
    )
    read = client.read_deployment(created)
    assert (read.name, read.version, read.description, sorted(read.tags)) == (name, "one", "said", ["a", "b"])
    assert (read.parameters, read.job_variables) == ({"number": 7}, {"cpu": 2})
    assert (read.work_pool_name, read.work_queue_name, read.entrypoint) == (name, "default", "flows.py:some_flow")
    assert (read.global_concurrency_limit.limit, read.concurrency_options.collision_strategy) == (3, "CANCEL_NEW")
    assert [(each.slug, each.active, each.schedule.interval) for each in read.schedules] == [
        ("hourly", False, HOURLY.interval)
    ]
    assert read.enforce_parameter_schema and read.pull_steps


def test_read_deployment(client: Client, deployment_id: uuid.UUID, name: str) -> None:
    read = client.read_deployment(deployment_id)
    assert (read.id, read.name, read.parameters, read.paused) == (deployment_id, name, {"number": 1}, False)
    assert client.read_deployment(str(deployment_id)).id == deployment_id
    with not_found():
        client.read_deployment(uuid.uuid4())


def test_read_deployment_by_name(client: Client, deployment_id: uuid.UUID, name: str) -> None:
    assert client.read_deployment_by_name(f"{some_flow.name}/{name}").id == deployment_id
    with not_found():
        client.read_deployment_by_name(f"{some_flow.name}/no-{name}")


def test_read_deployments(client: Client, name: str) -> None:
    flow_id = client.create_flow(some_flow)
    created = [client.create_deployment(flow_id, f"{name}-{letter}") for letter in "abc"]
    wanted = DeploymentFilter(name=DeploymentFilterName(like_=name))
    read = client.read_deployments(deployment_filter=wanted, sort=DeploymentSort.NAME_DESC)
    assert [deployment.id for deployment in read] == created[::-1]
    page = client.read_deployments(deployment_filter=wanted, sort=DeploymentSort.NAME_ASC, limit=1, offset=1)
    assert [deployment.id for deployment in page] == [created[1]]


def test_update_deployment(client: Client, deployment_id: uuid.UUID) -> None:
    update = DeploymentUpdate(description="changed", tags=["later"], parameters={"number": 2}, concurrency_limit=4)
    client.update_deployment(deployment_id, update)
    read = client.read_deployment(deployment_id)
    assert (read.description, read.tags, read.parameters) == ("changed", ["later"], {"number": 2})
    assert read.global_concurrency_limit.limit == 4
    with not_found():
        client.update_deployment(uuid.uuid4(), update)


def test_set_deployment_paused_state(client: Client, deployment_id: uuid.UUID) -> None:
    for paused in (True, False):
        client.set_deployment_paused_state(deployment_id, paused)
        assert client.read_deployment(deployment_id).paused is paused


def test_pause_deployment(client: Client, deployment_id: uuid.UUID) -> None:
    client.pause_deployment(deployment_id)
    assert client.read_deployment(deployment_id).paused
    with not_found():
        client.pause_deployment(uuid.uuid4())


def test_resume_deployment(client: Client, deployment_id: uuid.UUID) -> None:
    client.pause_deployment(deployment_id)
    client.resume_deployment(deployment_id)
    assert not client.read_deployment(deployment_id).paused
    with not_found():
        client.resume_deployment(uuid.uuid4())


def test_delete_deployment(client: Client, deployment_id: uuid.UUID) -> None:
    client.delete_deployment(deployment_id)
    with not_found():
        client.read_deployment(deployment_id)
    with not_found():
        client.delete_deployment(deployment_id)


def test_create_flow_run_from_deployment(client: Client, deployment_id: uuid.UUID, name: str) -> None:
    def create() -> FlowRun:
        run: FlowRun = client.create_flow_run_from_deployment(
            deployment_id,
            parameters={"number": 9},
            context={"from": "a test"},
            name=name,
            tags=["asked"],
            idempotency_key=name,
            job_variables={"cpu": 2},
            labels={"team": "blue"},
        )
        return run

    created = create()
    read = client.read_flow_run(created.id)
    assert (read.deployment_id, read.name, read.parameters) == (deployment_id, name, {"number": 9})
    assert (read.tags, read.context, read.job_variables) == (["asked"], {"from": "a test"}, {"cpu": 2})
    assert read.labels["team"] == "blue" and read.state.is_scheduled()
    assert create().id == created.id
    with not_found():
        client.create_flow_run_from_deployment(uuid.uuid4())


def test_get_scheduled_flow_runs_for_deployments(client: Client, deployment_id: uuid.UUID) -> None:
    soon = Scheduled()
    later = Scheduled(scheduled_time=soon.state_details.scheduled_time + timedelta(days=1))
    runs = [client.create_flow_run_from_deployment(deployment_id, state=state) for state in (soon, later)]

    def due(**options: object) -> list[uuid.UUID]:
        found = client.get_scheduled_flow_runs_for_deployments([deployment_id], **options)
        return [run.id for run in found]

    assert due(scheduled_before=soon.timestamp + timedelta(minutes=1)) == [runs[0].id]
    assert due() == [run.id for run in runs]
    assert due(limit=1) == [runs[0].id]


def test_create_deployment_schedules(client: Client, deployment_id: uuid.UUID) -> None:
    [first] = client.create_deployment_schedules(deployment_id, [(HOURLY, True)])
    assert (first.schedule.interval, first.active, first.deployment_id) == (HOURLY.interval, True, deployment_id)
    given = DeploymentScheduleCreate(schedule=DAILY, active=False, parameters={"number": 3}, slug="daily")
    [second] = client.create_deployment_schedules(deployment_id, [given])
    assert (second.schedule.cron, second.schedule.timezone) == (DAILY.cron, DAILY.timezone)
    assert (second.active, second.parameters, second.slug) == (False, {"number": 3}, "daily")


def test_read_deployment_schedules(client: Client, deployment_id: uuid.UUID) -> None:
    assert client.read_deployment_schedules(deployment_id) == []
    created = [client.create_deployment_schedules(deployment_id, [(each, True)])[0].id for each in (HOURLY, DAILY)]
    assert {each.id for each in client.read_deployment_schedules(deployment_id)} == set(created)
    with not_found():
        client.read_deployment_schedules(uuid.uuid4())


def test_update_deployment_schedule(client: Client, deployment_id: uuid.UUID) -> None:
    [created] = client.create_deployment_schedules(deployment_id, [(HOURLY, True)])
    client.update_deployment_schedule(deployment_id, created.id, active=False)
    client.update_deployment_schedule(deployment_id, created.id, schedule=DAILY, parameters={"number": 4}, slug="daily")
    [read] = client.read_deployment_schedules(deployment_id)
    assert (read.id, read.active, read.schedule.cron) == (created.id, False, DAILY.cron)
    assert (read.parameters, read.slug) == ({"number": 4}, "daily")


def test_delete_deployment_schedule(client: Client, deployment_id: uuid.UUID) -> None:
    [created] = client.create_deployment_schedules(deployment_id, [(HOURLY, True)])
    client.delete_deployment_schedule(deployment_id, created.id)
    assert client.read_deployment_schedules(deployment_id) == []
    with not_found():
        client.delete_deployment_schedule(deployment_id, created.id)


@pytest.mark.xfail(IS_ORACLE, raises=httpx.HTTPStatusError, strict=True, reason="only the hosted product has it, and ours")
def test_create_deployment_branch(client: Client, deployment_id: uuid.UUID, name: str) -> None:
    overrides = DeploymentUpdate(parameters={"number": 5})
    branched = client.create_deployment_branch(deployment_id, "feature", overrides=overrides)
    read = client.read_deployment(branched)
    assert (read.name, read.parameters) == (f"{name}@feature", {"number": 5})
    assert read.flow_id == client.read_deployment(deployment_id).flow_id
    with not_found():
        client.create_deployment_branch(uuid.uuid4(), "feature")


@pytest.mark.xfail(IS_ORACLE, raises=httpx.HTTPStatusError, strict=True, reason="only the hosted product has it, and ours")
def test_apply_slas_for_deployment(client: Client, deployment_id: uuid.UUID) -> None:
    slow = TimeToCompletionSla(name="slow", duration=60)
    late = LatenessSla(name="late", within=timedelta(seconds=30))
    merged = client.apply_slas_for_deployment(deployment_id, [slow, late])
    assert (sorted(merged.created), merged.updated, merged.deleted) == (["late", "slow"], [], [])
    merged = client.apply_slas_for_deployment(deployment_id, [slow])
    assert (merged.created, merged.updated, merged.deleted) == ([], ["slow"], ["late"])
