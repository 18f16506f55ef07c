"""The schedules of deployments: made with them, one by one, changed and deleted; pausing and resuming."""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair, Request

PATH = "/deployments"

CRON = {"schedule": {"cron": "0 0 1 1 *"}}
INTERVAL = {"schedule": {"interval": 3600, "anchor_date": "2031-01-01T00:00:00Z", "timezone": "Europe/Berlin"}}
RRULE = {"schedule": {"rrule": "FREQ=YEARLY", "timezone": "America/New_York"}}


def add(pair: Pair, name: str, **more: Any) -> str:
    flow = pair.prepare("POST", "/flows/", {"name": "deployment-schedules"})["id"]
    return pair.prepare("POST", f"{PATH}/", {"flow_id": flow, "name": name, **more})["id"]


def check(pair: Pair, id: str) -> None:
    pair.check("GET", f"{PATH}/{id}")
    pair.check("GET", f"{PATH}/{id}/schedules")


SCHEDULES: list[Any] = [
    [],
    [CRON],
    [CRON, INTERVAL, RRULE],
    [{**CRON, "slug": "a", "parameters": {"p": 1}, "active": False, "max_scheduled_runs": 5}],
    [{**CRON, "slug": "a"}, {**INTERVAL, "slug": "a"}],
    [{**CRON, "slug": ""}, {**INTERVAL, "slug": None, "replaces": "x"}],
    [{**CRON, "max_scheduled_runs": 51}],
    [{**CRON, "max_scheduled_runs": 0}],
    [{**CRON, "active": None}],
    [{**CRON, "unknown": 1}],
    [{"schedule": {"cron": "0 0 * *"}}],
    [{"schedule": {"cron": "0 0 * * *", "timezone": "Nowhere/Land", "day_or": False}}],
    [{"schedule": {"interval": 0}}],
    [{"schedule": {"interval": -5}}],
    [{"schedule": {"interval": 60.5, "timezone": "Nowhere/Land"}}],
    [{"schedule": {"rrule": "FREQ=SOMETIMES"}}],
    [{"schedule": {"rrule": "DTSTART:20310101T000000\nRRULE:FREQ=DAILY;COUNT=2"}}],
    [{"schedule": {}}],
    [{"schedule": None}],
    {},
]


@pytest.mark.parametrize("schedules", SCHEDULES, ids=lambda schedules: str(schedules)[:80])
def test_made_with_their_deployment_and_later(pair: Pair, schedules: Any) -> None:
    name = f"made {SCHEDULES.index(schedules)}"
    id = add(pair, name, paused=True)
    pair.check("POST", f"{PATH}/{id}/schedules", schedules)
    check(pair, id)
    flow = pair.prepare("POST", "/flows/", {"name": "deployment-schedules"})["id"]
    pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": name, "schedules": schedules, "paused": True})
    check(pair, id)
    pair.check("PATCH", f"{PATH}/{id}", {"schedules": schedules})
    check(pair, id)


