"""Methods of flows, flow runs, their inputs, task runs, states, logs and variables."""

from __future__ import annotations

import datetime
import uuid

import httpx
import pytest
from both_kinds import Client, not_found, some_flow, some_task
from prefect.client.schemas.actions import LogCreate, VariableCreate, VariableUpdate
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
    TaskRunFilterId,
)
from prefect.client.schemas.objects import FlowRun, FlowRunPolicy, TaskRun
from prefect.client.schemas.responses import SetStateStatus
from prefect.client.schemas.sorting import FlowRunSort, FlowSort, LogSort, TaskRunSort
from prefect.states import Completed, Failed, Paused, Pending, Running, Scheduled


def runs_of(flow_run: FlowRun) -> FlowRunFilter:
    return FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))


def test_api_healthcheck(client: Client) -> None:
    assert client.api_healthcheck() is None


def test_api_version(client: Client) -> None:
    assert client.api_version() == "3.9.1"


def test_raise_for_api_version_mismatch(client: Client) -> None:
    client.raise_for_api_version_mismatch()


def test_raise_for_api_version_mismatch_once(client: Client) -> None:
    client.raise_for_api_version_mismatch_once()


def test_hello(client: Client) -> None:
    assert client.hello().json() == "👋"


def test_create_flow(client: Client) -> None:
    assert client.create_flow(some_flow) == client.create_flow_from_name(some_flow.name)


def test_create_flow_from_name(client: Client, name: str) -> None:
    created = client.create_flow_from_name(name)
    assert client.create_flow_from_name(name) == created


def test_read_flow(client: Client, name: str) -> None:
    flow_id = client.create_flow_from_name(name)
    read = client.read_flow(flow_id)
    assert (read.id, read.name, read.tags) == (flow_id, name, [])
    with not_found():
        client.read_flow(uuid.uuid4())


def test_read_flow_by_name(client: Client, name: str) -> None:
    flow_id = client.create_flow_from_name(name)
    assert client.read_flow_by_name(name).id == flow_id
    with not_found():
        client.read_flow_by_name(f"no-{name}")


def test_read_flows(client: Client, name: str) -> None:
    names = [f"{name}-{letter}" for letter in "abc"]
    for each in names:
        client.create_flow_from_name(each)
    wanted = FlowFilter(name=FlowFilterName(like_=name))
    read = client.read_flows(flow_filter=wanted, sort=FlowSort.NAME_DESC)
    assert [flow.name for flow in read] == names[::-1]
    page = client.read_flows(flow_filter=wanted, sort=FlowSort.NAME_ASC, limit=1, offset=1)
    assert [flow.name for flow in page] == [names[1]]


def test_delete_flow(client: Client, name: str) -> None:
    flow_id = client.create_flow_from_name(name)
    client.delete_flow(flow_id)
    with not_found():
        client.read_flow(flow_id)
    with not_found():
        client.delete_flow(flow_id)


def test_create_flow_run(client: Client, name: str) -> None:
    created = client.create_flow_run(
        some_flow,
        name=name,
        parameters={"number": 7},
        context={"from": "a test"},
        tags=["b", "a"],
        state=Scheduled(message="soon"),
        job_variables={"cpu": 2},
    )
    read = client.read_flow_run(created.id)
    assert (read.name, read.parameters, sorted(read.tags)) == (name, {"number": 7}, ["a", "b"])
    assert read.context == {"from": "a test"} and read.job_variables == {"cpu": 2}
    assert read.state.is_scheduled() and read.state.message == "soon"
    assert read.next_scheduled_start_time == read.state.state_details.scheduled_time


def test_read_flow_run(client: Client, flow_run: FlowRun) -> None:
    by_the_clock = {"estimated_start_time_delta", "estimated_run_time", "updated"}
    read = client.read_flow_run(flow_run.id)
    assert read.model_dump(exclude=by_the_clock) == flow_run.model_dump(exclude=by_the_clock)
    with not_found():
        client.read_flow_run(uuid.uuid4())


