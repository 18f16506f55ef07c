//! The commands of `cargo xtask`.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

use clap::Parser;
use xtask::{Error, NewRecord, Stale, new_resource, repository};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Write every file that is derived from the routes and the table, and delete those of routes that are gone.
    Generate {
        /// Write nothing; list the files that are stale, and fail if there are any.
        #[arg(long)]
        check: bool,
    },
    /// Start the crate of a resource, and its record, and register them.
    NewResource {
        /// The name of the resource, in `snake_case`, as it stands in its paths.
        name: String,
        /// The name of its record, such as `SavedSearch`: its model, its filter, its place in the table.
        #[arg(long)]
        record: Option<String>,
        /// Start no filter and no sort, because the contract has none: the records are listed by name.
        #[arg(long, requires = "record")]
        without_filter: bool,
        /// Have no events told of the record, because Prefect emits none.
        #[arg(long, requires = "record")]
        without_events: bool,
    },
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Generate { check: true } => check(),
        Task::Generate { check: false } => generate(),
        Task::NewResource { name, record, without_filter, without_events } => {
            let record = record.as_deref();
            let record =
                record.map(|name| NewRecord { name, has_filter: !without_filter, has_events: !without_events });
            start(&name, record)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

fn check() -> Result<ExitCode, Error> {
    let stale = Stale::find(&repository()?)?;
    print!("{stale}");
    if stale.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("these files are stale; `cargo xtask generate` writes them");
    Ok(ExitCode::FAILURE)
}

fn generate() -> Result<ExitCode, Error> {
    let root = repository()?;
    let stale = Stale::find(&root)?;
    stale.write(&root)?;
    print!("{stale}");
    if stale.is_only_the_registry() { generate_again(&root) } else { Ok(ExitCode::SUCCESS) }
}

/// Builds this program with the registry that it has just written, which knows the other routes, and runs that.
fn generate_again(root: &Path) -> Result<ExitCode, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(["xtask", "generate"]).current_dir(root).status().map_err(Error::Cargo)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn start(name: &str, record: Option<NewRecord<'_>>) -> Result<ExitCode, Error> {
    let root = repository()?;
    for file in new_resource(&root, name, record)? {
        println!("wrote {}", file.display());
    }
    println!("next: see docs/adding-a-resource.md");
    Ok(ExitCode::SUCCESS)
}
