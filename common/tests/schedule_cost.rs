//! Holds any schedule to instants in order, within what was asked for, at a bounded cost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken case must fail the test")]

use std::time::{Duration, Instant};

use common::{
    model::{Seconds, Timestamp, deployment::Schedule},
    schedule::{self, Span},
};
use proptest::prelude::*;

const START: &str = "2026-03-08T05:30:00Z";
/// What no schedule's next instants may take, in a debug build on a busy machine.
const LIMIT: Duration = Duration::from_millis(1500);

fn rrule(rrule: impl Into<String>) -> Schedule {
    Schedule::RRule { rrule: rrule.into(), timezone: Some("America/New_York".to_owned()) }
}

fn next(schedule: &Schedule, days: Option<f64>, count: usize) -> (Vec<Timestamp>, Duration) {
    let start: Timestamp = START.parse().unwrap();
    let began = Instant::now();
    let end = days.map(|days| start.plus_seconds(days * 86_400.0));
    let found = schedule::instants(schedule, Span { start, end, count });
    (found, began.elapsed())
}

#[test]
fn costs_little_whatever_the_anchor_or_the_rule() {
    let cron = |cron: &str| Schedule::Cron { cron: cron.to_owned(), timezone: None, day_or: false };
    let every_time = |what: &str| {
        let list = |below: u32| (0..below).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        format!("DTSTART:19000101T000000\nFREQ={what};BYHOUR={};BYMINUTE={};BYSECOND={}", list(24), list(60), list(60))
    };
    let schedules = [
        (rrule("DTSTART:19700101T000000\nFREQ=SECONDLY"), true),
        (rrule("DTSTART:00010101T000000\nFREQ=SECONDLY"), true),
        (rrule("DTSTART:19700101T000000\nFREQ=MINUTELY;BYHOUR=3;BYDAY=SU;BYSETPOS=1"), true),
        (rrule("DTSTART:19700101T000000\nFREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"), false),
        (rrule("DTSTART:19700101T000000\nFREQ=SECONDLY;BYSETPOS=2"), false),
        (rrule("DTSTART:19700101T000000\nFREQ=SECONDLY;COUNT=1000000000000"), true),
        (rrule("DTSTART:19700101T000000\nFREQ=SECONDLY;COUNT=1000"), false),
        (rrule("DTSTART:19700101T000000\nFREQ=SECONDLY;BYHOUR=3;COUNT=1000000000"), false),
        (rrule("DTSTART:19700101T000000\nFREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), false),
        (rrule("DTSTART:19700101T000000\nFREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=5"), false),
        (rrule("FREQ=DAILY;INTERVAL=0"), false),
        (rrule("FREQ=SECONDLY;INTERVAL=-1"), false),
        (rrule("FREQ=YEARLY;INTERVAL=99999999999999999999"), false),
        (rrule("DTSTART:19700101T000000\nRRULE:FREQ=SECONDLY\nEXRULE:FREQ=SECONDLY"), false),
        (rrule("DTSTART:19700101T000000\nFREQ=HOURLY;BYHOUR=25"), false),
        (rrule(every_time("DAILY")), true),
        (rrule(every_time("YEARLY") + ";BYYEARDAY=366"), true),
        (cron("0 0 30 2 *"), false),
        (cron("0 0 29 2 1"), true),
        (cron("0 0 29 2 1#1"), false),
        (cron("* * * * * * 2026"), true),
    ];
    for (schedule, comes) in schedules {
        let (found, took) = next(&schedule, None, 3);
        assert!(took < LIMIT, "{schedule:?} took {took:?}");
        assert_eq!(!found.is_empty(), comes, "{schedule:?}: {found:?}");
        let (_, took) = next(&schedule, Some(100.0), 100);
        assert!(took < LIMIT, "{schedule:?} took {took:?} within 100 days");
    }
    let anchor_date = Some("1900-01-01T00:00:00Z".parse().unwrap());
    let interval = Seconds::from_micros(1);
    let (found, took) = next(&Schedule::Interval { interval, anchor_date, timezone: None }, None, 3);
    assert!(took < LIMIT && found.len() == 3, "{took:?} {found:?}");
}

#[test]
fn counts_a_rule_from_its_beginning() {
    let hours = |count: u32| {
        let (found, _) = next(&rrule(format!("DTSTART:20260101T001500\nFREQ=HOURLY;COUNT={count}")), None, 9);
        found.len()
    };
    // By the clock, 66 days of 24 hours and one hour are over; the one after 01:15 is jumped over, and falls on 01:15.
    assert_eq!((hours(66 * 24 + 1), hours(66 * 24 + 2), hours(66 * 24 + 4)), (0, 1, 2));
}

fn part(name: &'static str, least: i64, most: i64) -> impl Strategy<Value = String> {
    let numbers = proptest::collection::vec(least..=most, 1..4);
    prop_oneof![
        2 => Just(String::new()),
        1 => numbers.prop_map(move |numbers| {
            let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            format!(";{name}={}", numbers.join(","))
        })
    ]
}

fn any_rrule() -> impl Strategy<Value = Schedule> {
    let frequency =
        prop::sample::select(vec!["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]);
    let days = prop::sample::select(vec!["", ";BYDAY=MO", ";BYDAY=SA,SU", ";BYDAY=+1MO,-1FR", ";BYDAY=5WE"]);
    let limits = (part("BYMONTH", 1, 12), part("BYMONTHDAY", -31, 31), part("BYYEARDAY", -366, 366));
    let times = (part("BYHOUR", 0, 23), part("BYMINUTE", 0, 59), part("BYSECOND", 0, 59), part("BYSETPOS", 1, 366));
    let count =
        prop_oneof![3 => Just(String::new()), 1 => (0_i64..3_000_000).prop_map(|count| format!(";COUNT={count}"))];
    let weeks = (part("BYWEEKNO", -53, 53), part("BYEASTER", -100, 100));
    (1900..2030_i32, frequency, -1_i64..400, days, limits, times, count, weeks).prop_map(
        |(year, frequency, interval, days, limits, times, count, weeks)| {
            let (month, month_day, year_day) = limits;
            let (hour, minute, second, position) = times;
            rrule(format!(
                "DTSTART:{year}0131T023010\nFREQ={frequency};INTERVAL={interval}{days}{month}{month_day}{year_day}{hour}{minute}\
                 {second}{position}{count}{}{}",
                weeks.0, weeks.1
            ))
        },
    )
}

fn any_cron() -> impl Strategy<Value = Schedule> {
    let field = |values: &[&'static str]| prop::sample::select(values.to_vec());
    let minutes = field(&["*", "*/7", "0", "59", "5-50/9", "50-10"]);
    let hours = field(&["*", "2", "1-3", "22-4/2", "0"]);
    let days = field(&["*", "31", "L", "29,30", "1-7", "*/9", "13"]);
    let months = field(&["*", "2", "NOV-FEB", "*/5", "4"]);
    let weekdays = field(&["*", "5", "MON#1", "L0", "sat-mon", "3#5", "?"]);
    let rest = field(&["", " 30", " */20", " 0 2026", " 0 2028-2040/4"]);
    (minutes, hours, days, months, weekdays, rest, any::<bool>()).prop_map(|(a, b, c, d, e, rest, day_or)| {
        let cron = format!("{a} {b} {c} {d} {e}{rest}");
        Schedule::Cron { cron, timezone: Some("Australia/Lord_Howe".to_owned()), day_or }
    })
}

fn any_interval() -> impl Strategy<Value = Schedule> {
    (1_i64..400 * 86_400 * 1_000_000, -70_i64 * 31_557_600..40 * 31_557_600).prop_map(|(micros, anchor)| {
        Schedule::Interval {
            interval: Seconds::from_micros(micros),
            anchor_date: Timestamp::from_micros(anchor * 1_000_000),
            timezone: Some("Europe/London".to_owned()),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn finds_instants_in_order_and_each_once(
        schedule in prop_oneof![2 => any_rrule(), 1 => any_cron(), 1 => any_interval()],
        days in 0.0..500.0_f64,
        count in 1..30_usize,
    ) {
        let (found, took) = next(&schedule, Some(days), count);
        prop_assert!(took < LIMIT, "{took:?}");
        prop_assert!(found.len() <= count);
        prop_assert!(found.is_sorted_by(|earlier, later| earlier < later), "{found:?}");
        let start: Timestamp = START.parse().unwrap();
        let end = start.plus_seconds(days * 86_400.0 + 3600.0);
        prop_assert!(found.iter().all(|instant| (start..=end).contains(instant)), "{found:?}");
        // As upstream's, they are counted by the clock on the wall and sorted afterwards: where that is put forward, one
        // that comes later may be an earlier instant.
        let (more, _) = next(&schedule, Some(days), count + 5);
        prop_assert!(found.iter().all(|instant| more.contains(instant)), "{found:?} {more:?}");
    }
}
