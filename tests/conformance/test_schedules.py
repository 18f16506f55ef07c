"""What is said of good and bad schedules, and asking for their runs.

The runs themselves can't be compared here: with the pinned SQLAlchemy the oracle's scheduler breaks down as it writes them
("Can't evaluate bulk DML statement"). `produced_runs.py` compares them with an older one, `tests/schedules` the instants.
"""

from __future__ import annotations

from typing import Any

import pytest

from .library import NOBODY
from .side_by_side import Pair

PATH = "/deployments"

SCHEDULES: list[dict[str, Any]] = [
    {"cron": "0 9 * * MON-FRI", "timezone": "America/New_York"},
    {"cron": "0 0 L * *", "day_or": False},
    {"cron": "60 * * * *"},
    {"cron": "R * * * *"},
    {"cron": "H * * * *"},
    {"cron": "* * * * *", "timezone": "Nowhere"},
    {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "Europe/London"},
    {"interval": "PT1H", "anchor_date": "2026-01-01T00:00:00Z"},
    {"interval": 0},
    {"interval": 60, "timezone": "Nowhere"},
    {"rrule": "FREQ=DAILY"},
    {"rrule": "FREQ=DAILY", "timezone": None},
    {"rrule": "RRULE:FREQ=WEEKLY;BYDAY=MO\nEXDATE:20260105T000000", "timezone": "Asia/Tokyo"},
    {"rrule": "DTSTART:20260101T093000\nFREQ=DAILY;COUNT=5"},
    {"rrule": "FREQ=FOO"},
    {"rrule": "FREQ=DAILY;BYHOUR=24"},
    {"rrule": "FREQ=DAILY", "timezone": "Nowhere"},
    {"cron": "* * * * *", "interval": 60},
]


def add(pair: Pair, name: str, **more: Any) -> str:
    flow = pair.prepare("POST", "/flows/", {"name": "deployment-schedules"})["id"]
    return pair.prepare("POST", f"{PATH}/", {"flow_id": flow, "name": name, **more})["id"]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_schedules(pair: Pair, schedule: dict[str, Any]) -> None:
    id = add(pair, f"scheduled {SCHEDULES.index(schedule)}")
    pair.check("POST", f"{PATH}/{id}/schedules", [{"schedule": schedule, "active": False}])
    pair.check("GET", f"{PATH}/{id}")


def test_asking_for_runs(pair: Pair) -> None:
    id = add(pair, "asked")
    pair.check("POST", f"{PATH}/{NOBODY}/schedule", {})
    pair.check("POST", f"{PATH}/{id}/schedule", {})
    pair.check("POST", f"{PATH}/{id}/schedule", {"min_runs": 5, "max_runs": 7, "min_time": 60.5})
    pair.check("POST", f"{PATH}/{id}/schedule", {"start_time": "2026-01-01T00:00:00Z", "end_time": None})
    for wrong in ({"min_runs": "x"}, {"start_time": "soon"}, {"min_time": []}, []):
        pair.check("POST", f"{PATH}/{id}/schedule", wrong)
