//! `ARCHITECTURE.md` lists the table as `store/table.rs` declares it.
//!
//! `UPDATE=1 cargo test -p common --test architecture` writes the list anew.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{fmt::Write, fs, path::Path};

use common::store::table::{ACCESS_PATTERNS, ENTITIES, Index, Projection};

const BEGIN: &str = "<!-- access patterns: kept equal to table.rs by a test -->\n";
const END: &str = "<!-- end of access patterns -->";

fn listing() -> String {
    let mut text = String::from("| item | partition key | sort key |\n|---|---|---|\n");
    for (entity, pk, sk) in ENTITIES {
        let _ = writeln!(text, "| {entity} | `{pk}` | `{sk}` |");
    }
    text.push_str("\n| index | carries |\n|---|---|\n");
    for index in Index::ALL {
        let projection = match index.projection() {
            Projection::All => "`head` and `tail`",
            Projection::Head => "`head` and `brief`",
            Projection::Orders => "keys, and the sort keys of the other orders",
            Projection::Keys => "keys",
        };
        let _ = writeln!(text, "| `{}` | {projection} |", index.name());
    }
    text.push_str("\n| what is asked | how it is reached |\n|---|---|\n");
    for (question, way) in ACCESS_PATTERNS {
        let _ = writeln!(text, "| {question} | {way} |");
    }
    text
}

#[test]
fn lists_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (listed, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", listing())).unwrap();
        return;
    }
    assert_eq!(listed, listing(), "run: UPDATE=1 cargo test -p common --test architecture");
}
