//! The crates of resources and the routes that they declare, read from their sources.
//!
//! A binary names the `static` of its route, and a linked route does not know what it is called. A macro around each
//! declaration could tell it; reading the sources leaves the declarations plain, and takes a tenth of a second.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use syn::{Expr, Item, ItemStatic, Lit, Type};

use crate::{Error, Result};

/// A crate of `functions/` that has `ROUTES`.
#[derive(Debug)]
pub(crate) struct Resource {
    /// The crate's name.
    pub(crate) name: String,
    /// The paths of the statics that declare routes, by the names of the routes.
    pub(crate) statics: BTreeMap<String, String>,
}

/// Returns the resources of the repository at `root`, by name.
pub(crate) fn resources(root: &Path) -> Result<Vec<Resource>> {
    let mut resources = Vec::new();
    for directory in entries(&root.join("functions"))? {
        let library = directory.join("src/lib.rs");
        let Some(name) = directory.file_name().and_then(|name| name.to_str()) else { continue };
        if library.exists() && parse(&library)?.iter().any(|item| item.ident == "ROUTES") {
            let mut statics = BTreeMap::new();
            declarations(&directory.join("src"), name, &mut statics)?;
            resources.push(Resource { name: name.to_owned(), statics });
        }
    }
    Ok(resources)
}

/// Adds the routes that the sources in `directory`, the module `module`, declare.
fn declarations(directory: &Path, module: &str, statics: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in entries(directory)? {
        let Some(stem) = entry.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let inner = if matches!(stem, "lib" | "mod") { module.to_owned() } else { format!("{module}::{stem}") };
        if entry.is_dir() {
            // Binaries are what is derived.
            if stem != "bin" {
                declarations(&entry, &inner, statics)?;
            }
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            for item in parse(&entry)? {
                if let Some(operation) = operation(&item) {
                    let previous = statics.insert(operation.clone(), format!("{inner}::{}", item.ident));
                    if previous.is_some() {
                        return Err(Error::Twice(operation));
                    }
                }
            }
        }
    }
    Ok(())
}

/// Returns the name of the route that a static declares: the first argument of the innermost call of its value.
fn operation(item: &ItemStatic) -> Option<String> {
    let Type::Path(declared) = &*item.ty else { return None };
    if declared.path.segments.last()?.ident != "Route" {
        return None;
    }
    let mut value = &*item.expr;
    while let Expr::MethodCall(call) = value {
        value = &call.receiver;
    }
    let Expr::Call(call) = value else { return None };
    match call.args.first()? {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the statics of a source.
fn parse(file: &Path) -> Result<Vec<ItemStatic>> {
    let text = fs::read_to_string(file).map_err(|error| Error::File(file.to_owned(), error))?;
    let source = syn::parse_file(&text).map_err(|error| Error::Source(file.to_owned(), error))?;
    let statics = source.items.into_iter().filter_map(|item| match item {
        Item::Static(item) => Some(item),
        _ => None,
    });
    Ok(statics.collect())
}

/// Returns what is in a directory, by name; nothing if it is not there.
pub(crate) fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory)? {
            paths.push(entry?.path());
        }
        paths.sort();
        Ok(paths)
    };
    match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| Error::File(directory.to_owned(), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::operation;

    #[test]
    fn a_route_is_found_under_what_is_added_to_it() {
        for (source, expected) in [
            (r#"pub static ROUTE: Route = Route::post("create", "/", || post(create));"#, Some("create")),
            (r#"static A: http::Route = Route::get("a", "/", || get(a)).accessing(READS.via(&[B]));"#, Some("a")),
            ("static ROUTES: &[&Route] = &[&ROUTE];", None),
            (r#"static NAME: Name = Name::new("name");"#, None),
        ] {
            assert_eq!(operation(&syn::parse_str(source).unwrap()).as_deref(), expected, "{source}");
        }
    }
}
