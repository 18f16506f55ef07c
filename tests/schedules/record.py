"""Records the instants of hundreds of schedules over five years, and what is said of good and bad ones.

Run it with the oracle's own Python: `.venv/bin/python tests/schedules/record.py`. The instants are those of the
oracle's schedule classes, the verdicts those of its model of a new schedule. `common/tests/schedule_vectors.rs` compares
with `vectors.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="schedule-vectors-")
os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"

import cases  # noqa: E402
from prefect._internal.schemas import validators  # noqa: E402
from prefect.server.schemas.actions import DeploymentScheduleCreate  # noqa: E402
from prefect.server.schemas.schedules import SCHEDULE_TYPES  # noqa: E402
from pydantic import TypeAdapter, ValidationError  # noqa: E402

VECTORS = Path(__file__).with_name("vectors.json")
SCHEDULE: TypeAdapter[Any] = TypeAdapter(SCHEDULE_TYPES)
COUNT = 12


def seconds(instant: datetime) -> int | float:
    whole, fraction = divmod(instant.timestamp(), 1)
    return int(whole) + round(fraction, 6) if fraction else int(whole)


async def instants(schedule: Any, start: datetime) -> list[int | float] | None:
    """The next instants, the first in seconds since 1970 and each other as its distance from the one before."""
    try:
        found = await schedule.get_dates(n=COUNT, start=start, end=cases.LAST)
    except Exception:
        return None
    times = [seconds(instant) for instant in found]
    return times[:1] + [round(after - before, 6) for before, after in zip(times, times[1:])]


async def recorded(case: dict[str, Any], salt: int) -> dict[str, Any]:
    schedule = SCHEDULE.validate_python(case)
    starts = cases.starts(case.get("timezone") or "UTC", salt)
    answer = SCHEDULE.dump_python(schedule, mode="json")
    return {"schedule": answer, "from": [[seconds(start), await instants(schedule, start)] for start in starts]}


def verdict(case: dict[str, Any]) -> dict[str, Any]:
    """What becomes of a schedule, with the present frozen: the answer, or the errors."""
    try:
        taken = DeploymentScheduleCreate.model_validate({"schedule": case})
    except ValidationError as refused:
        errors = refused.errors(include_url=False, include_input=False, include_context=False)
        return {"sent": case, "errors": [[error["loc"], error["type"], error["msg"]] for error in errors]}
    except Exception as broken:
        return {"sent": case, "breaks": type(broken).__name__}
    answer = taken.model_dump(mode="json")["schedule"]
    if "anchor_date" in answer and "anchor_date" not in case:
        answer["anchor_date"] = "now"
    return {"sent": case, "answer": answer}


def normalized() -> list[list[str | None]]:
    """How rules without a start get one, at a frozen present."""
    present = datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
    rules = [
        "FREQ=SECONDLY", "FREQ=SECONDLY;INTERVAL=7", "FREQ=MINUTELY", "RRULE:FREQ=MINUTELY;INTERVAL=45", "FREQ=MINUTELY;COUNT=5", "FREQ=HOURLY", "FREQ=DAILY",
        "FREQ=DAILY;UNTIL=20300101T000000Z", "RRULE:FREQ=MINUTELY\nEXRULE:FREQ=HOURLY", "DTSTART:20260101T000000\nFREQ=MINUTELY", "dtstart:20260101T000000\nFREQ=MINUTELY", "nonsense",
        "FREQ=MINUTELY;BYHOUR=3", "FREQ=SECONDLY;INTERVAL=100000", "RDATE:20260101T000000",
    ]  # fmt: skip
    zones = [None, "UTC", "Asia/Kathmandu", "America/New_York"]
    return [
        [rule, zone, validators.normalize_rrule_string(rule, now=present, timezone=zone)]
        for rule in rules
        for zone in zones
    ]


async def main() -> None:
    vectors = [await recorded(case, salt) for salt, case in enumerate(cases.schedules())]
    verdicts = [verdict(case) for case in cases.VALIDITY]
    sections = {
        "schedules": vectors,
        "verdicts": verdicts,
        "normalized": normalized(),
        "zones": sorted(available_timezones()),
    }
    lines = (
        f" {json.dumps(name)}: [\n" + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n ]"
        for name, rows in sections.items()
    )
    VECTORS.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(vectors)} schedules, {len(verdicts)} verdicts, {VECTORS.stat().st_size} bytes")


asyncio.run(main())
