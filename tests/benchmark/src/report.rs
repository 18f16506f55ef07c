//! What is printed: the tables, the JSON document and the targets that were missed.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::compare::{Comparison, Footprint, Measurement, Pair, filling_rate};
use crate::options::Options;
use crate::runs::Errors;
use crate::statistics::ratio;

/// Resident memory that the subject stays below with the loaded runs.
const MEMORY_TARGET: u64 = 100_000_000;

/// The runs with which the memory target holds.
const MEMORY_TARGET_RUNS: u32 = 10_000;

/// A number that may be unknown.
fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Three significant digits are enough for a throughput and a ratio.
fn short(value: Option<f64>) -> String {
    number(value, value.map_or(0, |value| if value < 10.0 { 2 } else { usize::from(value < 100.0) }))
}

fn milliseconds(latency: Option<Duration>) -> String {
    short(latency.map(|latency| latency.as_secs_f64() * 1_000.0))
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000))
}

/// Errors by what came: `503: 12, transport: 1`.
fn by_status(errors: &Errors) -> String {
    if errors.is_empty() {
        return "0".to_owned();
    }
    errors.iter().map(|(error, count)| format!("{error}: {count}")).collect::<Vec<_>>().join(", ")
}

fn ratio_of(measurement: &Measurement) -> Option<f64> {
    ratio(measurement.tallies.subject.throughput(), measurement.tallies.oracle.throughput())
}

/// The start-up time that counts: the quickest, as the others had more of the machine's noise in them.
fn startup(footprint: &Footprint) -> Option<Duration> {
    footprint.startups.iter().min().copied()
}

/// The report as Markdown.
pub(crate) fn markdown(options: &Options, machine: &Value, comparison: &Comparison) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let subject = match (options.calibrate, &options.subject_url, options.data) {
        (true, _, _) => "a second oracle (calibration)".to_owned(),
        (_, Some(url), _) => url.clone(),
        (_, _, true) => format!("{} on a file", options.server.display()),
        (_, _, false) => format!("{} in memory", options.server.display()),
    };
    let memory = machine["memory_bytes"].as_u64().map(|bytes| bytes / 1_000_000_000);
    writeln!(out, "# Side by side with the oracle\n")?;
    writeln!(
        out,
        "Subject: {subject}. Commit {}. {} cores ({}), {} GB, load average {} before. {} runs held; {} rounds of {} s each.\n",
        machine["commit"].as_str().unwrap_or("unknown"),
        machine["cores"],
        machine["cpu"].as_str().unwrap_or("unknown CPU"),
        memory.unwrap_or_default(),
        machine["load_average_before"].as_str().unwrap_or("-"),
        options.runs,
        options.rounds(),
        options.round().as_secs_f64(),
    )?;
    scenarios(&mut out, &comparison.measurements)?;
    footprints(&mut out, options.runs, &comparison.footprints)?;
    Ok(out)
}

