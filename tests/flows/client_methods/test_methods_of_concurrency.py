"""Methods of concurrency limits: those of tags, and global ones with their slots and leases."""

from __future__ import annotations

import uuid

import httpx
import pytest
from both_kinds import Client, not_found
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.exceptions import ObjectAlreadyExists
from prefect.types._concurrency import ConcurrencyLeaseHolder


@pytest.fixture
def tag(client: Client, name: str) -> str:
    """A tag that two tasks may run of at a time."""
    client.create_concurrency_limit(name, 2)
    return name


@pytest.fixture
def limit(client: Client, name: str) -> str:
    """The name of a global limit of two slots."""
    client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=2))
    return name


def locked(client: Client, method: str, *arguments: object) -> httpx.Response:
    """Calls a method that is to be answered with 423, and returns the answer."""
    with pytest.raises(httpx.HTTPStatusError) as refused:
        getattr(client, method)(*arguments)
    assert refused.value.response.status_code == 423
    return refused.value.response


def active(client: Client, limit: str) -> int:
    return client.read_global_concurrency_limit_by_name(limit).active_slots


def test_create_concurrency_limit(client: Client, name: str) -> None:
    created = client.create_concurrency_limit(name, 2)
    read = client.read_concurrency_limit_by_tag(name)
    assert (read.id, read.tag, read.concurrency_limit, read.active_slots) == (created, name, 2, [])
    assert client.create_concurrency_limit(name, 5) == created
    assert client.read_concurrency_limit_by_tag(name).concurrency_limit == 5


def test_read_concurrency_limit_by_tag(client: Client, tag: str) -> None:
    assert client.read_concurrency_limit_by_tag(tag).concurrency_limit == 2
    with not_found():
        client.read_concurrency_limit_by_tag(f"no-{tag}")


def test_read_concurrency_limits(client: Client, tag: str) -> None:
    read = client.read_concurrency_limits(limit=200, offset=0)
    assert tag in {limit.tag for limit in read}
    assert client.read_concurrency_limits(limit=200, offset=len(read)) == []


def test_increment_v1_concurrency_slots(client: Client, tag: str) -> None:
    runs = [uuid.uuid4() for _ in range(3)]
    for run in runs[:2]:
        [held] = client.increment_v1_concurrency_slots([tag], run).json()
        assert (held["name"], held["limit"]) == (tag, 2)
    assert locked(client, "increment_v1_concurrency_slots", [tag], runs[2]).headers["Retry-After"]
    assert set(client.read_concurrency_limit_by_tag(tag).active_slots) == set(runs[:2])
    assert client.increment_v1_concurrency_slots([f"no-{tag}"], runs[2]).json() == []


def test_decrement_v1_concurrency_slots(client: Client, tag: str) -> None:
    run = uuid.uuid4()
    client.increment_v1_concurrency_slots([tag], run)
    client.decrement_v1_concurrency_slots([tag], run, 1.5)
    assert client.read_concurrency_limit_by_tag(tag).active_slots == []
    client.decrement_v1_concurrency_slots([tag], run, 1.5)


def test_reset_concurrency_limit_by_tag(client: Client, tag: str) -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    client.increment_v1_concurrency_slots([tag], first)
    client.reset_concurrency_limit_by_tag(tag, slot_override=[second])
    assert client.read_concurrency_limit_by_tag(tag).active_slots == [second]
    client.reset_concurrency_limit_by_tag(tag)
    assert client.read_concurrency_limit_by_tag(tag).active_slots == []
    with not_found():
        client.reset_concurrency_limit_by_tag(f"no-{tag}")


def test_delete_concurrency_limit_by_tag(client: Client, tag: str) -> None:
    client.delete_concurrency_limit_by_tag(tag)
    with not_found():
        client.read_concurrency_limit_by_tag(tag)
    with not_found():
        client.delete_concurrency_limit_by_tag(tag)


