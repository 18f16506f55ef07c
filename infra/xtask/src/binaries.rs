//! The binaries of the routes: one line each.

use std::collections::BTreeSet;

use crate::{Error, Result, sources::Resource, stale::Files};

pub(crate) fn generate(files: &mut Files<'_>, resources: &[Resource]) -> Result<()> {
    let mut operations = BTreeSet::new();
    for (name, routes) in registry::RESOURCES {
        let Some(resource) = resources.iter().find(|resource| resource.name == *name) else { continue };
        let directory = format!("functions/{name}/src/bin");
        files.own(&directory, "rs", &[])?;
        let mut unlisted: BTreeSet<&str> = resource.statics.keys().map(String::as_str).collect();
        for route in routes.iter() {
            let operation = route.operation;
            let path = resource.statics.get(operation);
            let path = path.ok_or(Error::Undeclared { resource: name, operation })?;
            unlisted.remove(operation);
            if !operations.insert(operation) {
                return Err(Error::Twice(operation.to_owned()));
            }
            files.put(format!("{directory}/{operation}.rs"), binary(operation, path));
        }
        if let Some(operation) = unlisted.first() {
            return Err(Error::Unlisted(resource.statics[*operation].clone()));
        }
    }
    Ok(())
}

fn binary(operation: &str, path: &str) -> String {
    format!(
        "//! The Lambda function `{operation}`.

fn main() -> std::process::ExitCode {{
    common::lambda::run(&{path})
}}
"
    )
}
