//! `backup`: copies the local database into a file, also while a server works on it.

use std::{fmt, path::PathBuf};

use clap::{Args, ValueHint};
use serde::Serialize;
use sqlite::SqliteError;

use crate::output::Form;

/// The arguments of `backup`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The file to make. One that is there is left as it is.
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// How the work and its outcome are shown.
    #[command(flatten)]
    pub form: Form,
}

/// The copy that was made.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, bytes } = self;
        write!(formatter, "copied the database into {} ({bytes} bytes)", file.display())
    }
}

/// Copies `database` into the file that the arguments name, as it is at one moment.
///
/// # Errors
/// Says that the file is there, or why it can't be written; then there is none.
pub async fn carry_out(arguments: &Arguments, database: &sqlite::Database) -> Result<Report, SqliteError> {
    let progress = arguments.form.progress();
    progress.wait("Copying the database");
    database.backup(&arguments.file).await?;
    let bytes = std::fs::metadata(&arguments.file)?.len();
    Ok(Report { file: arguments.file.clone(), bytes })
}