def test_create_global_concurrency_limit(client: Client, name: str) -> None:
    given = GlobalConcurrencyLimitCreate(name=name, limit=3, active=True, slot_decay_per_second=0.5)
    created = client.create_global_concurrency_limit(given)
    read = client.read_global_concurrency_limit_by_name(name)
    assert (read.id, read.limit, read.active, read.active_slots) == (created, 3, True, 0)
    assert read.slot_decay_per_second == 0.5
    with pytest.raises(ObjectAlreadyExists):
        client.create_global_concurrency_limit(given)


def test_read_global_concurrency_limit_by_name(client: Client, limit: str) -> None:
    assert client.read_global_concurrency_limit_by_name(limit).name == limit
    with not_found():
        client.read_global_concurrency_limit_by_name(f"no-{limit}")


def test_read_global_concurrency_limits(client: Client, name: str) -> None:
    for letter in "ab":
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=f"{name}-{letter}", limit=1))
    read = client.read_global_concurrency_limits(limit=200)
    names = [each.name for each in read]
    assert {f"{name}-a", f"{name}-b"} <= set(names)
    page = client.read_global_concurrency_limits(limit=1, offset=1)
    assert [each.name for each in page] == names[1:2]


def test_update_global_concurrency_limit(client: Client, limit: str) -> None:
    client.update_global_concurrency_limit(limit, GlobalConcurrencyLimitUpdate(limit=5, active=False))
    read = client.read_global_concurrency_limit_by_name(limit)
    assert (read.limit, read.active) == (5, False)
    with not_found():
        client.update_global_concurrency_limit(f"no-{limit}", GlobalConcurrencyLimitUpdate(limit=5))


def test_upsert_global_concurrency_limit_by_name(client: Client, name: str) -> None:
    client.upsert_global_concurrency_limit_by_name(name, 3)
    created = client.read_global_concurrency_limit_by_name(name)
    client.upsert_global_concurrency_limit_by_name(name, 4)
    read = client.read_global_concurrency_limit_by_name(name)
    assert (created.limit, read.limit, read.id) == (3, 4, created.id)


def test_delete_global_concurrency_limit_by_name(client: Client, limit: str) -> None:
    client.delete_global_concurrency_limit_by_name(limit)
    with not_found():
        client.read_global_concurrency_limit_by_name(limit)
    with not_found():
        client.delete_global_concurrency_limit_by_name(limit)


def test_increment_concurrency_slots(client: Client, limit: str) -> None:
    [held] = client.increment_concurrency_slots([limit], 2, "concurrency").json()
    assert (held["name"], held["limit"], active(client, limit)) == (limit, 2, 2)
    assert locked(client, "increment_concurrency_slots", [limit], 1, "concurrency").headers["Retry-After"]


def test_release_concurrency_slots(client: Client, limit: str) -> None:
    client.increment_concurrency_slots([limit], 2, "concurrency")
    client.release_concurrency_slots([limit], 1, 0.1)
    assert active(client, limit) == 1


def test_increment_concurrency_slots_with_lease(client: Client, limit: str) -> None:
    holder = ConcurrencyLeaseHolder(type="task_run", id=uuid.uuid4())
    answer = client.increment_concurrency_slots_with_lease([limit], 2, "concurrency", 60, holder).json()
    assert uuid.UUID(answer["lease_id"]) and [each["name"] for each in answer["limits"]] == [limit]
    assert active(client, limit) == 2
    locked(client, "increment_concurrency_slots_with_lease", [limit], 1, "concurrency", 60)


def test_renew_concurrency_lease(client: Client, limit: str) -> None:
    answer = client.increment_concurrency_slots_with_lease([limit], 1, "concurrency", 60).json()
    assert client.renew_concurrency_lease(uuid.UUID(answer["lease_id"]), 120).status_code == 204
    with pytest.raises(httpx.HTTPStatusError) as refused:
        client.renew_concurrency_lease(uuid.uuid4(), 120)
    assert refused.value.response.status_code == 410


def test_release_concurrency_slots_with_lease(client: Client, limit: str) -> None:
    answer = client.increment_concurrency_slots_with_lease([limit], 2, "concurrency", 60).json()
    client.release_concurrency_slots_with_lease(uuid.UUID(answer["lease_id"]))
    assert active(client, limit) == 0
