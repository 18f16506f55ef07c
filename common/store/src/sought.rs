//! What is looked for in the texts of an item, before anything of it is parsed.
//!
//! A database whose indexes all lead to an item's row leaves out what can't match
//! ([`Backend::looks_into_rows`](crate::Backend::looks_into_rows)). It looks at a row in a microsecond; parsing it takes
//! four or more.

use domain::{filter::Term, model::Timestamp};
use memchr::memmem::{self, Finder};
use serde::{Deserialize, Serialize};

use crate::{key::without_id, query::Range};

/// How many bytes the value in a sort key has at least if it may be cut ([`sort_with_id`](crate::key::sort_with_id)).
const MAY_BE_CUT: usize = 897;

/// What a range of runs is narrowed to, beside texts of their `head`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sought {
    /// Tags that the run has, all of them.
    pub tags: Vec<String>,
    /// What its name contains, whatever the case.
    pub term: Option<String>,
    /// When it was expected to start, in microseconds: the first and the last.
    pub expected: Option<(i64, i64)>,
    /// When it started, or was expected to where it has not.
    pub started: Option<(i64, i64)>,
}

impl Sought {
    /// Says whether nothing is sought.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Looks for what a range is narrowed to.
#[derive(Debug)]
pub struct Seeker<'r> {
    texts: Vec<Vec<Finder<'r>>>,
    /// Tags as JSON texts.
    tags: Vec<Finder<'static>>,
    term: Option<Term>,
    expected: Option<(i64, i64)>,
    started: Option<(i64, i64)>,
}

impl<'r> Seeker<'r> {
    /// Takes what `range` is narrowed to.
    pub fn of(range: &'r Range) -> Self {
        let Sought { tags, term, expected, started } = &range.sought;
        let finders = |list: &'r Vec<String>| list.iter().map(Finder::new).collect();
        let as_json = |tag: &String| Finder::new(&serde_json::Value::from(tag.as_str()).to_string()).into_owned();
        Self {
            texts: range.texts.iter().map(finders).collect(),
            tags: tags.iter().map(as_json).collect(),
            term: term.as_deref().map(Term::new),
            expected: *expected,
            started: *started,
        }
    }

    /// Says whether items have to be looked into.
    pub fn seeks(&self) -> bool {
        self.seeks_in_head() || self.seeks_in_brief()
    }

    /// Says whether it takes an item's `head` to decide.
    pub fn seeks_in_head(&self) -> bool {
        self.seeks_more_than_a_name() || self.term.is_some()
    }

    /// Says whether it takes an item's `brief` to decide.
    pub fn seeks_in_brief(&self) -> bool {
        self.expected.is_some() || self.started.is_some()
    }

    /// Says whether it takes an item's `head` to decide, even if its whole name is known.
    pub fn seeks_more_than_a_name(&self) -> bool {
        !self.texts.is_empty() || !self.tags.is_empty()
    }

    /// Says whether the name in a sort key has what is sought; nothing if it may be cut there.
    pub fn finds_in_name(&self, sort_key: &str) -> Option<bool> {
        self.term.as_ref().map_or(Some(true), |term| is_in_name(term, sort_key))
    }

    /// Says whether a `head` has what is sought.
    pub fn finds_in_head(&self, head: &[u8]) -> bool {
        let has_text = |list: &Vec<Finder<'_>>| list.iter().any(|text| text.find(head).is_some());
        self.texts.iter().all(has_text) && self.finds_tags(head) && self.finds_term(head)
    }

    /// Says whether the run of a `brief` was expected, and started, when it is sought.
    pub fn finds_in_brief(&self, brief: &str) -> bool {
        let nearest = |micros| Timestamp::nearest_to_micros(micros).as_micros();
        let mut times = brief.split('|').skip(1).map(|micros| micros.parse().ok().map(nearest));
        let (expected, started) = (times.next().flatten(), times.next().flatten());
        let is_within = |limits: Option<(i64, i64)>, time: Option<i64>| {
            limits.is_none_or(|(first, last)| time.is_some_and(|time| (first..=last).contains(&time)))
        };
        is_within(self.expected, expected) && is_within(self.started, started.or(expected))
    }

    fn finds_tags(&self, head: &[u8]) -> bool {
        // Most heads don't have them anywhere.
        self.tags.iter().all(|tag| tag.find(head).is_some())
            && (self.tags.is_empty() || {
                let list = value_of(head, b"\"tags\":[").unwrap_or_default();
                let is_in = |tag: &Finder<'_>| texts_of(list).any(|text| text == tag.needle());
                self.tags.iter().all(is_in)
            })
    }

    fn finds_term(&self, head: &[u8]) -> bool {
        let Some(term) = &self.term else { return true };
        let name = value_of(head, b"\"name\":").and_then(|rest| texts_of(rest).next());
        let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) else { return false };
        match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
            Some(plain) if !plain.contains('\\') => term.is_in(plain),
            _ => serde_json::from_str::<String>(name).is_ok_and(|name| term.is_in(&name)),
        }
    }
}

