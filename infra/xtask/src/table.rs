//! The page about the table: what `common/store/src/table.rs` declares.

use std::fmt::Write;

use common::store::table::{ACCESS_PATTERNS, ENTITIES, Index, Projection};

use crate::stale::Files;

pub(crate) fn generate(files: &mut Files<'_>) {
    files.put("docs/table.md", page());
}

fn page() -> String {
    let mut text = String::from(
        "# The table

This is everything that is in the one DynamoDB table, and every way that leads to it.

<!-- Derived from common/store/src/table.rs: cargo xtask generate -->

## Items

| item | partition key | sort key |
|---|---|---|
",
    );
    for (entity, partition, sort) in ENTITIES {
        let _ = writeln!(text, "| {entity} | `{partition}` | `{sort}` |");
    }
    text.push_str("\n## Indexes\n\n| index | partition key | sort key | carries |\n|---|---|---|---|\n");
    for index in Index::ALL {
        let projection = match index.projection() {
            Projection::All => "`head` and `tail`",
            Projection::Head => "`head` and `brief`",
            Projection::Orders => "keys, and the sort keys of the other orders",
            Projection::Keys => "keys",
        };
        let (name, partition, sort) = (index.name(), index.partition(), index.sort());
        let _ = writeln!(text, "| `{name}` | `{partition}` | `{sort}` | {projection} |");
    }
    text.push_str("\n## Access patterns\n\n| what is asked | how it is reached |\n|---|---|\n");
    for (question, way) in ACCESS_PATTERNS {
        let _ = writeln!(text, "| {question} | {way} |");
    }
    text
}
