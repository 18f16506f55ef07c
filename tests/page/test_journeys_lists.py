"""What people do with the list of runs: narrow it, move its range of time, delete what it shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from interfaces import Interface, Second

HOUR = timedelta(hours=1)

# Runs by the end of their names: how long ago they were due, how they ended, their flow and their tag.
RUNS = {
    "ripe": (HOUR / 4, "COMPLETED", "plum-flow", "sweet"),
    "green": (HOUR / 3, "FAILED", "plum-flow", "sour"),
    "dried": (HOUR / 2, "FAILED", "prune-flow", "sweet"),
    "yesterday": (30 * HOUR, "COMPLETED", "plum-flow", "sweet"),
    "last-month": (20 * 24 * HOUR, "COMPLETED", "plum-flow", "sour"),
}
OF_LATE = {"ripe", "green", "dried"}


@pytest.fixture
def plums(api: httpx.Client, name: str) -> str:
    """Makes the runs, and returns what their names begin with."""
    for end, (age, state, flow, tag) in RUNS.items():
        flow_id = api.post("/flows/", json={"name": flow}).raise_for_status().json()["id"]
        due = (datetime.now(UTC) - age).isoformat()
        scheduled = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
        body = {"flow_id": flow_id, "name": f"{name}-{end}", "state": scheduled, "tags": [tag, name]}
        run = api.post("/flow_runs/", json=body).raise_for_status().json()["id"]
        for type in ("PENDING", "RUNNING", state):
            api.post(f"/flow_runs/{run}/set_state", json={"state": {"type": type}, "force": True}).raise_for_status()
    return f"{name}-"


def stored(api: httpx.Client, prefix: str, **filter: Any) -> set[str]:
    """Returns the ends of the names of the runs that the server has."""
    runs = {"flow_runs": {"name": {"like_": prefix}, **filter}}
    found = api.post("/flow_runs/filter", json=runs).raise_for_status().json()
    return {run["name"].removeprefix(prefix) for run in found}


def shows(interface: Interface, prefix: str, ends: set[str]) -> None:
    """Waits until the list has these runs, and no other."""
    interface.wait_for_runs({prefix + end for end in ends})


def within(interface: Interface, ends: set[str]) -> set[str]:
    """Returns those of the runs that are in a range of time if it has these by when they were due."""
    # The range of the first interface is of when runs began, and all of them began a moment ago.
    return ends if isinstance(interface, Second) else set(RUNS)


def test_the_list_is_narrowed(interface: Interface, api: httpx.Client, plums: str) -> None:
    interface.open("/runs")
    interface.search_runs(plums)
    shows(interface, plums, within(interface, OF_LATE | {"yesterday"}))
    interface.filter_by_state("Failed")
    shows(interface, plums, {"green", "dried"})
    assert stored(api, plums, state={"type": {"any_": ["FAILED"]}}) == {"green", "dried"}
    interface.filter_by_flow("prune-flow")
    shows(interface, plums, {"dried"})
    # What is chosen is in the address.
    interface.page.reload()
    shows(interface, plums, {"dried"})
    interface.window.is_well()


def test_the_list_is_narrowed_by_a_tag(interface: Interface, api: httpx.Client, plums: str) -> None:
    interface.open("/runs")
    interface.search_runs(plums)
    interface.filter_by_tag("sour")
    shows(interface, plums, within(interface, {"green"}) & {"green", "last-month"})
    assert stored(api, plums, tags={"all_": ["sour"]}) == {"green", "last-month"}
    interface.window.is_well()


def test_the_list_shows_a_range_of_time(interface: Interface, api: httpx.Client, plums: str) -> None:
    interface.open("/runs")
    interface.search_runs(plums)
    shows(interface, plums, within(interface, OF_LATE | {"yesterday"}))
    interface.choose_range("Past 7 days", "Past day")
    shows(interface, plums, within(interface, OF_LATE))
    interface.choose_range("Past day", "Past 30 days")
    shows(interface, plums, set(RUNS))
    assert stored(api, plums) == set(RUNS)
    interface.choose_range("Past 30 days", "Past hour")
    shows(interface, plums, within(interface, OF_LATE))
    # The hour before this one has none of them.
    interface.previous_range()
    shows(interface, plums, set())
    interface.window.is_well()


def test_many_runs_are_deleted(interface: Interface, api: httpx.Client, plums: str) -> None:
    interface.open("/runs")
    interface.search_runs(plums)
    interface.choose_range("Past 7 days", "Past day")
    deleted = within(interface, OF_LATE)
    # The first interface looks for what each run of its list is doing, also of one that it has just deleted.
    interface.window.lets_pass("404.*/flow_runs/[0-9a-f-]{36}\\b", "^console: dO\\b")
    shows(interface, plums, deleted)
    interface.select_all_runs()
    interface.window.shows(f"{len(deleted)} selected")
    interface.delete_selected_runs()
    shows(interface, plums, set())
    interface.window.becomes(lambda: stored(api, plums), set(RUNS) - deleted)
    interface.choose_range("Past day", "Past 30 days")
    shows(interface, plums, set(RUNS) - deleted)
    interface.window.is_well()
