//! Starts the record of a resource: its model, filter and store file, and its lines on the page of the table.
//!
//! What is written compiles as it is: a record with an id, a unique name and two times, which is stored, found, filtered
//! and told of in events, unless it is said to have no filter or no events. What is left to do is to make it the
//! contract's.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    Error, Result,
    stale::{self, Change},
};

const MODEL: &str = include_str!("../scaffold/model.rs.txt");
const FILTER: &str = include_str!("../scaffold/filter.rs.txt");
const STORE: &str = include_str!("../scaffold/store.rs.txt");
const STORE_UNFILTERED: &str = include_str!("../scaffold/store_unfiltered.rs.txt");
const PAGE: &str = "common/store/src/table.rs";

/// What the model has for events alone: an import, and what they say of the record.
const JSON: &str = "use serde_json::{Value, json};\n";
const PAYLOAD: &str = r#"
    fn payload(&self) -> Value {
        json!({ "name": self.name })
    }
"#;

/// How the store reads the records, with and without a filter.
const PATTERNS: &str = r#"    asked("a {word} by its id", &[Get("{record}")]),
    asked("{words} by their names", &[Get("unique_{record}_name"), Get("{record}")]),
    asked("all {words} by name", &[All(I::ByName, C::{Records}), Get("{record}")]),
    asked("all {words} by creation", &[All(I::Lookup, C::{Records}), Get("{record}")]),
"#;
const PATTERNS_UNFILTERED: &str = r#"    asked("a {word} by its id", &[Get("{record}")]),
    asked("a {word} by its name", &[Get("unique_{record}_name"), Get("{record}")]),
    asked("all {words} by name", &[All(I::ByName, C::{Records}), Get("{record}")]),
"#;

/// How long a line of the page may be.
const WIDTH: usize = 120;

