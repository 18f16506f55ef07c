//! What it costs to match a text with a pattern, by a look at the pattern.

/// What it costs to match a text with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// How many states it has at most: its characters, each as often as it is repeated by number.
    pub(super) weight: u64,
    /// Whether it takes an engine that goes back: it looks around, or refers to what it found.
    pub(super) goes_back: bool,
}

impl Pattern {
    /// Looks at a pattern.
    ///
    /// What could be read in two ways counts as if all its numbers were within each other.
    pub(super) fn read(source: &str) -> Self {
        let goes_back = ["(?=", "(?!", "(?<", "(?>", "++", "*+", "?+", "}+", "\\k", "\\g", "\\G", "\\K", "(?("]
            .iter()
            .any(|sign| source.contains(sign))
            || source.as_bytes().windows(2).any(|pair| matches!(pair, [b'\\', b'1'..=b'9']));
        let weight = weight(source).unwrap_or_else(|| heaviest(source));
        Self { weight, goes_back }
    }
}

/// Returns the weight of a pattern, or `None` where it is not clear what is a group and what a set of characters.
fn weight(source: &str) -> Option<u64> {
    // The weights of the groups that are open, and in each the weight of what a number would repeat.
    let mut groups: Vec<(u64, u64)> = vec![(0, 0)];
    let mut rest = source.char_indices();
    while let Some((at, sign)) = rest.next() {
        let atom = match sign {
            '(' => {
                let is_odd = source.get(at + 1..)?.starts_with('?')
                    && !["?:", "?=", "?!", "?<", "?P<", "?>"].iter().any(|kind| source[at + 1..].starts_with(kind));
                if is_odd {
                    return None;
                }
                groups.push((0, 0));
                continue;
            }
            ')' => {
                let (sum, last) = groups.pop()?;
                sum.saturating_add(last).saturating_add(1)
            }
            '[' => {
                let set = source.get(at + 1..)?;
                let set = set.strip_prefix('^').unwrap_or(set);
                if set.starts_with(']') {
                    return None;
                }
                loop {
                    match rest.next()?.1 {
                        '\\' => drop(rest.next()?),
                        ']' => break,
                        '[' | '&' | '~' => return None,
                        _ => {}
                    }
                }
                4
            }
            '\\' => {
                rest.next()?;
                4
            }
            '{' => {
                let inner = source.get(at + 1..)?;
                let end = inner.find('}')?;
                let times = most_of(inner.get(..end)?);
                if let Some((_, last)) = groups.last_mut() {
                    *last = last.saturating_mul(times);
                }
                while rest.next()?.1 != '}' {}
                continue;
            }
            _ => 1,
        };
        let (sum, last) = groups.last_mut()?;
        *sum = sum.saturating_add(*last);
        *last = atom;
    }
    match groups.as_slice() {
        [(sum, last)] => Some(sum.saturating_add(*last).max(1)),
        _ => None,
    }
}

/// Returns the weight of a pattern all of whose numbers are within each other.
fn heaviest(source: &str) -> u64 {
    let times = source.split('{').skip(1).map(|inner| most_of(inner.split('}').next().unwrap_or_default()));
    let length = u64::try_from(source.len()).unwrap_or(u64::MAX).max(1);
    times.fold(length.saturating_mul(4), u64::saturating_mul)
}

/// Returns the greatest number of a repetition such as `3,7`.
fn most_of(numbers: &str) -> u64 {
    let read = |number: &str| match number.trim() {
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().unwrap_or(u64::MAX)
        }
        _ => 1,
    };
    numbers.split(',').map(read).max().unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighs_what_is_repeated_by_number() {
        let table = [
            ("^a+$", 4, false),
            ("^[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{12}$", 4 * 24 + 4, false),
            ("(a{10}){10}", 110, false),
            ("((a{10}){10}b){10}", 10 * 112, false),
            (r"^\d{3}-\d{4}$", 31, false),
            ("a{99999999999999999999}", u64::MAX, false),
            (r"(?=a{9})b", 13, true),
            (r"(a)\1", 6, true),
            ("[]a]{1000}", 40_000, false),
            ("(a{10}[[(]]){10}", 6_400, false),
            ("(?x)a{3}", 96, false),
        ];
        for (source, weight, goes_back) in table {
            assert_eq!(Pattern::read(source), Pattern { weight, goes_back }, "{source}");
        }
    }
}
