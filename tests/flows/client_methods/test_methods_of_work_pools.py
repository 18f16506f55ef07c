"""Methods of work pools, work queues and workers."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from both_kinds import Client, not_found, some_flow
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import WorkerFilter, WorkPoolFilter, WorkPoolFilterName, WorkQueueFilter, WorkQueueFilterName
from prefect.client.schemas.objects import FlowRun, WorkerMetadata, WorkPool, WorkQueue
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Pending, Scheduled


@pytest.fixture
def pool(client: Client, name: str) -> WorkPool:
    return client.create_work_pool(WorkPoolCreate(name=name, type="process"))


@pytest.fixture
def queue(client: Client, pool: WorkPool) -> WorkQueue:
    return client.create_work_queue("urgent", work_pool_name=pool.name)


def waiting(client: Client, pool: WorkPool, queue: str = "urgent", **later: float) -> FlowRun:
    """Adds a run that waits in the queue, to start that much later than now."""
    state: Scheduled = Scheduled()
    state.state_details.scheduled_time += timedelta(**later)
    return client.create_flow_run(some_flow, state=state, work_pool_name=pool.name, work_queue_name=queue)


def test_create_work_pool(client: Client, name: str) -> None:
    template = {"job_configuration": {"command": "{{ command }}"}, "variables": {"properties": {"command": {}}}}
    given = WorkPoolCreate(name=name, type="process", description="said", concurrency_limit=3, base_job_template=template)
    created = client.create_work_pool(given)
    read = client.read_work_pool(name)
    assert (read.id, read.type, read.description, read.concurrency_limit) == (created.id, "process", "said", 3)
    assert read.base_job_template == template and not read.is_paused
    with pytest.raises(ObjectAlreadyExists):
        client.create_work_pool(given)
    again = WorkPoolCreate(name=name, type="process", description="again", is_paused=True)
    assert client.create_work_pool(again, overwrite=True).id == created.id
    assert (client.read_work_pool(name).description, client.read_work_pool(name).is_paused) == ("again", True)


def test_read_work_pool(client: Client, pool: WorkPool) -> None:
    assert client.read_work_pool(pool.name).id == pool.id
    with not_found():
        client.read_work_pool(f"no-{pool.name}")


def test_read_work_pools(client: Client, name: str) -> None:
    created = [client.create_work_pool(WorkPoolCreate(name=f"{name}-{each}", type="process")) for each in "abc"]
    wanted = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool.name for pool in created]))
    assert {pool.id for pool in client.read_work_pools(work_pool_filter=wanted)} == {pool.id for pool in created}
    assert len(client.read_work_pools(work_pool_filter=wanted, limit=2)) == 2
    assert len(client.read_work_pools(work_pool_filter=wanted, limit=2, offset=2)) == 1


def test_update_work_pool(client: Client, pool: WorkPool) -> None:
    client.update_work_pool(pool.name, WorkPoolUpdate(description="changed", concurrency_limit=5, is_paused=True))
    read = client.read_work_pool(pool.name)
    assert (read.description, read.concurrency_limit, read.is_paused) == ("changed", 5, True)
    with not_found():
        client.update_work_pool(f"no-{pool.name}", WorkPoolUpdate(description="changed"))


def test_delete_work_pool(client: Client, pool: WorkPool) -> None:
    client.delete_work_pool(pool.name)
    with not_found():
        client.read_work_pool(pool.name)
    with not_found():
        client.delete_work_pool(pool.name)


def test_read_work_pool_concurrency_status(client: Client, pool: WorkPool, queue: WorkQueue) -> None:
    client.update_work_pool(pool.name, WorkPoolUpdate(concurrency_limit=2))
    run = waiting(client, pool)
    client.set_flow_run_state(run.id, Pending())
    status = client.read_work_pool_concurrency_status(pool.name)
    assert (status.concurrency_limit, status.active_slots, status.count) == (2, 1, 2)
    with not_found():
        client.read_work_pool_concurrency_status(f"no-{pool.name}")


def test_get_scheduled_flow_runs_for_work_pool(client: Client, pool: WorkPool, queue: WorkQueue) -> None:
    now, later = waiting(client, pool), waiting(client, pool, "default", hours=1)

    def due(**options: object) -> set[uuid.UUID]:
        found = client.get_scheduled_flow_runs_for_work_pool(pool.name, **options)
        return {each.flow_run.id for each in found}

    assert due() == {now.id, later.id}
    assert due(work_queue_names=["default"]) == {later.id}
    assert due(scheduled_before=now.state.state_details.scheduled_time + timedelta(minutes=1)) == {now.id}
    with not_found():
        client.get_scheduled_flow_runs_for_work_pool(f"no-{pool.name}")


def test_create_work_queue(client: Client, pool: WorkPool, name: str) -> None:
    created = client.create_work_queue(
        "urgent", description="said", is_paused=True, concurrency_limit=2, priority=1, work_pool_name=pool.name
    )
    read = client.read_work_queue(created.id)
    assert (read.name, read.description, read.is_paused) == ("urgent", "said", True)
    assert (read.concurrency_limit, read.priority, read.work_pool_id) == (2, 1, pool.id)
    with pytest.raises(ObjectAlreadyExists):
        client.create_work_queue("urgent", work_pool_name=pool.name)
    with not_found():
        client.create_work_queue("urgent", work_pool_name=f"no-{pool.name}")
    assert client.create_work_queue(name).name == name


def test_read_work_queue(client: Client, queue: WorkQueue) -> None:
    assert client.read_work_queue(queue.id).name == "urgent"
    with not_found():
        client.read_work_queue(uuid.uuid4())


def test_read_work_queue_by_name(client: Client, pool: WorkPool, queue: WorkQueue, name: str) -> None:
    assert client.read_work_queue_by_name("urgent", work_pool_name=pool.name).id == queue.id
    with not_found():
        client.read_work_queue_by_name("nobody's", work_pool_name=pool.name)
    alone = client.create_work_queue(name)
    assert client.read_work_queue_by_name(name).id == alone.id


def test_read_work_queues(client: Client, pool: WorkPool, queue: WorkQueue) -> None:
    assert {each.name for each in client.read_work_queues(work_pool_name=pool.name)} == {"default", "urgent"}
    wanted = WorkQueueFilter(name=WorkQueueFilterName(any_=["urgent"]))
    read = client.read_work_queues(work_pool_name=pool.name, work_queue_filter=wanted)
    assert [each.id for each in read] == [queue.id]
    assert len(client.read_work_queues(work_pool_name=pool.name, limit=1, offset=1)) == 1


def test_match_work_queues(client: Client, pool: WorkPool, queue: WorkQueue) -> None:
    assert [each.id for each in client.match_work_queues(["ur"], work_pool_name=pool.name)] == [queue.id]
    assert client.match_work_queues(["no"], work_pool_name=pool.name) == []


def test_update_work_queue(client: Client, queue: WorkQueue) -> None:
    client.update_work_queue(queue.id, description="changed", concurrency_limit=4, is_paused=True)
    read = client.read_work_queue(queue.id)
    assert (read.description, read.concurrency_limit, read.is_paused) == ("changed", 4, True)
    with not_found():
        client.update_work_queue(uuid.uuid4(), description="changed")


def test_read_work_queue_status(client: Client, queue: WorkQueue) -> None:
    status = client.read_work_queue_status(queue.id)
    assert (status.healthy, status.late_runs_count, status.last_polled) == (False, 0, None)
    with not_found():
        client.read_work_queue_status(uuid.uuid4())


def test_read_work_queue_concurrency_status(client: Client, pool: WorkPool, queue: WorkQueue) -> None:
    client.update_work_queue(queue.id, concurrency_limit=2)
    run = waiting(client, pool)
    client.set_flow_run_state(run.id, Pending())
    status = client.read_work_queue_concurrency_status(queue.id)
    assert (status.concurrency_limit, status.active_slots) == (2, 1)
    with not_found():
        client.read_work_queue_concurrency_status(uuid.uuid4())


def test_get_runs_in_work_queue(client: Client, pool: WorkPool, name: str) -> None:
    # The real server hands out the runs of every queue of that name.
    queue = client.create_work_queue(name, work_pool_name=pool.name)
    now, later = waiting(client, pool, name), waiting(client, pool, name, hours=1)
    before = now.state.state_details.scheduled_time + timedelta(hours=2)
    found = client.get_runs_in_work_queue(queue.id, scheduled_before=before)
    assert [run.id for run in found] == [now.id, later.id]
    assert [run.id for run in client.get_runs_in_work_queue(queue.id, limit=1, scheduled_before=before)] == [now.id]
    assert [run.id for run in client.get_runs_in_work_queue(queue.id)] == [now.id]
    with not_found():
        client.get_runs_in_work_queue(uuid.uuid4())


def test_delete_work_queue_by_id(client: Client, queue: WorkQueue) -> None:
    client.delete_work_queue_by_id(queue.id)
    with not_found():
        client.read_work_queue(queue.id)
    with not_found():
        client.delete_work_queue_by_id(queue.id)


def test_send_worker_heartbeat(client: Client, pool: WorkPool) -> None:
    metadata = WorkerMetadata(integrations=[{"name": "prefect-aws", "version": "1.0"}])
    client.send_worker_heartbeat(pool.name, "first", heartbeat_interval_seconds=20, worker_metadata=metadata)
    [worker] = client.read_workers_for_work_pool(pool.name)
    assert (worker.name, worker.heartbeat_interval_seconds, worker.status) == ("first", 20, "ONLINE")


def test_read_workers_for_work_pool(client: Client, pool: WorkPool) -> None:
    assert client.read_workers_for_work_pool(pool.name) == []
    for name in ("first", "second"):
        client.send_worker_heartbeat(pool.name, name)
    read = client.read_workers_for_work_pool(pool.name)
    assert [worker.name for worker in read] == ["second", "first"]
    page = client.read_workers_for_work_pool(pool.name, limit=1, offset=1)
    assert [worker.name for worker in page] == ["first"]
    offline = WorkerFilter(status={"any_": ["OFFLINE"]})
    assert client.read_workers_for_work_pool(pool.name, worker_filter=offline) == []


def test_read_worker_metadata(client: Client) -> None:
    read = client.read_worker_metadata()
    assert "process" in read["prefect"]
    assert read["prefect"]["process"]["default_base_job_configuration"]["variables"]
    assert read["prefect-kubernetes"]["kubernetes"]["type"] == "kubernetes"
