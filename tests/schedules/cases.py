"""The schedules whose instants are recorded, the times from which they are looked at, and what is valid or not."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import cycle
from typing import Any
from zoneinfo import ZoneInfo

ZONES = [
    "America/New_York", "Europe/London", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu",
    "Africa/Casablanca", "Pacific/Apia", "Asia/Tehran", "America/St_Johns", "Pacific/Chatham", "Asia/Tokyo", "UTC",
    "Europe/Dublin", "Africa/Cairo", "America/Santiago", "Asia/Almaty", "America/Havana",
]  # fmt: skip

# Five years for which the time zone databases agree, in which Tehran and Apia gave daylight saving time up, Almaty moved its base offset, and Cairo began anew.
FIRST, LAST = datetime(2021, 1, 1, tzinfo=timezone.utc), datetime(2026, 1, 1, tzinfo=timezone.utc)

CRONS = [
    "* * * * *", "*/5 * * * *", "*/15 * * * *", "*/7 * * * *", "0 * * * *", "30 * * * *", "15,45 * * * *",
    "0 0 * * *", "30 1 * * *", "30 2 * * *", "0 2 * * *", "0 3 * * *", "15 2,3 * * *", "0 */6 * * *", "5 0-4 * * *",
    "0 9-17 * * 1-5", "0 9 * * MON-FRI", "0 9 * * mon,wed,fri", "0 0 1 * *", "0 0 15 * *", "0 0 31 * *", "0 0 29 2 *",
    "0 0 1,15 * *", "0 0 1,30 * *", "0 0 1,31 * *", "0 0 2,30,31 * *", "0 0 L * *", "0 0 l * *", "0 0 15,L * *",
    "0 0 28-L * *", "0 0 1-30,L * *", "0 0 * JAN *", "0 0 1 JAN,JUL *", "0 0 1 */3 *", "0 0 1 2-11/3 *",
    "0 0 * * 0", "0 0 * * 7", "0 0 * * 6-7", "0 0 * * SAT-MON", "0 0 * * 5-1", "0 0 1 NOV-FEB *", "0 22-4 * * *",
    "0 22-4/3 * * *", "50-10/7 * * * *", "0 0 1 10-3/2 *", "5-5 * * * *", "0 0 * * 3-3", "59/5 * * * *", "10/20 * * * *",
    "*/90 * * * *", "0 0 */10 * *", "0 0 * * 5#2", "0 0 * * 5#5", "0 0 * * MON#1", "0 0 * * mon#1,wed#3", "0 0 * * L5",
    "0 0 * * l1,l3", "0 0 * * mon-fri#2", "0 0 * * 1#1,l5", "0 0 13 * 5", "0 0 13 * *", "0 0 1-7 * 1", "0 0 1 * 5#2",
    "0 0 */2 * 1", "0 0 1-31 * 1", "0 0 13 * 0-6", "0 0 * * 0-6", "0 0 1-31 * *", "0 0 ? * 1", "0 0 1 * ?", "0 0 ? * ?",
    "0 0 * * * 30", "* * * * * */20", "0 0 * * * 5,10,15", "*/10 * * * * 0", "30 2 * * * 15", "0 0 0 * * 0",
    "0 0 1 1 * 0 2024", "0 0 1 1 * 0 2022-2025", "0 0 1 1 * 0 2022/2", "0 0 * * 1 0 2023", "0 12 29 2 * 0 *",
    "@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", "@DAILY",
    "0  0  *  *  1", " 0 0 * * * ", "00 07 * * *", "1,2,3,4,5 8 * * *", "0 0 * * sun,7", "0 0 *,5 * 1", "0 0 5,* * 1",
    "0-59 1 * * *", "*/1 1 * * *", "0 0,12 1 */2 *", "15 10 28-31 * *",
]  # fmt: skip
DAY_AND = ["0 0 13 * 5", "0 0 1-7 * 1", "0 9 8-14 * FRI", "0 0 L * 1-5", "0 0 29 2 *", "0 0 1 * 5#2", "30 2 */2 * 0"]

NEVER = ["0 0 30 2 *", "0 0 31 4 *", "0 0 1 1 * 0 2019", "0 0 31 2,4 * ", "0 0 30 2 1"]

DAY = 86400
INTERVALS: list[tuple[float, str]] = [
    (1, "1900-01-01T00:00:00Z"), (60, "2020-01-01T00:00:00Z"), (90, "2020-01-01T00:00:30Z"), (300, "2020-01-01T00:00:00Z"),
    (900, "2019-07-01T00:00:00+02:00"), (1800, "2020-01-01T00:10:00Z"), (3600, "2020-01-01T00:00:00Z"),
    (3600, "2030-01-01T00:30:00Z"), (5400, "2020-01-01T00:00:00Z"), (6 * 3600, "2020-03-03T03:03:03Z"),
    (12 * 3600, "2020-01-01T02:30:00Z"), (DAY, "2020-01-01T07:30:00Z"), (DAY, "2020-01-01T06:30:00Z"),
    (DAY, "2020-07-01T05:30:00Z"), (DAY, "2020-01-01T02:30:00Z"), (DAY, "2020-01-01T01:30:00Z"),
    (DAY, "2030-06-01T12:00:00Z"), (DAY, "1970-01-01T00:00:00Z"), (2 * DAY, "2020-01-01T02:30:00Z"),
    (7 * DAY, "2020-01-05T01:30:00Z"), (7 * DAY, "2020-01-05T07:30:00Z"), (30 * DAY, "2020-01-01T00:00:00Z"),
    (DAY + 3600, "2020-01-01T00:00:00Z"), (DAY + 1, "2020-01-01T00:00:00Z"), (25 * 3600, "2021-03-01T01:00:00Z"),
    (0.5, "2020-01-01T00:00:00.25Z"), (1.25, "2020-01-01T00:00:00Z"), (45 * 60, "2020-01-01T00:00:00.000001Z"),
    (DAY + 0.5, "2020-01-01T00:00:00Z"), (365 * DAY, "2000-02-29T00:00:00Z"),
]  # fmt: skip

DAILY = "DTSTART:20200101T023000\nRRULE:FREQ=DAILY"
RULES = [
    "FREQ=DAILY", "RRULE:FREQ=DAILY", DAILY, "DTSTART:20200101T013000\nRRULE:FREQ=DAILY", "FREQ=DAILY;INTERVAL=3",
    "DTSTART:20200101T013000\nRRULE:FREQ=DAILY;INTERVAL=2", "DTSTART:20200101T021500\nFREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,30",
    "FREQ=HOURLY", "DTSTART:20200101T003000\nRRULE:FREQ=HOURLY", "FREQ=HOURLY;INTERVAL=5", "FREQ=HOURLY;BYHOUR=1,2,3",
    "FREQ=HOURLY;BYDAY=MO,TU;BYMINUTE=0,20", "FREQ=HOURLY;INTERVAL=7;BYMONTH=3,10,11", "FREQ=HOURLY;INTERVAL=36",
    "FREQ=HOURLY;BYMINUTE=0,15,30;BYSECOND=0,30;BYSETPOS=1,-1", "FREQ=HOURLY;INTERVAL=100;BYDAY=SU",
    "DTSTART:20250101T000000\nFREQ=MINUTELY;INTERVAL=15", "DTSTART:20250101T000000\nFREQ=MINUTELY;INTERVAL=7;BYHOUR=1,2,3",
    "DTSTART:20250101T000000\nFREQ=MINUTELY;INTERVAL=10;BYMINUTE=0,10,30", "DTSTART:20250101T000000\nFREQ=MINUTELY;INTERVAL=1441",
    "DTSTART:20250101T000000\nFREQ=MINUTELY;BYDAY=SU;BYHOUR=2", "DTSTART:20251201T000000\nFREQ=SECONDLY;INTERVAL=45",
    "DTSTART:20251201T000000\nFREQ=SECONDLY;INTERVAL=10;BYMINUTE=5;BYSECOND=0,20", "DTSTART:20251001T000010\nFREQ=SECONDLY;INTERVAL=86399",
    "DTSTART:20251001T000000\nFREQ=SECONDLY;INTERVAL=30;BYHOUR=2;BYDAY=SU",
    "FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,MO", "FREQ=WEEKLY;INTERVAL=2;WKST=MO;BYDAY=SU,MO", "FREQ=WEEKLY;WKST=WE;INTERVAL=3",
    "DTSTART:20201228T090000\nRRULE:FREQ=WEEKLY;BYDAY=SU,SA;BYSETPOS=-1", "FREQ=WEEKLY;BYDAY=+2MO", "FREQ=WEEKLY;BYMONTH=1,12",
    "FREQ=WEEKLY;BYHOUR=9,17;BYDAY=MO,FR;BYSETPOS=1,-1,3", "DTSTART:20201230T000000\nFREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU",
    "FREQ=MONTHLY", "FREQ=MONTHLY;BYMONTHDAY=15", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=MONTHLY;BYMONTHDAY=1,15,-1",
    "DTSTART:20200131T000000\nFREQ=MONTHLY", "FREQ=MONTHLY;BYDAY=+1MO", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYDAY=MO(+2),FR(-1)",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-2", "FREQ=MONTHLY;BYDAY=5FR",
    "FREQ=MONTHLY;INTERVAL=5;BYMONTHDAY=10", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "FREQ=MONTHLY;BYDAY=MO,+2TU", "FREQ=MONTHLY;BYMONTHDAY=0",
    "FREQ=MONTHLY;BYHOUR=0,12;BYMINUTE=0,30;BYSETPOS=2,-1,60", "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=MONTHLY;BYSETPOS=1;BYDAY=SU,SA;BYHOUR=2",
    "FREQ=YEARLY", "DTSTART:20200229T000000\nFREQ=YEARLY", "FREQ=YEARLY;INTERVAL=2", "FREQ=YEARLY;BYMONTH=3,7", "FREQ=YEARLY;BYMONTHDAY=1,-1",
    "FREQ=YEARLY;BYYEARDAY=1,100,200,-1,366", "FREQ=YEARLY;BYDAY=+10MO,-2SU", "FREQ=YEARLY;BYMONTH=3,11;BYDAY=2SU", "FREQ=YEARLY;BYDAY=TH;BYMONTH=6",
    "FREQ=YEARLY;BYWEEKNO=1,20,53", "FREQ=YEARLY;BYWEEKNO=-1;BYDAY=MO", "FREQ=YEARLY;BYWEEKNO=52;WKST=SU", "FREQ=YEARLY;BYWEEKNO=1;BYDAY=SU;WKST=TU",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=FR,SU", "FREQ=YEARLY;BYEASTER=0", "FREQ=YEARLY;BYEASTER=-2,1,49", "FREQ=YEARLY;BYSETPOS=1,-1;BYDAY=FR",
    "FREQ=YEARLY;BYMONTHDAY=13;BYDAY=FR", "FREQ=DAILY;BYEASTER=0,1", "FREQ=DAILY;BYWEEKNO=10,11", "FREQ=DAILY;BYYEARDAY=-1,32", "FREQ=WEEKLY;BYWEEKNO=1,2",
    "FREQ=DAILY;BYMONTH=3,10,11;BYDAY=SU;BYHOUR=1,2,3", "FREQ=DAILY;BYMONTHDAY=-1,-2", "FREQ=DAILY;BYSETPOS=1;BYHOUR=9,12,15", "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR",
    "DTSTART:20210301T080000\nFREQ=DAILY;COUNT=40", "DTSTART:20210301T080000\nFREQ=DAILY;COUNT=1500;BYHOUR=8,20", "DTSTART:20240301T080000\nFREQ=HOURLY;COUNT=5000",
    "DTSTART:20251001T003000\nFREQ=MINUTELY;INTERVAL=10;COUNT=9000", "FREQ=WEEKLY;COUNT=260;BYDAY=MO,WE", "FREQ=MONTHLY;COUNT=30", "FREQ=YEARLY;COUNT=4", "FREQ=DAILY;COUNT=0",
    "DTSTART:20200615T103000\nFREQ=HOURLY;COUNT=30000;BYMINUTE=15,45", "DTSTART:20210101T000000\nFREQ=DAILY;UNTIL=20220601T000000", "FREQ=DAILY;UNTIL=20230326T020000",
    "DTSTART:20210101T000000Z\nFREQ=DAILY;UNTIL=20250601T000000Z", "FREQ=WEEKLY;UNTIL=20240101", "FREQ=DAILY;COUNT=1400;UNTIL=20230101T000000",
    "DTSTART;TZID=America/New_York:20200101T090000\nRRULE:FREQ=DAILY", "DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=WEEKLY", "dtstart:20200101t090000\nrrule:freq=daily;byhour=9",
    "DTSTART:2020-01-01T09:15:30\nRRULE:FREQ=WEEKLY", "DTSTART:20190601T0930\nFREQ=MONTHLY", "DTSTART:19700101T000000\nFREQ=DAILY;INTERVAL=11",
    "DTSTART:20200101T000000\nRRULE:FREQ=DAILY\nEXDATE:20210314T000000,20220101T000000", "DTSTART:20200101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY;BYDAY=SA,SU",
    "DTSTART:20200101T090000\nRRULE:FREQ=WEEKLY;BYDAY=MO\nRRULE:FREQ=MONTHLY;BYMONTHDAY=1", "DTSTART:20200101T090000\nRRULE:FREQ=MONTHLY\nRDATE:20210314T023000,20220327T013000",
    "RDATE:20210314T023000,20221030T013000,20230326T023000Z", "RRULE:FREQ=DAILY\nRRULE:FREQ=HOURLY;INTERVAL=7\nEXRULE:FREQ=DAILY;BYHOUR=7,14", "EXDATE:20210101T000000",
    "DTSTART:20200101T000000\nRRULE:FREQ=DAILY;COUNT=900\nRDATE:20250101T003000\nEXRULE:FREQ=MONTHLY;BYMONTHDAY=1",
    "DTSTART:20200101T000000\nRRULE:FREQ=HOURLY\nEXRULE:FREQ=HOURLY;INTERVAL=2\nEXDATE;TZID=Europe/Berlin:20210328T030000",
    "DTSTART:20200301T020000\nRRULE:FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,15,30,45\nEXRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=15",
]  # fmt: skip


def edges(zone: str) -> list[datetime]:
    """The instants within the five years at which the zone's clocks change."""
    tz, found, at = ZoneInfo(zone), [], FIRST
    while at < LAST:
        later = at + timedelta(hours=12)
        if at.astimezone(tz).utcoffset() != later.astimezone(tz).utcoffset():
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                same = middle.astimezone(tz).utcoffset() == low.astimezone(tz).utcoffset()
                low, high = (middle, high) if same else (low, middle)
            found.append(high.replace(microsecond=0))
        at = later
    return found


