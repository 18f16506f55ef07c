//! Partial matches of texts.
//!
//! The terms of `like_` and `startswith_` are looked for as they are, without case ([`contains`], [`starts_with`]): what
//! Prefect on Postgres finds, but for a `%` or `_` in a term, which Prefect forgets to escape. Nobody who looks for
//! `my_flow` means `my-flow`. Prefect on SQLite knows the cases of ASCII letters only.
//!
//! [`Pattern`] is SQLite's `LIKE`, by which events are found: letters compare without case in ASCII only. The prefixes of
//! event names and resource ids aren't escaped by Prefect, so `%` and `_` in them are wildcards and a backslash is an
//! ordinary character. A NUL ends both the pattern and the text.

/// Tells whether `term` occurs in `text`, whatever the case; an empty one occurs in every text.
pub(crate) fn contains(term: &str, text: &str) -> bool {
    Term::new(term).is_in(text)
}

/// What is looked for in many texts, whatever the case.
#[derive(Clone, Debug)]
pub struct Term {
    /// In lower case.
    folded: String,
    /// The first byte in both cases, if all characters are of ASCII.
    first: Option<(u8, u8)>,
}

impl Term {
    /// Takes a term, in which every character stands for itself.
    pub fn new(term: &str) -> Self {
        let folded = folded(term);
        let first = folded.bytes().next().filter(|_| folded.is_ascii());
        Self { first: first.map(|first| (first, first.to_ascii_uppercase())), folded }
    }

    /// Tells whether the term occurs in `text`; an empty one occurs in every text.
    pub fn is_in(&self, text: &str) -> bool {
        if self.folded.is_empty() {
            return true;
        }
        // Letters beyond ASCII have lower cases in it, such as the sign for kelvin.
        if !text.is_ascii() {
            return folded(text).contains(&self.folded);
        }
        let (Some((lower, upper)), text, term) = (self.first, text.as_bytes(), self.folded.as_bytes()) else {
            return false;
        };
        let mut starts = memchr::memchr2_iter(lower, upper, text);
        starts.any(|at| text.get(at..at + term.len()).is_some_and(|part| part.eq_ignore_ascii_case(term)))
    }
}

/// Tells whether `text` starts with `prefix`, whatever the case.
pub(crate) fn starts_with(prefix: &str, text: &str) -> bool {
    folded(text).starts_with(&folded(prefix))
}

/// Returns `text` in lower case, letter by letter: a word's end makes no other sigma of it.
fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A pattern of `LIKE`, ready to be matched.
///
/// It is what stands between its runs of any characters. Nothing else is ever looked for than the next such part behind
/// the one before, and a part without wildcards is found in time that is linear in the text.
pub(crate) struct Pattern {
    /// The part from the start, those in the middle, and the part up to the end; the first alone if there is no run.
    parts: Vec<Part>,
}

enum Part {
    /// A text without wildcards, in lower case.
    Text(String),
    /// Characters in lower case, of which nothing is any one.
    Characters(Vec<Option<char>>),
}

impl Part {
    /// Returns what follows the part, if it stands at the start of `text`.
    fn strip_from<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(part) => text.strip_prefix(part.as_str()),
            Self::Characters(part) => {
                let mut rest = text.chars();
                let fits = part.iter().all(|one| rest.next().is_some_and(|c| one.is_none_or(|one| one == c)));
                fits.then_some(rest.as_str())
            }
        }
    }

    /// Returns what follows the part where it first occurs in `text`.
    fn find_in<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Text(part) => text.split_once(part.as_str()).map(|(_, rest)| rest),
            Self::Characters(part) => {
                // No start leaves fewer characters than the part has.
                let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
                let starts = starts.take((text.chars().count() + 1).saturating_sub(part.len()));
                starts.filter_map(|at| text.get(at..)).find_map(|rest| self.strip_from(rest))
            }
        }
    }

    /// Tells whether the part stands at the end of `text`.
    fn ends(&self, text: &str) -> bool {
        match self {
            Self::Text(part) => text.ends_with(part.as_str()),
            Self::Characters(part) => {
                let mut rest = text.chars().rev();
                part.iter().rev().all(|one| rest.next().is_some_and(|c| one.is_none_or(|one| one == c)))
            }
        }
    }
}

impl Pattern {
    /// Takes a pattern in SQL's own notation, in which nothing is escaped.
    pub(crate) fn sql(pattern: &str) -> Self {
        Self::new(pattern, '%', '_')
    }

    /// Takes the pattern that finds `prefix` at the start, wildcards in it included.
    pub(crate) fn starting_with(prefix: &str) -> Self {
        Self::sql(&format!("{prefix}%"))
    }