/// A record that is to be started.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'n> {
    /// The record's name, such as `SavedSearch`.
    pub name: &'n str,
    /// Whether the contract has a filter and a sort of such records; else they are listed by name.
    pub has_filter: bool,
    /// Whether Prefect emits events of such records.
    pub has_events: bool,
}

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
pub(crate) fn files(root: &Path, record: NewRecord<'_>, resource: &str) -> Result<Vec<(PathBuf, String)>> {
    let names = Names::new(record.name, resource)?;
    let Names { module, modules, .. } = &names;
    let (json, payload) = if record.has_events { (JSON, PAYLOAD) } else { ("", "") };
    let model = MODEL.replace("{json}", json).replace("{payload}", payload);
    let store = if record.has_filter { STORE } else { STORE_UNFILTERED };
    let mut new = vec![
        (format!("common/domain/src/model/{module}.rs"), model.as_str()),
        (format!("common/store/src/{modules}.rs"), store),
    ];
    let mut lists = vec![
        (
            "common/domain/src/model/mod.rs",
            vec![format!("pub mod {module};"), names.fill("pub use {record}::{{Record}, {Record}Id};")],
        ),
        ("common/store/src/lib.rs", vec![format!("pub mod {modules};")]),
    ];
    if record.has_filter {
        new.push((format!("common/domain/src/filter/{module}.rs"), FILTER));
        lists.push((
            "common/domain/src/filter/mod.rs",
            vec![format!("pub mod {module};"), names.fill("pub use {record}::{{Record}Filter, {Record}Sort};")],
        ));
    }
    let mut files = Vec::new();
    for (path, text) in new {
        if root.join(&path).exists() {
            return Err(Error::Exists(record.name.to_owned(), "common/ has it"));
        }
        files.push((path.into(), names.fill(text)));
    }
    for (path, lines) in lists {
        let mut text = read(root, path)?;
        for line in lines {
            text = listed(&text, &line);
        }
        files.push((path.into(), text));
    }
    files.push((PAGE.into(), on_the_page(&read(root, PAGE)?, &names, record)?));
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

/// Adds the record's lines to the page of the table: its id in its place, and the others at the end of their blocks.
fn on_the_page(page: &str, names: &Names, record: NewRecord<'_>) -> Result<String> {
    let subject = if record.has_events { " => {Record}({Record}Id)" } else { "" };
    let key = "    {record}({record}_id: {Record}Id){subject} of domain::model::{Record} = [\"{record}\", {record}_id] / [\"{record}\"];";
    let mut key = names.fill(&key.replace("{subject}", subject));
    if key.len() > WIDTH {
        key = key.replace(" = ", "\n        = ");
    }
    let claim = "    unique_{record}_name(name: &str) of Claim = [\"unique\", \"{record}\", name] / [\"unique\"];";
    let entities = format!("\n    /// a {{word}}\n{key}\n    /// the claim on a {{word}}'s name\n{claim}\n");
    let patterns = if record.has_filter { PATTERNS } else { PATTERNS_UNFILTERED };
    let mut blocks = vec![
        ("entities! {\n", "}\n", entities.as_str()),
        ("collections! {\n", "}\n", "    /// All {words}.\n    {Records} \"{records}\";\n"),
        ("pub static ACCESS_PATTERNS: &[AccessPattern] = &[\n", "];\n", patterns),
    ];
    if record.has_events {
        blocks.push(("told_of! {\n", "}\n", "    {Record} => domain::model::{Record};\n"));
    }
    let mut page = page.to_owned();
    for (begin, end, lines) in blocks {
        let place = block(&page, begin, end)?.end;
        page.insert_str(place, &names.fill(lines));
    }
    let ids = block(&page, "ids! {\n", "}\n")?;
    let with_id = with_id(&page[ids.clone()], &names.fill("{Record}Id"));
    page.replace_range(ids, &with_id);
    Ok(page)
}

/// Returns where the lines of a block of the page are, without those that begin and end it.
fn block(page: &str, begin: &'static str, end: &str) -> Result<Range<usize>> {
    let missing = || Error::Mark(PAGE.into(), begin);
    let start = page.find(begin).ok_or_else(missing)? + begin.len();
    // What ends a block stands at the beginning of a line.
    let length = page[start..].find(&format!("\n{end}")).ok_or_else(missing)? + 1;
    Ok(start..start + length)
}

/// Adds `id` to the lines of ids, which are in the order of the alphabet.
fn with_id(lines: &str, id: &str) -> String {
    let mut ids: Vec<&str> = lines.split(',').map(str::trim).filter(|id| !id.is_empty()).chain([id]).collect();
    ids.sort_unstable();
    let mut lines = vec![String::from("   ")];
    for id in ids {
        match lines.last_mut() {
            Some(line) if line.len() + id.len() + 2 <= WIDTH => line.extend([" ", id, ","]),
            _ => lines.push(format!("    {id},")),
        }
    }
    lines.join("\n") + "\n"
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
    fn an_id_is_put_where_the_alphabet_wants_it_and_lines_stay_short() {
        assert_eq!(with_id("    AId, CId,\n    DId,\n", "BId"), "    AId, BId, CId, DId,\n");
        let ids = (10..30).map(|number| format!("Number{number}Id")).collect::<Vec<_>>().join(", ");
        let lines = with_id(&ids, "Number99Id");
        assert!(
            lines.ends_with("Number29Id, Number99Id,\n") && lines.lines().all(|line| line.len() <= WIDTH),
            "{lines}"
        );
        assert_eq!(with_id(&lines, "AId").split_whitespace().count(), 22);
    }

    #[test]
    fn a_line_is_put_where_the_alphabet_wants_it() {
        let text = "pub mod a;\nmod b;\npub mod d;\n\npub use a::A;\n";
        assert_eq!(listed(text, "pub mod c;"), "pub mod a;\nmod b;\npub mod c;\npub mod d;\n\npub use a::A;\n");
        assert_eq!(listed(text, "pub mod e;"), "pub mod a;\nmod b;\npub mod d;\npub mod e;\n\npub use a::A;\n");
        assert_eq!(listed(text, "pub use b::B;"), "pub mod a;\nmod b;\npub mod d;\n\npub use a::A;\npub use b::B;\n");
    }
}
