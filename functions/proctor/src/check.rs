//! `check`: finds what can't be read, on the local database or on a deployed table, and mends what can be mended.

use std::{fmt, io, time::Duration};

use clap::Args;
use common::{
    Result, Store,
    store::check::{Checked, Finding, Step},
};
use serde::Serialize;

use crate::output::{self, Form};

/// The arguments of `check`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The deployed table to look at, with the credentials and the region of the environment, in place of the local
    /// database. It takes the right to scan the table, which no function has.
    #[arg(long)]
    pub table: Option<String>,
    /// Mends what can be mended for certain: times beyond the calendar, claims of records that are gone, and tallies of
    /// the local database.
    #[arg(long)]
    pub repair: bool,
    /// How the work and its outcome are shown.
    #[command(flatten)]
    pub form: Form,
}

/// What a check has found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Items that were read.
    pub items: u64,
    /// Items with which something was wrong.
    pub found: u64,
    /// Those of them that are right now.
    pub mended: u64,
    /// What is wrong with each of them, where that is asked for as a document.
    pub findings: Vec<Found>,
    /// What is wrong with the file of the database itself.
    pub damage: Vec<String>,
    /// Tallies of flow runs and events that differ from what there is.
    pub tallies: usize,
    /// Those of them that are right now.
    pub tallies_mended: usize,
}

/// What was found beside the items: in the file of the database itself, and by counting.
#[derive(Debug, Default)]
pub struct File {
    /// What is wrong with it, in words.
    pub damage: Vec<String>,
    /// Tallies that differ from what there is.
    pub tallies: usize,
    /// Whether all of them are right now.
    pub are_mended: bool,
}

/// What is wrong with an item.
#[derive(Debug, Serialize)]
pub struct Found {
    pk: String,
    sk: String,
    problem: &'static str,
    message: String,
    is_mended: bool,
}

impl Report {
    /// Returns how many items and tallies are still wrong.
    pub fn left(&self) -> u64 {
        self.found - self.mended + (self.tallies - self.tallies_mended) as u64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { items, found, mended, damage, tallies, tallies_mended, .. } = self;
        write!(formatter, "{items} items, {found} with something wrong, {mended} mended")?;
        if *tallies > 0 {
            write!(formatter, "\n{tallies} tallies differ from what there is, {tallies_mended} mended")?;
        }
        damage.iter().try_for_each(|problem| write!(formatter, "\nthe file is damaged: {problem}"))
    }
}

/// How long the tallies of a deployed table may lag, before what differs is counted again.
const LAG: Duration = Duration::from_secs(30);

/// Counts all that the tallies of a deployed table count; returns how many of these differ.
///
/// # Errors
/// Those of the store.
pub async fn recount(store: &Store, form: Form) -> Result<usize> {
    let progress = form.progress();
    progress.count("Counting runs and events", "items", None);
    Ok(store.tallies_that_differ(LAG).await?.map_or(0, |differences| differences.len()))
}

/// Looks at every item of `store`, in whose file `file` was found; prints what is wrong, a line each as it is found, unless a document has it in the end.
///
/// Returns what was found, and whether all lines could be printed.
///
/// # Errors
/// Those of the store.
pub async fn carry_out(store: &Store, file: File, repairs: bool, form: Form) -> Result<(Report, io::Result<()>)> {
    let progress = form.progress();
    let total = if form.quiet { None } else { store.approximate_item_count().await };
    progress.count("Checking the database", "items", total);
    let (mut findings, mut printed) = (Vec::new(), Ok(()));
    let checked = store.check(repairs, |step| match step {
        Step::Read(items) => progress.add(items as u64),
        Step::Found(finding) if form.json => findings.push(found(finding)),
        // The database is checked and mended to its end, whoever reads the lines.
        Step::Found(_) if printed.is_err() => {}
        Step::Found(finding) => printed = progress.aside(|| output::print(&line(finding))),
    });
    let Checked { items, found, mended } = checked.await?;
    let File { damage, tallies, are_mended } = file;
    let tallies_mended = if are_mended { tallies } else { 0 };
    Ok((Report { items, found, mended, findings, damage, tallies, tallies_mended }, printed))
}

fn found(finding: &Finding) -> Found {
    let Finding { key, problem, is_mended } = finding;
    let (pk, sk) = (key.pk.clone(), key.sk.clone());
    Found { pk, sk, problem: problem.name(), message: problem.to_string(), is_mended: *is_mended }
}

fn line(finding: &Finding) -> String {
    let Finding { key, problem, is_mended } = finding;
    let mended = if *is_mended { " (mended)" } else { "" };
    format!("{} / {}: {problem}{mended}", key.pk, key.sk)
}
