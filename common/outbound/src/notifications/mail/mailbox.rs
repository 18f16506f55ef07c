//! Mailboxes, as people write them: with a name or without, and several in a row.

use lettre::{Address, message::Mailbox};

/// Returns the mail address in a text, without brackets around it; nothing if there is none.
pub(in super::super) fn mail_address(text: &str) -> Option<&str> {
    let address = text.trim().trim_start_matches('<').trim_end_matches('>');
    let (user, domain) = address.rsplit_once('@')?;
    let is_of_user = |character: char| character.is_ascii_alphanumeric() || "_!#$%&*/=?`{|}~^+-.'".contains(character);
    let is_user = !user.is_empty() && user.chars().all(is_of_user) && !user.starts_with('.') && !user.ends_with('.');
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        !label.is_empty() && label.bytes().all(is_inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let labels = domain.split('.').count();
    let is_domain = domain.split('.').all(is_label) && (labels > 1 || domain.len() > 5);
    (is_user && is_domain).then_some(address)
}

/// Reads one mailbox: `a@example.com`, `Ann <a@example.com>`, `Ann:a@example.com`; nothing if it is none.
pub(super) fn mailbox(text: &str) -> Option<Mailbox> {
    let text = text.trim();
    let begin = text.rfind(|character: char| matches!(character, '<' | ':' | '"') || character.is_whitespace());
    let (name, address) = begin.map_or(("", text), |begin| {
        let after = begin + text[begin..].chars().next().map_or(0, char::len_utf8);
        (&text[..begin], &text[after..])
    });
    let address: Address = mail_address(address)?.parse().ok()?;
    Some(Mailbox::new(name_in(name), address))
}

/// Returns a name without quotes, brackets and whatever ends a line; nothing if there is none left.
pub(super) fn name_in(text: &str) -> Option<String> {
    let is_around = |character: char| matches!(character, '"' | '\'' | '<' | ':') || character.is_whitespace();
    let name = one_line(text.trim_matches(is_around));
    (!name.is_empty()).then_some(name)
}

/// Returns a text as a header can have it: in one line, and without control characters.
pub(super) fn one_line(text: &str) -> String {
    let is_apart = |character: char| character.is_whitespace() || character.is_control();
    let words: Vec<&str> = text.split(is_apart).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Splits a text into mailboxes at commas and semicolons outside of quotes, and after each address.
///
/// What is no mailbox is left out, a mailbox that comes again, and what comes after so many.
pub(super) fn mailboxes<'a>(texts: impl IntoIterator<Item = &'a str>, most: usize) -> Vec<Mailbox> {
    let mut found: Vec<Mailbox> = Vec::new();
    for mailbox in texts.into_iter().flat_map(split).filter_map(mailbox) {
        if found.len() == most {
            break;
        }
        if !found.iter().any(|other| other.email == mailbox.email) {
            found.push(mailbox);
        }
    }
    found
}

fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut is_quoted, mut is_in_address) = (0, false, false);
    for (position, character) in text.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '@' => is_in_address = true,
            ',' | ';' | '>' => {
                let end = if character == '>' { position + 1 } else { position };
                parts.push(&text[begin..end]);
                (begin, is_in_address) = (position + 1, false);
            }
            _ if is_in_address && character.is_whitespace() => {
                parts.push(&text[begin..position]);
                (begin, is_in_address) = (position, false);
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Option<String>, String)> {
        mailboxes([text], 9).into_iter().map(|mailbox| (mailbox.name, mailbox.email.to_string())).collect()
    }

    #[test]
    fn mailboxes_stand_in_a_row_with_and_without_names() {
        let text = "a@example.com b@example.com; Cy <c@example.com>,\"Doe, Dan\" <d@example.com>  Ed:e@example.com";
        let (names, addresses): (Vec<_>, Vec<_>) = read(text).into_iter().unzip();
        assert_eq!(addresses, ["a", "b", "c", "d", "e"].map(|user| format!("{user}@example.com")));
        assert_eq!(names, [None, None, Some("Cy"), Some("Doe, Dan"), Some("Ed")].map(|name| name.map(str::to_owned)));
    }

    #[test]
    fn what_is_no_mailbox_is_left_out() {
        for text in ["", "nobody", "@", "a@", "@b.example", "a@b", ".a@b.example", "a@-b.example", "ä@b.example", "<>"]
        {
            assert_eq!(read(text), [], "{text}");
        }
        assert_eq!(read("nobody,a@example.com").len(), 1);
    }

    #[test]
    fn nobody_is_a_recipient_twice() {
        assert_eq!(read("a@example.com,A <a@example.com>").len(), 1);
    }

    #[test]
    fn no_name_ends_a_line() {
        let names = ["a\r\nBcc: evil", "a\nb", "\ra", "a\u{2028}b", "a\0b", "a\u{85}b\u{7f}"];
        for name in names.map(one_line) {
            assert!(!name.chars().any(|character| character.is_control() || character == '\u{2028}'), "{name:?}");
        }
        assert_eq!(read("a@example.com\r\nRCPT TO:<b@example.com>").len(), 2);
    }
}