    /// Takes a pattern in the notation of resource labels, where `*` is any run, `?` any character, and the rest literal.
    pub(crate) fn glob(pattern: &str) -> Self {
        Self::new(pattern, '*', '?')
    }

    fn new(pattern: &str, run: char, any: char) -> Self {
        let pattern = as_compared(pattern);
        let part = |part: &str| {
            if part.contains(any) {
                Part::Characters(part.chars().map(|c| (c != any).then_some(c)).collect())
            } else {
                Part::Text(part.to_owned())
            }
        };
        Self { parts: pattern.split(run).map(part).collect() }
    }

    /// Tells whether the whole of `text` fits the pattern.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text = as_compared(text);
        let Some((first, others)) = self.parts.split_first() else { return text.is_empty() };
        let Some(mut rest) = first.strip_from(&text) else { return false };
        let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
        for part in middle {
            let Some(behind) = part.find_in(rest) else { return false };
            rest = behind;
        }
        last.ends(rest)
    }
}

/// Returns what of a text is compared: up to a NUL, without case in ASCII.
fn as_compared(text: &str) -> String {
    text.split('\0').next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_term_whatever_the_case() {
        let table = [
            ("", "", true),
            ("MARVIN", "sad-Marvin", true),
            ("É", "café", true),
            ("café", "CAFÉ", true),
            ("σίσυφος", "Σίσυφος", true),
            ("ΠΛΉΡΗΣ", "πλήρησ", true),
            ("жур", "ЖУРНАЛ", true),
            ("e\u{301}", "é", false),
            ("ss", "straße", false),
            ("k", "300 \u{212a}", true),
            ("\u{212a}", "Kelvin", true),
            ("é", "cafe", false),
            ("aab", "aAaB", true),
            ("abc", "ab", false),
        ];
        for (term, text, expected) in table {
            assert_eq!(contains(term, text), expected, "{term:?} in {text:?}");
        }
    }

    #[test]
    fn takes_a_term_literally() {
        for (term, text, expected) in [
            ("my_flow", "my_flow", true),
            ("my_flow", "my-flow", false),
            ("100%", "100%", true),
            ("1%0", "100", false),
            ("%", "all", false),
            ("\\", "a\\b", true),
            ("a\0b", "a\0b", true),
            ("a\0b", "a", false),
        ] {
            assert_eq!(contains(term, text), expected, "{term:?} in {text:?}");
        }
        assert!(starts_with("ÜB_", "üb_er") && !starts_with("ÜB_", "über"));
    }

    #[test]
    fn ignores_case_in_ascii_only_in_a_pattern() {
        assert!(Pattern::sql("%MARVIN").matches("sad-Marvin"));
        assert!(Pattern::sql("%é").matches("café") && !Pattern::sql("%É").matches("café"));
        assert!(Pattern::sql("%a_c%").matches("aéc") && !Pattern::sql("%a_c%").matches("ac"));
        assert!(Pattern::sql("%\\%").matches("a\\b") && !Pattern::sql("%\\%b").matches("a%b"));
    }

    #[test]
    fn anchors_a_prefix() {
        assert!(Pattern::starting_with("prefect.").matches("Prefect.flow-run"));
        assert!(!Pattern::starting_with("flow").matches("prefect.flow"));
    }

    #[test]
    fn takes_the_characters_of_sql_literally_in_a_glob() {
        assert!(Pattern::glob("a%*").matches("a%b") && !Pattern::glob("a%*").matches("abb"));
        assert!(Pattern::glob("a?_").matches("ab_") && !Pattern::glob("a?_").matches("abc"));
        assert!(Pattern::glob("[ab]").matches("[ab]") && !Pattern::glob("[ab]").matches("a"));
    }

    #[test]
    fn widens_a_run_until_the_rest_fits() {
        assert!(Pattern::sql("%ab%ab").matches("abaabxab"));
        assert!(!Pattern::sql("%ab%ab").matches("abaabx"));
        assert!(Pattern::sql("%%").matches("") && !Pattern::sql("").matches("a"));
        assert!(Pattern::sql("a%_b").matches("aab") && !Pattern::sql("a%_b").matches("ab"));
        assert!(Pattern::sql("ab%ba").matches("abba") && !Pattern::sql("ab%ba").matches("aba"));
        assert!(Pattern::sql("%_é_%").matches("éééx") && !Pattern::sql("%_é_%").matches("éé"));
    }

    #[test]
    fn stops_at_a_nul() {
        assert!(Pattern::sql("%a\0b").matches("xa") && Pattern::sql("a").matches("a\0b"));
    }
}
