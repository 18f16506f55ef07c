//! SQLite's `LIKE`, which the real server's partial matches are made of.
//!
//! Letters compare without case in ASCII only: `É` differs from `é`. The terms of `like_` and
//! `startswith_`, and the prefixes of event names and resource ids, aren't escaped by the real server, so `%` and `_`
//! in them are wildcards and a backslash is an ordinary character. A NUL ends both the pattern and the text.

#[derive(Clone, Copy)]
enum Token {
    Literal(char),
    AnyCharacter,
    AnyRun,
}

/// A pattern of `LIKE`, ready to be matched.
pub(crate) struct Pattern(Vec<Token>);

impl Pattern {
    /// Takes a pattern in SQL's own notation, in which nothing is escaped.
    pub(crate) fn sql(pattern: &str) -> Self {
        Self(pattern.chars().take_while(|c| *c != '\0').map(Self::sql_token).collect())
    }

    /// Takes the pattern that finds `term` anywhere, wildcards in it included.
    pub(crate) fn containing(term: &str) -> Self {
        Self::sql(&format!("%{term}%"))
    }

    /// Takes the pattern that finds `prefix` at the start, wildcards in it included.
    pub(crate) fn starting_with(prefix: &str) -> Self {
        Self::sql(&format!("{prefix}%"))
    }

    /// Takes a pattern in the notation of resource labels, where `*` is any run, `?` any character, and the rest literal.
    pub(crate) fn glob(pattern: &str) -> Self {
        let token = |c| match c {
            '*' => Token::AnyRun,
            '?' => Token::AnyCharacter,
            literal => Token::Literal(literal),
        };
        Self(pattern.chars().take_while(|c| *c != '\0').map(token).collect())
    }

    fn sql_token(c: char) -> Token {
        match c {
            '%' => Token::AnyRun,
            '_' => Token::AnyCharacter,
            literal => Token::Literal(literal),
        }
    }

    /// Tells whether the whole of `text` fits the pattern.
    ///
    /// The time is at most the product of both lengths: only the last run is ever widened.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text = text.split('\0').next().unwrap_or_default();
        let mut rest = text.chars();
        let mut tokens = self.0.as_slice();
        let mut last_run: Option<(std::str::Chars<'_>, &[Token])> = None;
        loop {
            let mut ahead = rest.clone();
            let fits = match (tokens.split_first(), ahead.next()) {
                (Some((Token::AnyRun, after)), _) => {
                    last_run = Some((rest.clone(), after));
                    tokens = after;
                    continue;
                }
                (None, None) => return true,
                (Some((Token::AnyCharacter, after)), Some(_)) => Some(after),
                (Some((Token::Literal(literal), after)), Some(c)) if literal.eq_ignore_ascii_case(&c) => Some(after),
                _ => None,
            };
            if let Some(after) = fits {
                (rest, tokens) = (ahead, after);
                continue;
            }
            let Some((run, after)) = last_run.as_mut() else { return false };
            if run.next().is_none() {
                return false;
            }
            (rest, tokens) = (run.clone(), *after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignores_case_in_ascii_only() {
        assert!(Pattern::containing("MARVIN").matches("sad-Marvin"));
        assert!(Pattern::containing("é").matches("café") && !Pattern::containing("É").matches("café"));
    }

    #[test]
    fn leaves_the_wildcards_of_a_term_in_force() {
        assert!(Pattern::containing("a%c").matches("xabbcx"));
        assert!(Pattern::containing("a_c").matches("aéc") && !Pattern::containing("a_c").matches("ac"));
        assert!(Pattern::containing("\\").matches("a\\b") && !Pattern::containing("\\%b").matches("a%b"));
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
    }

    #[test]
    fn stops_at_a_nul() {
        assert!(Pattern::containing("a\0b").matches("xa") && Pattern::sql("a").matches("a\0b"));
    }
}
