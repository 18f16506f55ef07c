//! The page about the table: what `common/store/src/table.rs` declares.

use std::fmt::Write;

use common::store::{
    backend::attribute_name,
    table::{ACCESS_PATTERNS, ENTITIES, EntityKind, GROUPS, Index, Projection, Step, shown},
};

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
    for kind in ENTITIES {
        let _ = writeln!(text, "| {} | `{}` | `{}` |", kind.what, shown(kind.partition), shown(kind.sort));
    }
    text.push_str(
        "\n## Groups in the indexes\n\nA shard may follow the key.\n\n| group | partition key |\n|---|---|\n",
    );
    for kind in GROUPS {
        let _ = writeln!(text, "| {} | `{}` |", kind.what, shown(kind.partition));
    }
    text.push_str(
        "\n## Indexes\n\nIn DynamoDB they hold keys alone, and `by_time` the `head` of what is neither a run nor an event; what else is\n\
         read is fetched by its key. There the attributes have the names in brackets, and ids and times in keys are written in\n\
         fewer characters (`common/store/src/backend/dynamodb/spelling.rs`).\n\n\
         | index | partition key | sort key | read with it in one file |\n|---|---|---|---|\n",
    );
    for index in Index::ALL {
        let projection = match index.projection() {
            // There an entry that carries nothing leads to the item's row all the same.
            Projection::All | Projection::Keys | Projection::Fetched => "`head` and `tail`",
            Projection::Head => "`head` and `brief`",
            Projection::Orders => "the sort keys of the other orders",
        };
        let [partition, sort] = [index.partition(), index.sort()]
            .map(|attribute| format!("`{attribute}` (`{}`)", attribute_name(&attribute)));
        let _ = writeln!(text, "| `{}` | {partition} | {sort} | {projection} |", index.name());
    }
    text.push_str("\n## Access patterns\n\n| what is asked | how it is reached |\n|---|---|\n");
    for pattern in ACCESS_PATTERNS {
        let way: Vec<String> = pattern.way.iter().map(told).collect();
        let _ = writeln!(text, "| {} | {} |", pattern.asked, way.join(", then "));
    }
    text
}

fn told(step: &Step) -> String {
    let kind = |name: &str| ENTITIES.iter().find(|kind| kind.name == name).map(place);
    let group = |name: &str| GROUPS.iter().find(|kind| kind.name == name).map(|kind| shown(kind.partition));
    match step {
        Step::Get(name) => format!("get {}", kind(name).unwrap_or_default()),
        Step::Items(name) => format!("query {} of the table", kind(name).unwrap_or_default()),
        Step::Group(index, name) => format!("query `{}` of `{}`", group(name).unwrap_or_default(), index.name()),
        Step::All(index, collection) => format!("query each shard of `{}` in `{}`", collection.name(), index.name()),
    }
}

/// Returns the partition of items of a kind, and their sort key where others are beside them.
fn place(kind: &EntityKind) -> String {
    let partition = shown(kind.partition);
    if ENTITIES.iter().any(|other| other.name != kind.name && other.partition == kind.partition) {
        format!("`{partition}` / `{}`", shown(kind.sort))
    } else {
        format!("`{partition}`")
    }
}
