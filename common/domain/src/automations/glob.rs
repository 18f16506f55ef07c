//! The patterns of labels and events in triggers, as Python's `fnmatch.fnmatchcase` understands them.

use regex::Regex;

/// A pattern in which `*` stands for any run, `?` for any character and `[…]` for one of several.
#[derive(Clone, Debug)]
pub(super) enum Glob {
    /// There is no sign in it.
    Literal(String),
    /// Its only sign is a `*` at the end.
    Prefix(String),
    /// Any other one; none if it matches nothing.
    Pattern(Option<Regex>),
}

impl Glob {
    /// Reads a pattern.
    pub(super) fn new(pattern: &str) -> Self {
        const SIGNS: [char; 3] = ['*', '?', '['];
        if !pattern.contains(SIGNS) {
            return Self::Literal(pattern.to_owned());
        }
        match pattern.strip_suffix('*') {
            Some(prefix) if !prefix.contains(SIGNS) => Self::Prefix(prefix.to_owned()),
            _ => Self::Pattern(Regex::new(&translated(pattern)).ok()),
        }
    }

    /// Tells whether the whole of `text` fits, upper and lower case apart.
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => text == literal,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Pattern(pattern) => pattern.as_ref().is_some_and(|pattern| pattern.is_match(text)),
        }
    }
}

/// A pattern that a `!` before it negates.
#[derive(Clone, Debug)]
pub(super) struct Negatable {
    glob: Glob,
    is_negated: bool,
}

impl Negatable {
    /// Reads a pattern.
    pub(super) fn new(pattern: &str) -> Self {
        let bare = pattern.strip_prefix('!');
        Self { glob: Glob::new(bare.unwrap_or(pattern)), is_negated: bare.is_some() }
    }

    /// Tells whether `text` fits.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.glob.matches(text) != self.is_negated
    }
}

/// Returns the regular expression of a pattern.
fn translated(pattern: &str) -> String {
    let signs: Vec<char> = pattern.chars().collect();
    let mut expression = String::from(r"(?s)\A");
    let mut at = 0;
    while let Some(sign) = signs.get(at) {
        at += 1;
        match sign {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => match end_of_set(&signs, at) {
                Some(end) => {
                    expression.push_str(&set(signs.get(at..end).unwrap_or_default()));
                    at = end + 1;
                }
                None => expression.push_str(r"\["),
            },
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
    }
    expression.push_str(r"\z");
    expression
}

/// Returns where the set ends whose first sign is at `start`; a `]` that comes first is a member.
fn end_of_set(signs: &[char], start: usize) -> Option<usize> {
    let mut at = start;
    for member in ['!', ']'] {
        if signs.get(at) == Some(&member) {
            at += 1;
        }
    }
    signs.iter().skip(at).position(|sign| *sign == ']').map(|behind| at + behind)
}

/// Returns the expression of a set's members; what is no member of a range that runs backwards, as in Python.
fn set(members: &[char]) -> String {
    let (is_negated, members) = match members.split_first() {
        Some(('!', rest)) => (true, rest),
        _ => (false, members),
    };
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(first) = members.get(at) {
        if let (Some('-'), Some(last)) = (members.get(at + 1), members.get(at + 2)) {
            if first <= last {
                ranges.push(format!("{}-{}", escaped(*first), escaped(*last)));
            }
            at += 3;
        } else {
            ranges.push(escaped(*first));
            at += 1;
        }
    }
    match (ranges.is_empty(), is_negated) {
        // Nothing is in an empty set, and everything in what is not.
        (true, false) => r"[^\s\S]".to_owned(),
        (true, true) => ".".to_owned(),
        (false, _) => format!("[{}{}]", if is_negated { "^" } else { "" }, ranges.concat()),
    }
}

fn escaped(member: char) -> String {
    format!(r"\x{{{:X}}}", u32::from(member))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_python_does() {
        let table = [
            ("", "", true),
            ("", "a", false),
            ("prefect.flow-run.*", "prefect.flow-run.Completed", true),
            ("prefect.flow-run.*", "prefect.flow-run.", true),
            ("prefect.flow-run.*", "prefect.flow", false),
            ("*", "a\nb", true),
            ("a*c", "abc", true),
            ("a*c", "abcd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("A", "a", false),
            ("a.c", "abc", false),
            ("[abc]", "b", true),
            ("[!abc]", "b", false),
            ("[!abc]", "d", true),
            ("[a-c]x", "bx", true),
            ("[c-a]", "b", false),
            ("[!c-a]", "b", true),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[^a]", "^", true),
            ("[^a]", "b", false),
            ("[a", "[a", true),
            ("[a-]", "-", true),
            ("[a&&b]", "&", true),
            ("[[]", "[", true),
            ("**", "anything", true),
            (r"\d", r"\d", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(Glob::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn is_negated_by_a_sign_before_it() {
        let table =
            [("!a*", "abc", false), ("!a*", "bc", true), ("!!a", "!a", false), ("!!a", "a", true), ("!", "", false)];
        for (pattern, text, expected) in table {
            assert_eq!(Negatable::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
