//! Recurrence rules and cron expressions of many parts.

use common::{
    model::{Timestamp, deployment::Schedule},
    schedule::{self, Span},
};
use proptest::prelude::*;

use super::explore;

const PARTS: [(&str, i32); 9] = [
    ("BYSETPOS", 366),
    ("BYMONTH", 13),
    ("BYMONTHDAY", 32),
    ("BYYEARDAY", 367),
    ("BYEASTER", 400),
    ("BYWEEKNO", 54),
    ("BYHOUR", 24),
    ("BYMINUTE", 60),
    ("BYSECOND", 60),
];

const OTHER_PARTS: [&str; 7] = [
    "BYDAY=MO,+1TU,-1SU,5FR",
    "BYDAY=SU",
    "BYDAY=-53MO",
    "WKST=SU",
    "UNTIL=20270101T000000",
    "UNTIL=99991231T235959",
    "UNTIL=19990101",
];

fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (prop::sample::select(PARTS.to_vec()), prop::collection::vec(any::<i16>(), 1..40), any::<bool>()).prop_map(
            |((name, below), numbers, negative)| {
                let numbers = numbers.into_iter().map(|number| {
                    let number = i32::from(number).rem_euclid(below);
                    (if negative { -number } else { number }).to_string()
                });
                format!("{name}={}", numbers.collect::<Vec<_>>().join(","))
            }
        ),
        2 => prop::sample::select(OTHER_PARTS.to_vec()).prop_map(str::to_owned),
        2 => (1..100_000_u32).prop_map(|count| format!("COUNT={count}")),
        1 => (0..1_000_000_u32).prop_map(|interval| format!("INTERVAL={interval}")),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let frequencies = vec!["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"];
    (
        prop::sample::select(vec!["RRULE", "RRULE", "EXRULE"]),
        prop::sample::select(frequencies),
        prop::collection::vec(part(), 0..5),
    )
        .prop_map(|(kind, frequency, parts)| {
            let parts = [vec![format!("{kind}:FREQ={frequency}")], parts].concat();
            parts.join(";")
        })
}

fn rule() -> impl Strategy<Value = String> {
    let start = prop::sample::select(vec!["00010101T000000", "19000101T000000", "20260301T020000", "99990101T000000"]);
    let dates = prop_oneof![
        3 => Just(String::new()),
        1 => (1..300_u32).prop_map(|count| {
            let dates = (0..count).map(|day| format!("2026{:02}{:02}", day % 12 + 1, day % 28 + 1));
            format!("\nEXDATE:{}", dates.collect::<Vec<_>>().join(","))
        }),
    ];
    (start, prop::collection::vec((line(), prop_oneof![4 => Just(1_usize), 1 => 1..70_usize]), 1..6), dates).prop_map(
        |(start, lines, dates)| {
            let lines: String = lines.into_iter().map(|(line, times)| format!("\n{line}").repeat(times)).collect();
            format!("DTSTART:{start}{lines}{dates}")
        },
    )
}

fn cron() -> impl Strategy<Value = String> {
    let item = "(\\*|[0-9]{1,2}|[0-9]{1,2}-[0-9]{1,2}|\\*/[0-9]{1,2}|[0-9]-[0-9]/[0-9]|[0-6]#[1-5]|l|mon-fri)";
    let field = (item, 1..60_usize).prop_map(|(item, times)| vec![item; times].join(","));
    prop::collection::vec(field, 5..8).prop_map(|fields| fields.join(" "))
}

/// Checks a schedule as a request does, and finds its instants as the scheduler does.
pub(super) fn schedule(schedule: &Schedule) -> Result<(), String> {
    match schedule {
        Schedule::RRule { rrule, .. } => schedule::check_rrule(rrule)?,
        Schedule::Cron { cron, .. } => schedule::check_cron(cron)?,
        Schedule::Interval { .. } => {}
    }
    let start: Timestamp = "2026-03-08T05:30:00Z".parse().map_err(|_| "no time".to_owned())?;
    let end = Some(start.plus_seconds(8_640_000.0));
    schedule::instants(schedule, Span { start, end, count: 100 });
    schedule::instants(schedule, Span { start, end: None, count: 1 });
    Ok(())
}

#[test]
fn any_rule_is_answered_within_bounds() {
    explore("rules", rule, |rule| {
        drop(schedule(&Schedule::RRule { rrule: rule.clone(), timezone: Some("America/New_York".to_owned()) }));
    });
}

#[test]
fn any_cron_expression_is_answered_within_bounds() {
    explore("cron expressions", cron, |cron| {
        for day_or in [true, false] {
            drop(schedule(&Schedule::Cron { cron: cron.clone(), timezone: Some("Europe/Dublin".to_owned()), day_or }));
        }
    });
}
