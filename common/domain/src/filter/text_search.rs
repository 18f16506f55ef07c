//! The search query of logs and events.
//!
//! Words and quoted phrases stand for substrings: any one of the plain ones must occur, none of those prefixed with
//! `-` or `!`, and all of those prefixed with `+`. A backslash escapes a quote or a backslash within a phrase. A
//! prefix before a space is dropped. Case is ignored in ASCII only, as SQLite's `lower` and `LIKE` do, except that
//! the query itself is lower-cased in full: `É` in a query finds `é` and no `É`. Nothing is normalized: an `é` of one
//! character finds none of two, nor full width the usual one. Of an event, all but its name is searched as the JSON text
//! that it is kept as, in which what is not ASCII stands as `\u` and its number, so that only such a query finds it there.

use std::{iter::Peekable, str::Chars};

/// A query taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextSearch {
    include: Vec<String>,
    exclude: Vec<String>,
    require: Vec<String>,
}

impl TextSearch {
    /// Takes `query` apart; every text is a query, and a blank one says nothing.
    pub(crate) fn parse(query: &str) -> Self {
        let mut search = Self::default();
        let mut rest = query.chars().peekable();
        while let Some(&first) = rest.peek() {
            if is_space(first) {
                rest.next();
                continue;
            }
            let terms = match first {
                '-' | '!' => Some(&mut search.exclude),
                '+' => Some(&mut search.require),
                _ => None,
            };
            if terms.is_some() {
                rest.next();
                if rest.peek().is_none_or(|next| is_space(*next)) {
                    continue;
                }
            }
            let term = if rest.next_if_eq(&'"').is_some() { phrase(&mut rest) } else { word(&mut rest) };
            if !term.chars().all(is_space) {
                terms.unwrap_or(&mut search.include).push(as_read(term.to_lowercase()));
            }
        }
        search
    }

    /// Returns the query's clauses on `text`: included, excluded and required terms, `None` where there are none.
    pub(crate) fn clauses(&self, text: &str) -> [Option<bool>; 3] {
        let text = as_read(text.split('\0').next().unwrap_or_default().to_ascii_lowercase());
        let occurs = |term: &String| text.contains(term.as_str());
        [
            (!self.include.is_empty()).then(|| self.include.iter().any(occurs)),
            (!self.exclude.is_empty()).then(|| !self.exclude.iter().any(occurs)),
            (!self.require.is_empty()).then(|| self.require.iter().all(occurs)),
        ]
    }
}

/// Returns the text as SQLite's `LIKE` reads it, which takes two code points that no character has for U+FFFD.
fn as_read(text: String) -> String {
    let no_characters = ['\u{fffe}', '\u{ffff}'];
    if text.contains(no_characters) { text.replace(no_characters, "\u{fffd}") } else { text }
}

fn word(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut word = String::new();
    while let Some(c) = rest.next_if(|c| !is_space(*c) && *c != '"') {
        word.push(c);
    }
    word
}

fn phrase(rest: &mut Peekable<Chars<'_>>) -> String {
    let mut phrase = String::new();
    while let Some(c) = rest.next() {
        match c {
            '"' => break,
            '\\' => match rest.next() {
                Some(escaped @ ('"' | '\\')) => phrase.push(escaped),
                Some(other) => phrase.extend(['\\', other]),
                None => phrase.push('\\'),
            },
            plain => phrase.push(plain),
        }
    }
    phrase
}

/// Tells whether Python's `str.isspace` holds, which counts the information separators U+001C to U+001F too.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(include: &[&str], exclude: &[&str], require: &[&str]) -> TextSearch {
        let owned = |terms: &[&str]| terms.iter().map(ToString::to_string).collect();
        TextSearch { include: owned(include), exclude: owned(exclude), require: owned(require) }
    }

    #[test]
    fn takes_queries_apart() {
        let table = [
            ("", search(&[], &[], &[])),
            (" \t\u{1f}", search(&[], &[], &[])),
            ("Error warning", search(&["error", "warning"], &[], &[])),
            ("error -debug !trace +id", search(&["error"], &["debug", "trace"], &["id"])),
            ("- error", search(&["error"], &[], &[])),
            ("error -", search(&["error"], &[], &[])),
            ("--debug", search(&[], &["-debug"], &[])),
            ("\"connection timeout\"", search(&["connection timeout"], &[], &[])),
            ("-\"a b\"c", search(&["c"], &["a b"], &[])),
            ("a\"b c\"", search(&["a", "b c"], &[], &[])),
            (r#""say \"hi\" \\ \n""#, search(&[r#"say "hi" \ \n"#], &[], &[])),
            ("\"unclosed phrase", search(&["unclosed phrase"], &[], &[])),
            ("\"  \" -\"\"", search(&[], &[], &[])),
            ("\"trailing\\", search(&["trailing\\"], &[], &[])),
            ("a-b", search(&["a-b"], &[], &[])),
        ];
        for (query, expected) in table {
            assert_eq!(TextSearch::parse(query), expected, "{query:?}");
        }
    }

    #[test]
    fn clauses_are_absent_without_terms() {
        assert_eq!(TextSearch::parse("  ").clauses("text"), [None; 3]);
        assert_eq!(TextSearch::parse("q TEXT -y +e").clauses("some Text"), [Some(true); 3]);
        assert_eq!(TextSearch::parse("q -text +y").clauses("some Text"), [Some(false); 3]);
    }

    /// Recorded from the real server on SQLite.
    #[test]
    fn finds_text_of_any_language() {
        let table = [
            ("été", "ÉTÉ", true),
            ("ÉTÉ", "été", false),
            ("ÉTÉ", "ÉTÉ", false),
            ("cafe\u{301}", "CAFE\u{301}", true),
            ("cafe\u{301}", "café", false),
            ("café", "cafe\u{301}", false),
            ("cafe\u{301}", "cafe", true),
            ("ａｂｃ", "ＡＢＣ", true),
            ("ａｂｃ", "abc", false),
            ("σίσυφος", "ΣΊΣΥΦΟΣ", true),
            ("σίσυφοσ", "ΣΊΣΥΦΟΣ", false),
            ("straße", "STRASSE", false),
            ("straße", "STRAẞE", true),
            ("i\u{307}stanbul", "İSTANBUL", true),
            ("istanbul", "ISTANBUL", true),
            ("kelvin", "\u{212a}ELVIN", true),
            ("prefect.flow-run.エラー", "エラー", true),
            ("失败 连接超时", "连接\u{3000}+超时", true),
            ("한국어", "\u{1112}\u{1161}\u{11ab}", false),
            ("🎉👩\u{200d}👧", "👧", true),
            ("ﬁne", "fine", false),
            ("100％", "100%", false),
            ("\u{ffff}", "\u{fffe}", true),
            ("\u{fffe}", "\u{fffd}", true),
        ];
        for (text, query, expected) in table {
            let finds = TextSearch::parse(query).clauses(text).into_iter().flatten().all(|holds| holds);
            assert_eq!(finds, expected, "{query:?} in {text:?}");
        }
    }
}
