//! The registry's list of resources, and its dependencies on their crates.

use std::{fmt::Write, path::Path};

use crate::{Error, Result, sources::Resource, stale::Files};

const LIST: &str = "functions/registry/src/resources.rs";
const MANIFEST: &str = "functions/registry/Cargo.toml";
const BEGIN: &str = "# Derived from the crates in functions/ that have ROUTES: cargo xtask generate\n";
const END: &str = "# End of what is derived\n";

pub(crate) fn generate(files: &mut Files<'_>, resources: &[Resource]) -> Result<()> {
    files.put(LIST, list(resources));
    let manifest = manifest(&files.current(MANIFEST)?, resources)?;
    files.put(MANIFEST, manifest);
    Ok(())
}

fn list(resources: &[Resource]) -> String {
    let mut list = String::from(
        "//! Every resource. Derived from the crates in `functions/` that have `ROUTES`: `cargo xtask generate`.

use common::http::Route;

/// The routes of every resource under the name of its crate, by that name.
pub static RESOURCES: &[(&str, &&[&Route])] = &[
",
    );
    for Resource { name, .. } in resources {
        let _ = writeln!(list, "    (\"{name}\", &{name}::ROUTES),");
    }
    list + "];\n"
}

/// The dependencies are paths, and not those of the workspace, which would be one more place to register in.
fn manifest(current: &str, resources: &[Resource]) -> Result<String> {
    let missing = |mark| Error::Mark(Path::new(MANIFEST).to_owned(), mark);
    let (before, rest) = current.split_once(BEGIN).ok_or(missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or(missing(END))?;
    let mut derived = String::new();
    for Resource { name, .. } in resources {
        let _ = writeln!(derived, "{name} = {{ path = \"../{name}\" }}");
    }
    Ok([before, BEGIN, &derived, END, after].concat())
}