def test_update_flow_run(client: Client, flow_run: FlowRun, name: str) -> None:
    client.update_flow_run(
        flow_run.id,
        flow_version="eight",
        parameters={"number": 8},
        name=name,
        tags=["later"],
        empirical_policy=FlowRunPolicy(retries=3, retry_delay=4),
        infrastructure_pid="host:1",
    )
    read = client.read_flow_run(flow_run.id)
    assert (read.flow_version, read.parameters, read.name) == ("eight", {"number": 8}, name)
    assert (read.tags, read.infrastructure_pid) == (["later"], "host:1")
    assert (read.empirical_policy.retries, read.empirical_policy.retry_delay) == (3, 4)


def test_update_flow_run_labels(client: Client, flow_run: FlowRun) -> None:
    client.update_flow_run_labels(flow_run.id, {"team": "blue", "size": 3, "new": True})
    client.update_flow_run_labels(flow_run.id, {"size": 4})
    labels = client.read_flow_run(flow_run.id).labels
    assert labels == flow_run.labels | {"team": "blue", "size": 4, "new": True}


def test_set_flow_run_name(client: Client, flow_run: FlowRun, name: str) -> None:
    client.set_flow_run_name(flow_run.id, name)
    assert client.read_flow_run(flow_run.id).name == name


def test_set_flow_run_state(client: Client, flow_run: FlowRun) -> None:
    accepted = client.set_flow_run_state(flow_run.id, Running())
    assert accepted.status == SetStateStatus.ACCEPT
    refused = client.set_flow_run_state(flow_run.id, Pending())
    assert refused.status == SetStateStatus.ABORT
    assert refused.details.reason
    forced = client.set_flow_run_state(flow_run.id, Pending(), force=True)
    assert forced.status == SetStateStatus.ACCEPT
    with not_found():
        client.set_flow_run_state(uuid.uuid4(), Running())


def test_read_flow_run_states(client: Client, flow_run: FlowRun) -> None:
    for state in (Running(), Failed(message="it broke")):
        client.set_flow_run_state(flow_run.id, state)
    states = client.read_flow_run_states(flow_run.id)
    assert [state.name for state in states] == ["Pending", "Running", "Failed"]
    assert states[-1].message == "it broke"
    assert [state.timestamp for state in states] == sorted(state.timestamp for state in states)


def test_read_flow_run_state(client: Client, flow_run: FlowRun) -> None:
    read = client.read_flow_run_state(flow_run.state.id)
    assert (read.id, read.name, read.timestamp) == (flow_run.state.id, "Pending", flow_run.state.timestamp)
    with not_found():
        client.read_flow_run_state(uuid.uuid4())


def test_resume_flow_run(client: Client, flow_run: FlowRun) -> None:
    refused = client.resume_flow_run(flow_run.id)
    assert refused.status == SetStateStatus.ABORT
    for state in (Running(), Paused(timeout_seconds=60)):
        client.set_flow_run_state(flow_run.id, state, force=True)
    resumed = client.resume_flow_run(flow_run.id)
    assert resumed.status == SetStateStatus.ACCEPT
    assert client.read_flow_run(flow_run.id).state_name == "Running"


def test_read_flow_runs(client: Client, name: str) -> None:
    early, late = (
        client.create_flow_run(some_flow, name=f"{name}-{letter}", tags=[name]) for letter in "ab"
    )
    wanted = FlowRunFilter(tags={"all_": [name]})
    read = client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.NAME_DESC)
    assert [run.id for run in read] == [late.id, early.id]
    page = client.read_flow_runs(
        flow_run_filter=wanted, sort=FlowRunSort.NAME_ASC, limit=1, offset=1
    )
    assert [run.id for run in page] == [late.id]
    by_flow = FlowFilter(name=FlowFilterName(any_=[f"no-{name}"]))
    assert client.read_flow_runs(flow_filter=by_flow) == []


