//! The operations of the contract that have no route yet.

use std::{collections::BTreeSet, fmt::Write};

use common::contract::Operation;

use crate::{Error, Result, stale::Files};

const LIST: &str = "tests/missing_routes.txt";

pub(crate) fn generate(files: &mut Files<'_>) -> Result<()> {
    let built: BTreeSet<(&str, &str)> =
        registry::routes().iter().map(|route| (route.path, route.method.as_str())).collect();
    let mut operations: Vec<_> = Operation::all().iter().collect();
    operations.sort_by_key(|operation| operation.rank());
    let mut missing = String::new();
    for operation in operations.into_iter().filter(|one| !built.contains(&(one.path(), one.method()))) {
        let _ = writeln!(missing, "{} {} {}", operation.method(), operation.path(), operation.name());
    }
    refuse_growth(&files.current(LIST)?, &missing)?;
    files.put(LIST, missing);
    Ok(())
}

/// A route that gets lost must not look like one that was never built.
fn refuse_growth(listed: &str, missing: &str) -> Result<()> {
    let before: BTreeSet<&str> = listed.lines().collect();
    let lost: Vec<&str> = missing.lines().filter(|line| !before.is_empty() && !before.contains(line)).collect();
    if lost.is_empty() { Ok(()) } else { Err(Error::Lost(lost.join("\n"))) }
}

#[cfg(test)]
mod tests {
    use super::refuse_growth;

    #[test]
    fn the_list_may_only_shrink() {
        assert!(refuse_growth("GET /a a\nGET /b b\n", "GET /b b\n").is_ok());
        assert!(refuse_growth("", "GET /b b\n").is_ok(), "a list that is not there yet may begin");
        let refused = refuse_growth("GET /b b\n", "GET /a a\nGET /b b\n").unwrap_err().to_string();
        assert!(refused.ends_with(":\nGET /a a"), "{refused}");
    }
}
