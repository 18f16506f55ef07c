//! Starts the record of a resource: its model, filter and store file, and its lines on the page of the table.
//!
//! What is written compiles as it is: a record with an id, a unique name and two times, which is stored, found, filtered
//! and told of in events. What is left to do is to make it the contract's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    stale::{self, Change},
};

const MODEL: &str = include_str!("../scaffold/model.rs.txt");
const FILTER: &str = include_str!("../scaffold/filter.rs.txt");
const STORE: &str = include_str!("../scaffold/store.rs.txt");
const PAGE: &str = "common/store/src/table.rs";

/// What a record is called, in each way of writing.
struct Names {
    /// `SavedSearch`
    record: String,
    /// `saved_search`
    module: String,
    /// `SavedSearches`
    records: String,
    /// `saved_searches`
    modules: String,
}

impl Names {
    fn new(record: &str, resource: &str) -> Result<Self> {
        let is_one = record.starts_with(|first: char| first.is_ascii_uppercase())
            && record.chars().all(|letter| letter.is_ascii_alphanumeric())
            && syn::parse_str::<syn::Ident>(record).is_ok();
        if !is_one {
            return Err(Error::Record(record.to_owned()));
        }
        let mut module = String::new();
        for letter in record.chars() {
            if letter.is_ascii_uppercase() && !module.is_empty() {
                module.push('_');
            }
            module.push(letter.to_ascii_lowercase());
        }
        let records = resource.split('_').map(capitalised).collect();
        Ok(Self { record: record.to_owned(), module, records, modules: resource.to_owned() })
    }

    fn fill(&self, text: &str) -> String {
        let (word, words) = (self.module.replace('_', " "), self.modules.replace('_', " "));
        text.replace("{Record}", &self.record)
            .replace("{record}", &self.module)
            .replace("{Records}", &self.records)
            .replace("{records}", &self.modules)
            .replace("{kebab}", &self.module.replace('_', "-"))
            .replace("{word}", &word)
            .replace("{words}", &words)
            .replace("{Words}", &capitalised(&words))
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// Returns the files that start `record` of `resource` in the repository at `root`, each with what it is to hold.
pub(crate) fn files(root: &Path, record: &str, resource: &str) -> Result<Vec<(PathBuf, String)>> {
    let names = Names::new(record, resource)?;
    let Names { module, modules, .. } = &names;
    let mut files = Vec::new();
    let new = [
        (format!("common/domain/src/model/{module}.rs"), MODEL),
        (format!("common/domain/src/filter/{module}.rs"), FILTER),
        (format!("common/store/src/{modules}.rs"), STORE),
    ];
    for (path, text) in new {
        if root.join(&path).exists() {
            return Err(Error::Exists(record.to_owned(), "common/ has it"));
        }
        files.push((path.into(), names.fill(text)));
    }
    let lists = [
        (
            "common/domain/src/model/mod.rs",
            vec![format!("pub mod {module};"), names.fill("pub use {record}::{{Record}, {Record}Id};")],
        ),
        (
            "common/domain/src/filter/mod.rs",
            vec![format!("pub mod {module};"), names.fill("pub use {record}::{{Record}Filter, {Record}Sort};")],
        ),
        ("common/store/src/lib.rs", vec![format!("pub mod {modules};")]),
    ];
    for (path, lines) in lists {
        let mut text = read(root, path)?;
        for line in lines {
            text = listed(&text, &line);
        }
        files.push((path.into(), text));
    }
    files.push((PAGE.into(), on_the_page(&read(root, PAGE)?, &names)?));
    Ok(files)
}

fn read(root: &Path, path: &str) -> Result<String> {
    fs::read_to_string(root.join(path)).map_err(|error| Error::File(path.into(), error))
}

/// Writes `files` into the repository at `root`; returns their paths.
pub(crate) fn write(root: &Path, files: Vec<(PathBuf, String)>) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (path, text) in files {
        stale::write(root, &path, &Change::Write(text))?;
        written.push(path);
    }
    Ok(written)
}

/// Adds a declaration to those of its kind, where the alphabet wants it.
fn listed(text: &str, line: &str) -> String {
    let kind: String = line.split_inclusive(' ').take(2).collect();
    let mut lines: Vec<&str> = text.lines().collect();
    let of_kind = |other: &&str| other.starts_with(&kind);
    let after = lines.iter().position(|other| of_kind(other) && *other > line);
    let place = after.or_else(|| lines.iter().rposition(of_kind).map(|last| last + 1));
    lines.insert(place.unwrap_or(lines.len()), line);
    lines.join("\n") + "\n"
}

/// Adds the record's lines to the page of the table, each at the end of its block.
fn on_the_page(page: &str, names: &Names) -> Result<String> {
    let blocks = [
        ("ids! {\n", "}\n", "    {Record}Id,\n"),
        (
            "entities! {\n",
            "}\n",
            "
    /// a {word}
    {record}({record}_id: {Record}Id) => {Record}({Record}Id) of domain::model::{Record}
        = [\"{record}\", {record}_id] / [\"{record}\"];
    /// the claim on a {word}'s name
    unique_{record}_name(name: &str) of Claim = [\"unique\", \"{record}\", name] / [\"unique\"];
",
        ),
        ("told_of! {\n", "}\n", "    {Record} => domain::model::{Record};\n"),
        ("collections! {\n", "}\n", "    /// All {words}.\n    {Records} \"{records}\";\n"),
        (
            "pub static ACCESS_PATTERNS: &[AccessPattern] = &[\n",
            "];\n",
            "    asked(\"a {word} by its id\", &[Get(\"{record}\")]),
    asked(\"{words} by their names\", &[Get(\"unique_{record}_name\"), Get(\"{record}\")]),
    asked(\"all {words} by name\", &[All(I::ByName, C::{Records}), Get(\"{record}\")]),
    asked(\"all {words} by creation\", &[All(I::Lookup, C::{Records}), Get(\"{record}\")]),
",
        ),
    ];
    let mut page = page.to_owned();
    for (begin, end, lines) in blocks {
        let missing = || Error::Mark(PAGE.into(), begin);
        let start = page.find(begin).ok_or_else(missing)? + begin.len();
        // What ends a block stands at the beginning of a line.
        let length = page[start..].find(&format!("\n{end}")).ok_or_else(missing)? + 1;
        page.insert_str(start + length, &names.fill(lines));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_called_alike_everywhere() {
        let names = Names::new("SavedSearch", "saved_searches").unwrap();
        let filled = names.fill("{Record} {record} {Records} {records} {kebab} {word} {words} {Words}");
        let expected = "SavedSearch saved_search SavedSearches saved_searches saved-search saved search saved searches Saved searches";
        assert_eq!(filled, expected);
        for record in ["savedSearch", "Saved_Search", "Saved Search", "", "Größe"] {
            assert!(Names::new(record, "saved_searches").is_err(), "{record}");
        }
    }

    #[test]
    fn a_line_is_put_where_the_alphabet_wants_it() {
        let text = "pub mod a;\nmod b;\npub mod d;\n\npub use a::A;\n";
        assert_eq!(listed(text, "pub mod c;"), "pub mod a;\nmod b;\npub mod c;\npub mod d;\n\npub use a::A;\n");
        assert_eq!(listed(text, "pub mod e;"), "pub mod a;\nmod b;\npub mod d;\npub mod e;\n\npub use a::A;\n");
        assert_eq!(listed(text, "pub use b::B;"), "pub mod a;\nmod b;\npub mod d;\n\npub use a::A;\npub use b::B;\n");
    }
}