def test_count_flow_runs(client: Client, name: str) -> None:
    wanted = FlowRunFilter(tags={"all_": [name]})
    assert client.count_flow_runs(flow_run_filter=wanted) == 0
    for _ in range(3):
        client.create_flow_run(some_flow, tags=[name])
    assert client.count_flow_runs(flow_run_filter=wanted) == 3


def test_delete_flow_run(client: Client, flow_run: FlowRun) -> None:
    client.delete_flow_run(flow_run.id)
    with not_found():
        client.read_flow_run(flow_run.id)
    with not_found():
        client.delete_flow_run(flow_run.id)


def test_create_flow_run_input(client: Client, flow_run: FlowRun) -> None:
    client.create_flow_run_input(flow_run.id, "key", '"value"', sender="prefect.flow-run.x")
    with pytest.raises(httpx.HTTPStatusError) as refused:
        client.create_flow_run_input(flow_run.id, "key", '"again"')
    assert refused.value.response.status_code == 409


def test_read_flow_run_input(client: Client, flow_run: FlowRun) -> None:
    client.create_flow_run_input(flow_run.id, "key", '{"snow": "☃"}')
    assert client.read_flow_run_input(flow_run.id, "key") == '{"snow": "☃"}'
    with not_found():
        client.read_flow_run_input(flow_run.id, "another")


def test_filter_flow_run_input(client: Client, flow_run: FlowRun) -> None:
    for key in ("a-1", "a-2", "a-3", "b-1"):
        client.create_flow_run_input(flow_run.id, key, f'"{key}"')
    found = client.filter_flow_run_input(flow_run.id, "a-", limit=5, exclude_keys={"a-2"})
    assert {entry.key: entry.value for entry in found} == {"a-1": '"a-1"', "a-3": '"a-3"'}
    first = client.filter_flow_run_input(flow_run.id, "a-", limit=1, exclude_keys=set())
    assert [entry.key for entry in first] == ["a-1"]


def test_delete_flow_run_input(client: Client, flow_run: FlowRun) -> None:
    client.create_flow_run_input(flow_run.id, "key", '"value"')
    client.delete_flow_run_input(flow_run.id, "key")
    with not_found():
        client.delete_flow_run_input(flow_run.id, "key")


def test_create_task_run(client: Client, flow_run: FlowRun, name: str) -> None:
    given_id = uuid.uuid4()
    created = client.create_task_run(
        some_task,
        flow_run_id=flow_run.id,
        dynamic_key="seven",
        id=given_id,
        name=name,
        extra_tags=["extra"],
        state=Running(),
    )
    assert created.id == given_id
    read = client.read_task_run(given_id)
    assert (read.name, read.dynamic_key, read.tags) == (name, "seven", ["extra"])
    assert read.task_key == some_task.task_key and read.flow_run_id == flow_run.id
    assert read.state.is_running()


def test_read_task_run(client: Client, task_run: TaskRun) -> None:
    read = client.read_task_run(task_run.id)
    assert (read.id, read.name, read.state_name) == (task_run.id, task_run.name, "Pending")
    with not_found():
        client.read_task_run(uuid.uuid4())


def test_read_task_runs(client: Client, flow_run: FlowRun) -> None:
    created = [
        client.create_task_run(some_task, flow_run.id, dynamic_key=letter, name=letter).id
        for letter in "abc"
    ]
    by_name = TaskRunSort.NAME_DESC
    read = client.read_task_runs(flow_run_filter=runs_of(flow_run), sort=by_name)
    assert [run.id for run in read] == created[::-1]
    wanted = TaskRunFilter(id=TaskRunFilterId(any_=created[:2]))
    page = client.read_task_runs(task_run_filter=wanted, sort=by_name, limit=1, offset=1)
    assert [run.id for run in page] == [created[0]]


def test_set_task_run_name(client: Client, task_run: TaskRun, name: str) -> None:
    client.set_task_run_name(task_run.id, name)
    assert client.read_task_run(task_run.id).name == name