/// Says whether `term` is in the name in a sort key; nothing if the name may be cut there.
pub(crate) fn is_in_name(term: &Term, sort_key: &str) -> Option<bool> {
    let name = without_id(sort_key);
    match term.is_in(name) {
        false if name.len() >= MAY_BE_CUT => None,
        found => Some(found),
    }
}

/// Returns what follows the name of a field.
///
/// A quotation mark inside of a text is escaped, so that it is the field's name wherever it stands. What lies deeper in
/// a run's `head` has no field of these names.
fn value_of<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    head.get(memmem::find(head, name)? + name.len()..)
}

/// Returns the JSON texts at the start of `rest`, with their quotation marks and commas between them.
fn texts_of(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let from = rest.strip_prefix(b",").unwrap_or(rest);
        let inner = from.strip_prefix(b"\"")?;
        let mut is_escaped = false;
        let end = inner.iter().position(|byte| {
            let ends = *byte == b'"' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            ends
        })?;
        let (text, behind) = from.split_at_checked(end + 2)?;
        rest = behind;
        Some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Index;

    fn seeking(sought: Sought) -> Range {
        Range::of_index(Index::ByTime, "flow_runs#0").seeking(sought)
    }

    fn head(name: &str, tags: &[&str]) -> Vec<u8> {
        let before = serde_json::json!({"id": "1", "name": name}).to_string();
        let tags = serde_json::json!({"flow_version": "\"tags\":[\"v\"]", "tags": tags}).to_string();
        format!("{},{}", before.trim_end_matches('}'), tags.trim_start_matches('{')).into_bytes()
    }

    #[test]
    fn a_tag_is_one_of_the_list_and_no_other_text() {
        let table: [(&[&str], &str, &[&str], bool); 9] = [
            (&["a"], "n", &["a"], true),
            (&["a"], "n", &["b", "a"], true),
            (&["a"], "a", &["b"], false),
            (&["a"], "n", &[], false),
            (&["v"], "n", &["b"], false),
            (&["a", "b"], "n", &["b", "c", "a"], true),
            (&["a", "b"], "n", &["a"], false),
            (&["q\"]\\"], "n", &["x\",\"", "q\"]\\"], true),
            (&["q"], "n", &["x\",\"q\",\""], false),
        ];
        for (sought, name, tags, expected) in table {
            let wanted = sought.iter().map(ToString::to_string).collect();
            let range = seeking(Sought { tags: wanted, ..Sought::default() });
            assert_eq!(Seeker::of(&range).finds_in_head(&head(name, tags)), expected, "{sought:?} in {tags:?}");
        }
    }

    #[test]
    fn a_term_is_looked_for_in_the_name_alone() {
        let table = [
            ("ROW", "brown", true),
            ("tags", "brown", false),
            ("a\"b", "xA\"B", true),
            ("\\", "a\\b", true),
            ("ü", "GRÜN", true),
            ("n", "a\nb", false),
            ("\n", "a\nb", true),
        ];
        for (term, name, expected) in table {
            let range = seeking(Sought { term: Some(term.into()), ..Sought::default() });
            let seeker = Seeker::of(&range);
            assert_eq!(seeker.finds_in_head(&head(name, &["ROW"])), expected, "{term:?} in {name:?}");
            let key = crate::key::sort_with_id(name, "id of n and ROW");
            assert_eq!(seeker.finds_in_name(&key), Some(expected), "{term:?} in {key:?}");
        }
    }

    #[test]
    fn a_name_that_is_cut_in_its_key_decides_only_that_it_has_the_term() {
        let range = seeking(Sought { term: Some("end".into()), ..Sought::default() });
        let seeker = Seeker::of(&range);
        for (name, expected) in [
            (format!("end{}", "x".repeat(2_000)), Some(true)),
            (format!("{}end", "x".repeat(2_000)), None),
            (format!("{}end", "€".repeat(2_000)), None),
            ("x".repeat(MAY_BE_CUT - 1), Some(false)),
        ] {
            assert_eq!(seeker.finds_in_name(&crate::key::sort_with_id(&name, "id")), expected);
        }
    }

    #[test]
    fn a_brief_tells_when_a_run_was_expected() {
        let range = seeking(Sought { expected: Some((5, 7)), ..Sought::default() });
        let seeker = Seeker::of(&range);
        for (brief, expected) in
            [("RUNNING|5|1|||R", true), ("|7||||", true), ("|8||||", false), ("||6|||", false), ("", false)]
        {
            assert_eq!(seeker.finds_in_brief(brief), expected, "{brief}");
        }
        let range = seeking(Sought { started: Some((5, 7)), ..Sought::default() });
        let seeker = Seeker::of(&range);
        for (brief, expected) in [("|9|5|||", true), ("|6||||", true), ("|6|8|||", false), ("||||0|", false)] {
            assert_eq!(seeker.finds_in_brief(brief), expected, "{brief}");
        }
    }
}