fn scenarios(out: &mut String, measurements: &[Measurement]) -> std::fmt::Result {
    writeln!(
        out,
        "| scenario | clients | unit | oracle /s | subject /s | ratio | oracle p50 ms | subject p50 ms | oracle p99 ms \
         | subject p99 ms | oracle 503s | oracle other errors | subject errors | round trips | read units \
         | write units | generator CPU % |"
    )?;
    writeln!(out, "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|---|---|--:|--:|--:|--:|")?;
    for measurement in measurements {
        let Pair { oracle, subject } = &measurement.tallies;
        let mut other = oracle.errors.clone();
        let unavailable = other.remove("503").unwrap_or_default();
        let cells = [
            measurement.scenario.name().to_owned(),
            measurement.clients.to_string(),
            measurement.scenario.unit().to_owned(),
            short(oracle.throughput()),
            short(subject.throughput()),
            ratio_of(measurement).map_or_else(|| "-".to_owned(), |ratio| format!("**{}×**", short(Some(ratio)))),
            milliseconds(oracle.percentile(50)),
            milliseconds(subject.percentile(50)),
            milliseconds(oracle.percentile(99)),
            milliseconds(subject.percentile(99)),
            unavailable.to_string(),
            by_status(&other),
            by_status(&subject.errors),
            number(measurement.cost.map(|cost| cost.round_trips), 1),
            number(measurement.cost.map(|cost| cost.read_units), 1),
            number(measurement.cost.map(|cost| cost.write_units), 1),
            number(subject.generator_percent(), 0),
        ];
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    writeln!(out)
}

fn footprints(out: &mut String, runs: u32, footprints: &Pair<Footprint>) -> std::fmt::Result {
    let Pair { oracle, subject } = footprints;
    #[expect(clippy::cast_precision_loss, reason = "memory sizes are far below 2^52")]
    let size = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    let times = |over: Option<f64>, under: Option<f64>| {
        ratio(over, under).map_or_else(|| "-".to_owned(), |ratio| format!("**{}×**", short(Some(ratio))))
    };
    writeln!(out, "| footprint | oracle | subject | oracle / subject |\n|---|--:|--:|--:|")?;
    let seconds = |footprint: &Footprint| startup(footprint).map(|time| time.as_secs_f64());
    writeln!(
        out,
        "| start-up, ms | {} | {} | {} |",
        milliseconds(startup(oracle)),
        milliseconds(startup(subject)),
        times(seconds(oracle), seconds(subject))
    )?;
    for (label, of_oracle, of_subject) in [
        ("resident, idle".to_owned(), oracle.idle, subject.idle),
        (format!("resident, {runs} runs"), oracle.loaded, subject.loaded),
        ("resident, after all scenarios".to_owned(), oracle.finished, subject.finished),
    ] {
        let ratio = times(size(of_oracle), size(of_subject));
        writeln!(out, "| {label} | {} | {} | {ratio} |", megabytes(of_oracle), megabytes(of_subject))?;
    }
    let rate = |footprint| short(filling_rate(runs, footprint));
    writeln!(
        out,
        "| filling, runs/s (the oracle's mostly into its database) | {} | {} | |",
        rate(oracle),
        rate(subject)
    )?;
    let errors = |footprint: &Footprint| by_status(&footprint.loading_errors);
    writeln!(out, "| errors while filling, sent again | {} | {} | |", errors(oracle), errors(subject))
}

/// Every number as one JSON document.
pub(crate) fn json(options: &Options, machine: &Value, comparison: &Comparison, missed: &[String]) -> Value {
    let measurements: Vec<Value> = comparison
        .measurements
        .iter()
        .map(|measurement| {
            json!({
                "scenario": measurement.scenario.name(),
                "clients": measurement.clients,
                "unit": measurement.scenario.unit(),
                "ratio": ratio_of(measurement),
                "target": measurement.scenario.target(),
                "oracle": measurement.tallies.oracle.json(),
                "subject": measurement.tallies.subject.json(),
                "round_trips": measurement.cost.map(|cost| cost.round_trips),
                "read_units": measurement.cost.map(|cost| cost.read_units),
                "write_units": measurement.cost.map(|cost| cost.write_units),
            })
        })
        .collect();
    let footprint = |footprint: &Footprint| {
        json!({
            "startup_ms": footprint.startups.iter().map(|time| time.as_secs_f64() * 1_000.0).collect::<Vec<_>>(),
            "idle_bytes": footprint.idle,
            "loaded_bytes": footprint.loaded,
            "finished_bytes": footprint.finished,
            "filling_seconds": footprint.loading.as_secs_f64(),
            "filling_errors": footprint.loading_errors,
        })
    };
    json!({
        "machine": machine,
        "runs": options.runs,
        "rounds": options.rounds(),
        "round_seconds": options.round().as_secs_f64(),
        "measurements": measurements,
        "oracle": footprint(&comparison.footprints.oracle),
        "subject": footprint(&comparison.footprints.subject),
        "missed_targets": missed,
    })
}

/// The targets of issue 2 that this run missed or could not tell, in words.
pub(crate) fn missed(options: &Options, comparison: &Comparison) -> Vec<String> {
    let mut missed = Vec::new();
    for measurement in &comparison.measurements {
        let Some(target) = measurement.scenario.target() else { continue };
        let ratio = ratio_of(measurement);
        if ratio.is_none_or(|ratio| ratio < target) {
            let (name, clients) = (measurement.scenario.name(), measurement.clients);
            missed.push(format!("{name}, {clients} clients: {}× instead of {target}×", short(ratio)));
        }
    }
    if options.runs <= MEMORY_TARGET_RUNS {
        let resident = comparison.footprints.subject.loaded;
        if resident.is_none_or(|bytes| bytes >= MEMORY_TARGET) {
            missed.push(format!(
                "resident with {} runs: {} instead of below {}",
                options.runs,
                megabytes(resident),
                megabytes(Some(MEMORY_TARGET))
            ));
        }
    }
    missed
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::load::Tally;
    use crate::scenario::Scenario;

    fn comparison(scenario: Scenario, loaded: Option<u64>) -> Comparison {
        let tallies = Pair { oracle: Tally::default(), subject: Tally::default() };
        let measurements = vec![Measurement { scenario, clients: 16, tallies, cost: None }];
        let subject = Footprint { loaded, ..Footprint::default() };
        Comparison { footprints: Pair { oracle: Footprint::default(), subject }, measurements }
    }

    #[test]
    fn numbers_keep_three_digits() {
        let texts = [Some(1.234), Some(12.34), Some(1234.5), None].map(short);
        assert_eq!(texts, ["1.23", "12.3", "1234", "-"]);
    }

    #[test]
    fn errors_are_told_by_status() {
        assert_eq!(by_status(&Errors::new()), "0");
        assert_eq!(by_status(&Errors::from([("503".into(), 12), ("transport".into(), 1)])), "503: 12, transport: 1");
    }

    #[test]
    fn an_unknown_ratio_misses_its_target() {
        let options = Options::parse_from(["benchmark"]);
        let known = missed(&options, &comparison(Scenario::SetState, Some(99_999_999)));
        assert_eq!(known, ["set_state, 16 clients: -× instead of 30×"]);
        let none = missed(&options, &comparison(Scenario::CreateLogs, Some(99_999_999)));
        assert!(none.is_empty());
    }

    #[test]
    fn memory_misses_its_target_when_too_large_or_unknown() {
        let options = Options::parse_from(["benchmark"]);
        let large = missed(&options, &comparison(Scenario::CreateLogs, Some(100_000_000)));
        assert_eq!(large, ["resident with 10000 runs: 100 MB instead of below 100 MB"]);
        assert_eq!(missed(&options, &comparison(Scenario::CreateLogs, None)).len(), 1);
    }
}
