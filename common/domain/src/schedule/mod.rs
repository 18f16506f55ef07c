//! Schedules: when a deployment's runs are due.
//!
//! Everything here is pure: a schedule, a time to begin at, and out come the instants that Prefect's
//! `prefect.server.schemas.schedules` computes (Python 3.11, pendulum, croniter, dateutil), also where clocks change.
//! `tests/schedules/vectors.json` has thousands of them, recorded from it, and `edges.json` those around changes of clocks.
//!
//! No schedule costs more than its next few instants: each begins near `start` whatever its anchor, and a search that
//! finds nothing ends (see [`cron`], [`interval`] and [`rrule`] for the bounds). Prefect begins at the anchor.
//!
//! Where the answers differ from Prefect's on purpose:
//!
//! - A schedule that never matches, or on which Prefect breaks down (`0 0 30 2 *`, `INTERVAL=0`, an `UNTIL` in a zone
//!   without a `DTSTART`, `BYHOUR=25` of an hourly rule), has no instants. Prefect raises, so that the deployment's
//!   other schedules get no runs either, or never ends.
//! - `R(1-5)` and `R/5` are refused as `R` is. Prefect takes them, and draws other instants at each look.
//! - A rule without `DTSTART` is checked with the start that it is then given. Prefect checks it with the present, so
//!   that `FREQ=MINUTELY;INTERVAL=15;BYMINUTE=5` is refused or taken depending on the minute.
//! - A rule without `FREQ`, or without any rule, is refused. Prefect answers 500.
//! - Dates in rules are those of RFC 5545 and ISO 8601. dateutil guesses at any other text.
//! - A rule with a null time zone is one in UTC. Prefect takes it, and then makes no runs.
//! - dateutil knows no clock changes beyond 2037; ours go on.
//! - An interval below a day goes on in elapsed time when clocks go back. Prefect means to, and skips an hour.
//! - `localtime`, the zone of whichever machine it is, is not known.

mod cron;
mod interval;
mod rrule;
mod zone;

use std::rc::Rc;

use budget::{Bound, Meter};

use crate::model::{Timestamp, deployment::Schedule};

pub use zone::is_time_zone;

/// How many candidates Prefect looks at, double ones included (`MAX_ITERATIONS` and the two that it counts beyond).
const CANDIDATES: usize = 1002;

/// Which instants are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The first instant that may be among them.
    pub start: Timestamp,
    /// The last instant that may be among them.
    pub end: Option<Timestamp>,
    /// How many are wanted at most; Prefect takes 0 for 1, and at most about a thousand are found at once.
    pub count: usize,
}

/// Returns the next instants of a schedule, in order, each once.
pub fn instants(schedule: &Schedule, span: Span) -> Vec<Timestamp> {
    instants_within(schedule, span, &steps())
}

/// Returns the steps that recurrences may take together.
pub fn steps() -> Rc<Meter> {
    Rc::new(Meter::new(Bound::RecurrenceSteps))
}

/// Returns the next instants of a schedule as [`instants`] does, of a recurrence as far as there are `steps` left.
pub fn instants_within(schedule: &Schedule, span: Span, steps: &Rc<Meter>) -> Vec<Timestamp> {
    match schedule {
        Schedule::Interval { interval, anchor_date, timezone } => {
            let Some(zone) = zone::Zone::of_schedule(timezone.as_deref()) else { return Vec::new() };
            interval::instants(*interval, anchor_date.unwrap_or(span.start), &zone, span)
        }
        Schedule::Cron { cron, timezone, day_or } => {
            let (Some(zone), Ok(expression)) =
                (zone::Zone::of_schedule(timezone.as_deref()), cron::Expression::parse(cron))
            else {
                return Vec::new();
            };
            cron::instants(&expression, *day_or, &zone, span)
        }
        Schedule::RRule { rrule, timezone } => {
            let (Some(zone), Ok(recurrence)) = (zone::Zone::of_schedule(timezone.as_deref()), rrule::parse(rrule))
            else {
                return Vec::new();
            };
            rrule::instants(&recurrence, &zone, span, steps)
        }
    }
}

/// Writes an instant as Prefect does in a run's idempotency key: what the schedule's clocks show, and their offset.
pub fn local_text(schedule: &Schedule, instant: Timestamp) -> String {
    let (Schedule::Interval { timezone, .. } | Schedule::Cron { timezone, .. } | Schedule::RRule { timezone, .. }) =
        schedule;
    zone::Zone::of_schedule(timezone.as_deref()).map_or_else(|| instant.to_string(), |zone| zone.text(instant))
}

/// Checks a cron expression.
///
/// # Errors
/// Prefect's message (`validate_cron_string`).
pub fn check_cron(expression: &str) -> Result<(), String> {
    Bound::CronLength.check(expression.len()).map_err(|exceeded| exceeded.to_string())?;
    cron::Expression::parse(expression).map(|_| ()).map_err(|refusal| match refusal {
        cron::Refusal::Invalid => format!("Invalid cron string: \"{expression}\""),
        cron::Refusal::Random => format!("Random and Hashed expressions are unsupported, received: \"{expression}\""),
    })
}

/// Checks a recurrence rule.
///
/// # Errors
/// Prefect's message (`validate_rrule_string`), with dateutil's reason.
pub fn check_rrule(rule: &str) -> Result<(), String> {
    rrule::parse(rule).map(|_| ())
}

/// Checks the time zone of a cron or interval schedule; an empty name is taken.
///
/// # Errors
/// Prefect's message (`default_timezone`).
pub fn check_time_zone(name: &str) -> Result<(), String> {
    if name.is_empty() || is_time_zone(name) {
        return Ok(());
    }
    Err(format!("Invalid timezone: \"{name}\" (specify in IANA tzdata format, for example, America/New_York)"))
}

impl Schedule {
    /// Returns the schedule as it is stored at `now`: what Prefect fills in where the client left it out.
    ///
    /// An interval is anchored at `now` and in UTC. A rule gets a `DTSTART` (`normalize_rrule_string`): one of seconds or
    /// minutes near `now`, which changes nothing that comes later, any other one in 2020.
    #[must_use]
    pub fn completed(self, now: Timestamp) -> Self {
        match self {
            Self::Interval { interval, anchor_date, timezone } => Self::Interval {
                interval,
                anchor_date: Some(anchor_date.unwrap_or(now)),
                timezone: Some(timezone.unwrap_or_else(|| "UTC".to_owned())),
            },
            Self::RRule { rrule, timezone } => {
                Self::RRule { rrule: rrule::normalize(&rrule, timezone.as_deref(), now), timezone }
            }
            cron @ Self::Cron { .. } => cron,
        }
    }
}