def test_set_task_run_state(client: Client, flow_run: FlowRun, task_run: TaskRun) -> None:
    refused = client.set_task_run_state(task_run.id, Running())
    assert refused.status == SetStateStatus.ABORT
    client.set_flow_run_state(flow_run.id, Running())
    accepted = client.set_task_run_state(task_run.id, Running())
    assert accepted.status == SetStateStatus.ACCEPT
    forced = client.set_task_run_state(task_run.id, Pending(), force=True)
    assert forced.status == SetStateStatus.ACCEPT
    with not_found():
        client.set_task_run_state(uuid.uuid4(), Pending())


def test_read_task_run_states(client: Client, flow_run: FlowRun, task_run: TaskRun) -> None:
    client.set_flow_run_state(flow_run.id, Running())
    for state in (Running(), Completed(message="done")):
        client.set_task_run_state(task_run.id, state)
    states = client.read_task_run_states(task_run.id)
    assert [state.name for state in states] == ["Pending", "Running", "Completed"]
    assert states[-1].message == "done"


def test_delete_task_run(client: Client, task_run: TaskRun) -> None:
    client.delete_task_run(task_run.id)
    with not_found():
        client.read_task_run(task_run.id)
    with not_found():
        client.delete_task_run(task_run.id)


def log(
    flow_run: FlowRun, message: str, seconds: int, task_run: TaskRun | None = None
) -> LogCreate:
    """Returns a log line that is so many seconds older than now."""
    age = datetime.timedelta(seconds=seconds)
    return LogCreate(
        name="prefect.flow_runs",
        level=20,
        message=message,
        timestamp=datetime.datetime.now(datetime.UTC) - age,
        flow_run_id=flow_run.id,
        task_run_id=task_run and task_run.id,
    )


def test_create_logs(client: Client, flow_run: FlowRun, task_run: TaskRun) -> None:
    as_model = log(flow_run, "a model", 2)
    as_dict = log(flow_run, "a dict", 1, task_run).model_dump(mode="json")
    client.create_logs([as_model, as_dict])
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id]))
    read = client.read_logs(wanted, sort=LogSort.TIMESTAMP_ASC)
    assert [(entry.message, entry.task_run_id) for entry in read] == [
        ("a model", None),
        ("a dict", task_run.id),
    ]


def test_read_logs(client: Client, flow_run: FlowRun) -> None:
    client.create_logs([log(flow_run, str(age), age) for age in range(5)])
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id]))
    newest = client.read_logs(wanted, sort=LogSort.TIMESTAMP_DESC, limit=2, offset=1)
    assert [entry.message for entry in newest] == ["1", "2"]
    assert client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[uuid.uuid4()]))) == []


def test_create_variable(client: Client, name: str) -> None:
    created = client.create_variable(VariableCreate(name=name, value={"a": [1, None]}, tags=["t"]))
    assert (created.name, created.value, created.tags) == (name, {"a": [1, None]}, ["t"])
    assert client.read_variable_by_name(name) == created


def test_read_variable_by_name(client: Client, name: str) -> None:
    assert client.read_variable_by_name(name) is None
    created = client.create_variable(VariableCreate(name=name, value=None))
    assert client.read_variable_by_name(name) == created


def test_read_variables(client: Client, name: str) -> None:
    created = client.create_variable(VariableCreate(name=name, value=1.5))
    assert created in client.read_variables(limit=200)


def test_update_variable(client: Client, name: str) -> None:
    created = client.create_variable(VariableCreate(name=name, value=1, tags=["t"]))
    client.update_variable(VariableUpdate(name=name, value="two"))
    read = client.read_variable_by_name(name)
    assert (read.id, read.value, read.tags) == (created.id, "two", ["t"])
    with not_found():
        client.update_variable(VariableUpdate(name=f"no-{name}", value=1))


def test_delete_variable_by_name(client: Client, name: str) -> None:
    client.create_variable(VariableCreate(name=name, value=1))
    client.delete_variable_by_name(name)
    assert client.read_variable_by_name(name) is None
    with not_found():
        client.delete_variable_by_name(name)
