//! `check`: finds what can't be read, on the local database or on a deployed table, and mends what can be mended.

use clap::Args;
use common::{
    Result, Store,
    store::check::{Checked, Finding},
};

/// The arguments of `check`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The deployed table to look at, with the credentials and the region of the environment, in place of the local
    /// database. It takes the right to scan the table, which no function has.
    #[arg(long)]
    pub table: Option<String>,
    /// Mends what can be mended for certain: times beyond the calendar, and claims of records that are gone.
    #[arg(long)]
    pub repair: bool,
}

/// Looks at every item of `store`; prints what is wrong, a line each, and returns the last line and whether all is well.
///
/// # Errors
/// Those of the store.
pub async fn carry_out(store: &Store, repairs: bool) -> Result<(String, bool)> {
    let checked = store.check(repairs, |finding| println!("{}", line(finding))).await?;
    let Checked { items, found, mended } = checked;
    Ok((format!("{items} items, {found} with something wrong, {mended} mended"), found == mended))
}

fn line(finding: &Finding) -> String {
    let Finding { key, problem, is_mended } = finding;
    let mended = if *is_mended { " (mended)" } else { "" };
    format!("{} / {}: {problem}{mended}", key.pk, key.sk)
}