def starts(zone: str, salt: int) -> list[datetime]:
    """Times throughout the five years, most of them before, within and after changes of the zone's clocks."""
    changes = edges(zone) or [FIRST + timedelta(days=400), FIRST + timedelta(days=1100)]
    shifts = [-26, -1.5, -0.25, 0, 0.5, 1]
    picked = [changes[salt % len(changes)], changes[(salt + len(changes) // 2) % len(changes)]]
    shifted = [at + timedelta(hours=shifts[(salt + turn) % len(shifts)]) for turn, at in enumerate(picked)]
    plain = FIRST + timedelta(days=(salt * 37) % 1800, seconds=salt * 997, microseconds=salt % 3 * 250000)
    return [*shifted, plain]


def schedules() -> list[dict[str, Any]]:
    """Every schedule, each in the next of the zones, the ones around the clocks' changes in several."""
    zones = cycle(ZONES)
    cases: list[dict[str, Any]] = [{"cron": cron, "timezone": next(zones)} for cron in CRONS]
    cases += [{"cron": cron, "timezone": next(zones), "day_or": False} for cron in DAY_AND]
    cases += [{"cron": cron, "timezone": "UTC"} for cron in NEVER]
    cases += [{"cron": "0 0 * * *"}, {"cron": "0 0 * * *", "timezone": None}]
    cases += [{"interval": each, "anchor_date": anchor, "timezone": next(zones)} for each, anchor in INTERVALS]
    cases += [{"interval": 3600, "anchor_date": "2020-01-01T00:00:00-05:00"}]
    cases += [{"rrule": rule, "timezone": next(zones)} for rule in RULES]
    for zone in ZONES:
        cases += [{"cron": cron, "timezone": zone} for cron in ("*/30 * * * *", "30 2 * * *")]
        cases += [{"interval": each, "anchor_date": "2020-01-01T02:30:00Z", "timezone": zone} for each in (1800, DAY)]
        cases += [{"rrule": rule, "timezone": zone} for rule in ("FREQ=HOURLY;BYMINUTE=0,30", DAILY)]
    return cases


# What the create operation is asked to take as a schedule; the answers tell messages, defaults and normal forms.
VALIDITY: list[dict[str, Any]] = [
    *({"cron": cron} for cron in (
        "", "* * * *", "* * * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *",
        "* * * * 8", "* * * * 7", "0 0 * * 7 0", "0 0 0 * * 0", "0 0 0 * * 0 2024", "* * * * * 60", "* * * * * * 1969", "* * * * * * 2100",
        "-1 * * * *", "*/0 * * * *", "*/-1 * * * *", "*/x * * * *", "5/ * * * *", "1-2-3 * * * *", "1--2 * * * *", "a * * * *", "* * * foo *",
        "* * * * mon#6", "* * * * mon#0", "* * * * 1#1,2", "* * * * l8", "* * * * L", "* * * * l", "* * L * *", "* * L-3 * *", "* * 5L * *", "* * 15W * *",
        "? * * * *", "* * ?,1 * *", "* * ? * ?", "@reboot", "@every 5m", "@hourly", " @hourly", "@Weekly", "R * * * *", "H * * * *", "R R * * *", "H(0-5) * * * *",
        "R/0 * * * *", "* * * * 1-5#2", "* * * * mon-fri#2", "5-70 * * * *", "70-5 * * * *", "0-5 * 0-5 * *", "0 0 0-5 * * 0", "* * 31-l * *", "* * l-31 * *", "1,,2 * * * *",
        ", * * * *", "*,1 * * * *", "** * * * *", "*5 * * * *", "* * * jan-mar/2 *", "* * * * sun-sat", "* * * * sat-sun", "0 0 * * MON-", "*/99999999999999999999 * * * *",
        "99999999999999999999 * * * *", "0/5/5 * * * *", "0\t0\n* * *", "1.5 * * * *", "* * * * 1#l", "* * * * jan#1", "0 0 1 1 * 0 2020-2019", "0 0 1 1 * 0 5-3", "0 0 * * 6-0/2",
    )),
    *({"cron": "* * * * *", "timezone": zone} for zone in ("", "UTC", "utc", "Foo/Bar", "Etc/GMT+5", "EST", "EST5EDT", "US/Eastern", "GMT+5", "Europe/Kyiv", "Factory")),
    *({"interval": each} for each in (0, -1, 60, 0.5, "PT1H", "P1D", "-PT1H", "foo", None, 1e-7)),
    {"interval": 60, "timezone": "Foo/Bar"}, {"interval": 60, "timezone": "America/New_York"}, {"interval": 60, "anchor_date": "2020-01-01"},
    {"interval": 60, "anchor_date": "2020-01-01T00:00:00-04:00"}, {"interval": 60, "anchor_date": "2020-01-01T00:00:00"}, {"interval": 60, "anchor_date": None},
    {"interval": 60, "cron": "* * * * *"}, {"cron": "x", "rrule": "y"}, {}, {"interval": 0, "timezone": "Foo/Bar"}, {"cron": "x", "timezone": "Foo/Bar"},
    *({"rrule": rule} for rule in (
        "", " ", "foo", "FREQ=FOO", "FREQ=DAILY;", "FREQ=DAILY;FOO=1", "FREQ=DAILY;INTERVAL=x", "FREQ=DAILY;BYDAY=XX", "FREQ=DAILY;BYDAY=0MO", "FREQ=DAILY;BYDAY=", "FREQ=DAILY;BYDAY=1",
        "FREQ=DAILY;BYHOUR=24", "FREQ=DAILY;BYHOUR=1,24", "FREQ=DAILY;BYMINUTE=60", "FREQ=DAILY;BYSECOND=60", "FREQ=DAILY;BYHOUR=25;BYMINUTE=61", "FREQ=HOURLY;BYHOUR=25", "FREQ=DAILY;BYSETPOS=0",
        "FREQ=DAILY;BYSETPOS=367", "FREQ=DAILY;BYSETPOS=-367", "FREQ=DAILY;UNTIL=foo", "FREQ=DAILY;UNTIL=20200101T000000Z", "DTSTART:20200101T000000\nFREQ=DAILY;UNTIL=20200101T000000Z",
        "DTSTART:20200101T000000Z\nFREQ=DAILY;UNTIL=20200101T000000", "DTSTART:20200101T000000Z\nFREQ=DAILY;UNTIL=20200101T000000Z", "FREQ=DAILY=1", "RRULE:FREQ=DAILY", "RRULE:RRULE:FREQ=DAILY",
        "EXRULE:FREQ=DAILY", "RRULE;X=1:FREQ=DAILY", "EXRULE;X=1:FREQ=DAILY", "RDATE;VALUE=DATE:20200101", "RDATE;VALUE=DATE-TIME:20200101T000000", "EXDATE;VALUE=DATE:20200101", "EXDATE;FOO=1:20200101",
        "DTSTART;VALUE=DATE;VALUE=DATE:20200101\nFREQ=DAILY", "DTSTART:20200101,20200102\nFREQ=DAILY", "DTSTART;TZID=America/New_York:20200101T000000Z\nFREQ=DAILY", "DTSTART;TZID=Nowhere:20200101T000000\nFREQ=DAILY",
        "DTSTART;TZID=America/New_York:20200101T000000\nFREQ=DAILY;UNTIL=20210101T000000", "DTSTART;TZID=America/New_York:20200101T000000\nFREQ=DAILY;UNTIL=20210101T000000Z", "FOO:BAR\nFREQ=DAILY", "FOO:BAR",
        "FREQ=DAILY;COUNT=5", "FREQ=DAILY;COUNT=-5", "FREQ=DAILY;INTERVAL=+2", "FREQ=DAILY;INTERVAL=1_0", "FREQ=DAILY;INTERVAL=_1", "freq=daily", "FREQ=DAILY FREQ=HOURLY", "FREQ=WEEKLY;WKST=XX", "FREQ=WEEKLY;WKST=SU",
        "FREQ=DAILY;BYMONTH=13", "FREQ=MONTHLY;BYDAY=MO(2)", "FREQ=MONTHLY;BYDAY=MO(x)", "FREQ=MONTHLY;BYDAY=+1", "FREQ=MONTHLY;BYDAY=1MO,,", "FREQ=HOURLY;COUNT=5;UNTIL=20300101", "RRULE:FREQ=DAILY\nRDATE:20200101T000000",
        "FREQ=DAILY;BYDAY=" + "MO," * 2300 + "TU", "X" * 7000, "RDATE:" + "20200101T000000," * 410 + "20200102T000000", "DTSTART:20200101\nFREQ=DAILY;BYEASTER=1", "FREQ=DAILY;BYHOUR=a", "FREQ=DAILY;BYHOUR=",
    )),
    *({"rrule": "FREQ=DAILY", "timezone": zone} for zone in (None, "UTC", "Europe/Berlin", "Foo/Bar", "")),
]  # fmt: skip
