"""The runs that the scheduler makes, beside those that the real server's makes. Run by hand.

The scheduler of the pinned real server breaks down with the SQLAlchemy 2.1 that is pinned beside it ("Can't evaluate bulk
DML statement"), so these need an environment where that one package is older; tests/conformance/README.md says how to make
it. The file's name keeps it out of the suite; named on the command line, it runs:

    PROCTOR_ORACLE_ENV=…/venv-scheduler .venv/bin/pytest tests/conformance/produced_runs.py
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from .conftest import asked_side_by_side
from .side_by_side import Pair, sorted_by

LOOP_SECONDS = 2
PATIENCE_SECONDS = 30
SETTINGS = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "true",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": str(LOOP_SECONDS),
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
}
HOUR = {"interval": 3600, "anchor_date": "2020-01-01T00:17:00Z"}
DAILY = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
OLD_RULE = {"rrule": "DTSTART:19700101T000000\nRRULE:FREQ=MINUTELY;INTERVAL=30", "timezone": "America/New_York"}

DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "interval": {"schedules": [{"schedule": HOUR}], "tags": ["b", "a"], "version": "3"},
    "interval-in-a-zone": {"schedules": [{"schedule": {**HOUR, "interval": 86_400, "timezone": "Australia/Lord_Howe"}}]},
    "cron": {"schedules": [{"schedule": DAILY, "slug": "nightly", "parameters": {"night": True}}], "parameters": {"a": 1}},
    "cron-of-weekdays": {"schedules": [{"schedule": {"cron": "0 9 * * MON-FRI", "timezone": "America/New_York"}}]},
    "cron-either-day": {"schedules": [{"schedule": {"cron": "0 0 13 * FRI", "day_or": False, "timezone": "Asia/Tokyo"}}]},
    "rule-of-old": {"schedules": [{"schedule": OLD_RULE}]},
    "rule": {"schedules": [{"schedule": {"rrule": "FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=7;BYMINUTE=0;BYSECOND=0"}}]},
    "several": {
        "schedules": [
            {"schedule": HOUR, "slug": "hourly", "parameters": {"a": 2, "b": [1]}},
            {"schedule": DAILY, "slug": "daily"},
            {"schedule": HOUR, "slug": "never", "active": False},
        ],
        "parameters": {"a": 1, "kept": "yes"},
        "enforce_parameter_schema": False,
    },
    "queued": {
        "schedules": [{"schedule": HOUR, "max_scheduled_runs": 1}],
        "work_pool_name": "produced",
        "work_queue_name": "early",
        "job_variables": {"env": {"A": "1"}},
        "labels": {"team": "data"},
        "concurrency_limit": 2,
    },
    "in-the-default-queue": {"schedules": [{"schedule": DAILY}], "work_pool_name": "produced"},
    "paused": {"schedules": [{"schedule": HOUR}], "paused": True},
    "out-of-sight": {"schedules": [{"schedule": {"cron": "0 0 29 2 *"}}]},
}


@pytest.fixture(scope="module")
def scheduling() -> Iterator[Pair]:
    """Both servers with their schedulers in a hurry, and the deployments, since when no half hour may begin."""
    left = 1_800 - time.time() % 1_800
    if left < 240:
        time.sleep(left + 5)
    with asked_side_by_side(SETTINGS) as pair:
        pair.test = "produced_runs.py"
        pair.prepare("POST", "/work_pools/", {"name": "produced", "type": "process"})
        pair.prepare("POST", "/work_pools/produced/queues", {"name": "early", "priority": 3})
        flow = pair.prepare("POST", "/flows/", {"name": "produced", "labels": {"flow": "label"}}, name="flow")
        for name, body in DEPLOYMENTS.items():
            pair.prepare("POST", "/deployments/", {"name": name, "flow_id": flow["id"], **body}, name=name)
        yield pair


def in_order(runs: Any) -> Any:
    """The runs by time, and those of one time by their schedule; the real server leaves the order of tags to chance."""
    runs = sorted(runs, key=lambda run: (run["expected_start_time"], run["created_by"]["display_value"]))
    return [{**run, "tags": sorted(run["tags"])} for run in runs]


def instants(runs: Any) -> list[tuple[str, ...]]:
    """All instants of the runs, to the letter."""
    return [
        (
            run["expected_start_time"],
            run["next_scheduled_start_time"],
            datetime.fromisoformat(run["state"]["state_details"]["scheduled_time"]).astimezone(UTC).isoformat(),
            " ".join(run["idempotency_key"].split()[3:]),
        )
        for run in in_order(runs)
    ]


def agree(pair: Pair, name: str) -> int:
    """Waits until both servers have made the same runs of the deployment, and returns how many."""
    wanted = {"flow_runs": {"deployment_id": {"any_": [f"@{name}@"]}}, "limit": 200, "sort": "EXPECTED_START_TIME_ASC"}
    deadline = time.monotonic() + PATIENCE_SECONDS
    before = None
    while True:
        found = pair.send("POST", "/flow_runs/filter", wanted)
        theirs, ours = instants(found.oracle.json()), instants(found.subject.json())
        if theirs == ours == before or time.monotonic() > deadline:
            break
        before = theirs
        time.sleep(LOOP_SECONDS)
    assert theirs == ours
    pair.check("POST", "/flow_runs/filter", wanted, view=in_order)
    return len(theirs)


COUNTS = {"interval": 3, "several": 6, "rule-of-old": 3, "paused": 0, "out-of-sight": 0}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_runs_of(scheduling: Pair, name: str) -> None:
    count = agree(scheduling, name)
    assert count == COUNTS.get(name, count)


def test_the_states_of_runs(scheduling: Pair) -> None:
    wanted = {"flow_runs": {"deployment_id": {"any_": ["@several@"]}}, "sort": "EXPECTED_START_TIME_ASC"}
    runs = scheduling.check("POST", "/flow_runs/filter", wanted, view=in_order)
    by_time = [in_order(response.json())[0]["id"] for response in (runs.oracle, runs.subject)]
    run = scheduling.refer(*by_time)
    scheduling.check("GET", f"/flow_runs/{run}")
    scheduling.check("GET", "/flow_run_states/", params={"flow_run_id": run})
    scheduling.check("GET", f"/flow_runs/{run}/graph-v2")
    events = {"filter": {"event": {"prefix": ["prefect.flow-run."]}}}
    scheduling.check("POST", "/events/filter", events)


def test_what_changes_make_of_them(scheduling: Pair) -> None:
    """Changed, paused and resumed deployments and schedules, and runs that are asked for."""
    flow = "@flow@"
    body = {"name": "changed", "flow_id": flow, "schedules": [{"schedule": HOUR, "slug": "hourly"}], "tags": ["old"]}
    made = scheduling.prepare("POST", "/deployments/", body, name="changed")
    schedule = made.at("schedules", 0, "id")
    assert agree(scheduling, "changed") == 3
    for change in (
        {"parameters": {"a": 2}, "tags": ["new"], "version": "2"},
        {"schedules": [{"schedule": {**HOUR, "interval": 7_200}, "slug": "hourly"}]},
        {"paused": True},
        {"paused": False},
        {"schedules": [{"schedule": DAILY}, {"schedule": OLD_RULE}]},
        {"schedules": []},
    ):
        scheduling.check("PATCH", "/deployments/@changed@", change)
        agree(scheduling, "changed")
    scheduling.prepare("POST", "/deployments/", {**body, "description": "again"})
    assert agree(scheduling, "changed") == 3
    found = scheduling.check("GET", "/deployments/@changed@")
    schedule = found.at("schedules", 0, "id")
    for active in (False, True):
        scheduling.check("PATCH", f"/deployments/@changed@/schedules/{schedule}", {"active": active})
        agree(scheduling, "changed")
    scheduling.check("POST", "/deployments/@changed@/pause_deployment")
    assert agree(scheduling, "changed") == 0
    scheduling.check("POST", "/deployments/@changed@/resume_deployment")
    assert agree(scheduling, "changed") == 3
    scheduling.check("POST", "/deployments/@changed@/schedules", [{"schedule": DAILY, "slug": "daily"}])
    assert agree(scheduling, "changed") == 6
    scheduling.check("DELETE", f"/deployments/@changed@/schedules/{schedule}")
    agree(scheduling, "changed")


@pytest.mark.parametrize(
    "limits",
    [
        {"min_runs": 5, "max_runs": 7},
        {"min_time": 86_400},
        {"start_time": "2031-05-05T00:00:00Z", "end_time": "2031-05-05T12:00:00Z", "max_runs": 4},
        {"start_time": "2031-03-30T00:00:00Z", "min_runs": 9},
        {"start_time": "2020-01-01T00:00:00Z", "min_runs": 2},
    ],
    ids=str,
)
def test_runs_that_are_asked_for(scheduling: Pair, limits: dict[str, Any]) -> None:
    name = f"asked {sorted(limits.items())}"
    body = {"name": name, "flow_id": "@flow@", "schedules": [{"schedule": HOUR, "slug": "hourly"}], "paused": True}
    id = scheduling.prepare("POST", "/deployments/", body, name="asked")["id"]
    scheduling.check("POST", f"/deployments/{id}/schedule", limits)
    assert agree(scheduling, "asked") > 0


def test_the_same_number_in_all(scheduling: Pair) -> None:
    scheduling.check("POST", "/flow_runs/count", {})
    scheduling.check("POST", "/deployments/filter", {"sort": "NAME_ASC"}, view=sorted_by("name"))
