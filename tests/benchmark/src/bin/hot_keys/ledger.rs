//! The ledger: how many units one run takes in its life, by step, item and index.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{
    capacity::{PartitionKey, Units},
    lifetimes::{Lifetimes, Step},
};

/// What a table of units is read by: the table itself and each index that is written.
type Column = &'static str;

/// Returns the write units of a step for one of so many runs, what followed included.
pub(crate) fn written(step: &Step, runs: f64) -> f64 {
    step.asked.values().chain(step.followed.values()).map(|units| units.write).sum::<f64>() / runs
}

/// Returns the write units of a whole lifetime of one run.
pub(crate) fn lifetime(lifetimes: &Lifetimes) -> f64 {
    lifetimes.steps.iter().map(|step| written(step, lifetimes.runs())).sum()
}

/// Returns the ledger as a table: for each step and what follows from it the write units by item and index, and the read units.
pub(crate) fn table(lifetimes: &Lifetimes) -> String {
    let rows: Vec<(String, BTreeMap<Column, f64>, f64)> = lifetimes
        .steps
        .iter()
        .flat_map(|step| [(step.name.to_owned(), &step.asked), (format!("→ {}", step.name), &step.followed)])
        .map(|(name, units)| (name, by_column(units), units.values().map(|units: &Units| units.read).sum()))
        .filter(|(_, written, read): &(_, BTreeMap<Column, f64>, f64)| *read > 0.0 || !written.is_empty())
        .collect();
    let columns: BTreeSet<Column> = rows.iter().flat_map(|(_, written, _)| written.keys().copied()).collect();
    let names = columns.iter().copied().collect::<Vec<_>>().join(" | ");
    let mut text = format!("| step | {names} | write units | read units |\n");
    let _ = writeln!(text, "|---|{}", "--:|".repeat(columns.len() + 2));
    let runs = lifetimes.runs();
    for (name, written, read) in &rows {
        let _ = write!(text, "| {name} |");
        for column in &columns {
            let units = written.get(column).map(|units| format!("{:.1}", units / runs));
            let _ = write!(text, " {} |", units.unwrap_or_default());
        }
        let (written, read) = (written.values().sum::<f64>() / runs, read / runs);
        let _ = writeln!(text, " {written:.1} | {read:.1} |");
    }
    let _ = writeln!(text, "\nWhole lifetime: {:.1} write units.", lifetime(lifetimes));
    text
}

fn by_column(units: &BTreeMap<PartitionKey, Units>) -> BTreeMap<Column, f64> {
    let mut columns = BTreeMap::new();
    for (key, units) in units.iter().filter(|(_, units)| units.write > 0.0) {
        *columns.entry(key.of).or_default() += units.write;
    }
    columns
}