CHANGES: list[dict[str, Any]] = [
    {},
    {"active": False},
    {"active": None},
    CRON,
    INTERVAL,
    {"schedule": {"cron": "x"}},
    {"max_scheduled_runs": 4},
    {"max_scheduled_runs": None},
    {"max_scheduled_runs": 51},
    {"parameters": {"q": 2}},
    {"slug": "b"},
    {"slug": "taken"},
    {"slug": None},
    {"replaces": "a"},
    {"unknown": 1},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_change_one(pair: Pair, change: dict[str, Any]) -> None:
    id = add(pair, f"change {CHANGES.index(change)}", paused=True)
    new = [{**CRON, "slug": "a", "parameters": {"p": 1}, "max_scheduled_runs": 2}, {**INTERVAL, "slug": "taken"}]
    schedule = pair.prepare("POST", f"{PATH}/{id}/schedules", new).at(0, "id")
    pair.check("PATCH", f"{PATH}/{id}/schedules/{schedule}", change)
    check(pair, id)


@pytest.mark.parametrize("sent", [{}, {"labels": {"mine": 2}}, {"labels": None}, {"labels": {}}, {"parameters": {}}, {"schedules": []}], ids=str)
def test_what_is_not_sent_of_a_deployment_that_is_there_stays(pair: Pair, sent: dict[str, Any]) -> None:
    has = {"labels": {"mine": 1}, "parameters": {"p": 1}, "schedules": [{**CRON, "slug": "kept", "parameters": {"q": 1}}]}
    id = add(pair, f"stays {sent}", paused=True, **has)
    flow = pair.prepare("POST", "/flows/", {"name": "deployment-schedules"})["id"]
    pair.check("POST", f"{PATH}/", {"flow_id": flow, "name": f"stays {sent}", **sent})
    pair.check("GET", f"{PATH}/{id}")
    ours = pair.subject.send(Request("GET", f"{PATH}/{id}")).json()
    for field in has.keys() - sent.keys():
        values = ours[field]
        assert [each["slug"] for each in values] == ["kept"] if field == "schedules" else has[field].items() <= values.items()


def test_delete_one(pair: Pair) -> None:
    id, other = add(pair, "delete", paused=True), add(pair, "delete another", paused=True)
    schedule = pair.prepare("POST", f"{PATH}/{id}/schedules", [CRON, INTERVAL]).at(0, "id")
    pair.check("DELETE", f"{PATH}/{other}/schedules/{schedule}")
    pair.check("PATCH", f"{PATH}/{other}/schedules/{schedule}", {})
    for _ in range(2):
        pair.check("DELETE", f"{PATH}/{id}/schedules/{schedule}")
    check(pair, id)


@pytest.mark.parametrize("id", [NOBODY, "nobody"])
def test_nobody(pair: Pair, id: str) -> None:
    known = add(pair, "known", paused=True)
    pair.check("GET", f"{PATH}/{id}/schedules")
    pair.check("POST", f"{PATH}/{id}/schedules", [CRON])
    pair.check("PATCH", f"{PATH}/{id}/schedules/{NOBODY}", {})
    pair.check("DELETE", f"{PATH}/{id}/schedules/{NOBODY}")
    pair.check("PATCH", f"{PATH}/{known}/schedules/{id}", {})
    pair.check("DELETE", f"{PATH}/{known}/schedules/{id}")
    for operation in ("pause_deployment", "resume_deployment"):
        pair.check("POST", f"{PATH}/{id}/{operation}")


UPDATES: list[list[dict[str, Any]]] = [
    [],
    [{"slug": "a", **INTERVAL}],
    [{"slug": "a", "active": False}, {"slug": "b", "active": False}],
    [{"slug": "a", "parameters": {"q": 1}}],
    [{"slug": "c", **CRON, "max_scheduled_runs": 3}],
    [{"slug": "c", "active": False, **CRON}],
    [{"slug": "c"}],
    [CRON],
    [{"slug": "c", "replaces": "a"}],
    [{"slug": "b", "replaces": "a"}],
    [{"slug": "b", "replaces": "a"}, {"slug": "a", "replaces": "b"}],
    [{"slug": "c", "replaces": "a"}, {"slug": "d", "replaces": "a"}],
    [{"slug": "c", "replaces": "nobody"}],
    [{"slug": "c", "replaces": "nobody", **CRON}],
    [{"slug": "c", **CRON}, {"slug": "c", **INTERVAL}],
]


@pytest.mark.parametrize("schedules", UPDATES, ids=lambda schedules: str(schedules)[:80])
@pytest.mark.parametrize("slugs", [("a", "b"), ("a", None), (None, None), ()], ids=str)
def test_changed_with_their_deployment(pair: Pair, slugs: tuple[str | None, ...], schedules: list[dict[str, Any]]) -> None:
    id = add(pair, f"update {slugs} {UPDATES.index(schedules)}", paused=True)
    new = [{**CRON, "slug": slug, "parameters": {"p": 1}, "max_scheduled_runs": 2} for slug in slugs]
    pair.prepare("POST", f"{PATH}/{id}/schedules", new)
    answer = pair.check("PATCH", f"{PATH}/{id}", {"schedules": schedules})
    if answer.status != answer.subject.status_code:
        # Schedules that would be replaced by ones that say no times: the oracle deletes them.
        left = pair.subject.send(Request("GET", f"{PATH}/{id}/schedules")).json()
        assert len(left) == len(slugs)
        return
    pair.check("GET", f"{PATH}/{id}/schedules", view=by_slug)


def by_slug(schedules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are changed in one request follow each other by microseconds, or by none."""
    return sorted(schedules, key=lambda schedule: (str(schedule["slug"]), str(schedule["schedule"])))


def test_pause_and_resume(pair: Pair) -> None:
    id = add(pair, "pause")
    for operation in ("resume_deployment", "pause_deployment", "pause_deployment", "resume_deployment"):
        pair.check("POST", f"{PATH}/{id}/{operation}")
        pair.check("GET", f"{PATH}/{id}")
    wanted = {"filter": {"resource": {"id": [f"prefect.deployment.{id}"]}}}
    pair.eventually("POST", "/events/filter", wanted, until=lambda page: len(page["events"]) == 1)


def test_bulk_delete(pair: Pair) -> None:
    first, second = add(pair, "bulk delete 1", concurrency_limit=1), add(pair, "bulk delete 2")
    for body in ({"limit": 0}, {"limit": 51}, {"limit": "x"}, {"deployments": {"id": {"any_": [NOBODY]}}}):
        pair.check("POST", f"{PATH}/bulk_delete", body)
    selected = {"deployments": {"id": {"any_": [first, second]}}}
    pair.check("POST", f"{PATH}/bulk_delete", {**selected, "limit": 1})
    for _ in range(2):
        pair.check("POST", f"{PATH}/bulk_delete", selected)
    pair.check("POST", f"{PATH}/count", selected)
    pair.check("GET", f"/v2/concurrency_limits/deployment:{first}")
