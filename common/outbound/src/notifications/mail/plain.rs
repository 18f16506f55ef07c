//! What a mail in HTML says in plain text, for whoever reads it so.
//!
//! It is a reader of tags and no parser of HTML: what is between tags is shown, but for what a page does not show. A
//! body without any tag is one paragraph, as it is in HTML.

/// The elements that begin and end a line.
const BLOCKS: [&str; 14] = ["p", "h1", "h2", "h3", "h4", "h5", "h6", "div", "td", "th", "code", "pre", "label", "li"];

/// The elements whose own text is not shown, up to the next tag.
const HIDDEN: [&str; 13] =
    ["form", "input", "textarea", "select", "ul", "ol", "style", "link", "meta", "title", "html", "head", "script"];

/// The elements whose text has no tags in it.
const RAW: [&str; 2] = ["script", "style"];

/// Returns the text of a body in HTML.
pub(super) fn text_of_html(html: &str) -> String {
    let mut lines = Lines::default();
    let (mut rest, mut is_shown) = (html, true);
    while let Some((before, tag, after)) = next_tag(rest) {
        lines.say_if(is_shown, before);
        rest = after;
        let Some(tag) = tag else { continue };
        let is_block = BLOCKS.contains(&tag.name.as_str());
        if tag.is_begin {
            is_shown = !HIDDEN.contains(&tag.name.as_str());
            if is_block {
                lines.end();
            }
            match tag.name.as_str() {
                "li" => lines.put("- "),
                "br" => lines.put("\n"),
                "hr" => lines.rule(),
                "blockquote" => lines.put(" >"),
                _ => {}
            }
            if RAW.contains(&tag.name.as_str()) && !tag.is_end {
                rest = find_end(rest, &tag.name);
            }
        }
        if tag.is_end {
            is_shown = true;
            if is_block {
                lines.end();
            }
        }
    }
    lines.say_if(is_shown, rest);
    lines.finish()
}

/// A tag: the name of its element, and whether that begins or ends there, or both.
struct Tag {
    name: String,
    is_begin: bool,
    is_end: bool,
}

/// Splits a text at its next tag, or at its next comment, which is no tag; nothing if there is neither.
fn next_tag(text: &str) -> Option<(&str, Option<Tag>, &str)> {
    let mut from = 0;
    loop {
        let begin = from + text[from..].find('<')?;
        let inside = &text[begin + 1..];
        if let Some(comment) = inside.strip_prefix("!--") {
            let after = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            return Some((&text[..begin], None, after));
        }
        let (is_end, name) = inside.strip_prefix('/').map_or((false, inside), |name| (true, name));
        let is_tag = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_tag && !inside.starts_with(['!', '?']) {
            from = begin + 1;
            continue;
        }
        // Where no tag ends any more, all that is left is text.
        let end = end_of_tag(inside)?;
        let after = &inside[end + 1..];
        if !is_tag {
            return Some((&text[..begin], None, after));
        }
        let is_of_name = |character: char| !character.is_whitespace() && !matches!(character, '/' | '>');
        let length = name.find(|character| !is_of_name(character)).unwrap_or(name.len());
        let is_both = !is_end && inside[..end].ends_with('/');
        let tag = Tag { name: name[..length].to_ascii_lowercase(), is_begin: !is_end, is_end: is_end || is_both };
        return Some((&text[..begin], Some(tag), after));
    }
}

/// Returns where a tag ends: at a bracket outside of quotes, or else at the first one.
fn end_of_tag(inside: &str) -> Option<usize> {
    let first = inside.find('>')?;
    let mut quote = None;
    for (position, byte) in inside.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(position),
            (None, b'"' | b'\'') if inside[..position].ends_with('=') => quote = Some(byte),
            (Some(open), _) if byte == open => quote = None,
            _ => {}
        }
    }
    Some(first)
}

/// Returns what follows the text of an element that has no tags in it, with its end.
fn find_end<'a>(text: &'a str, name: &str) -> &'a str {
    let ends = text.match_indices("</").find(|(position, _)| {
        let after = text.as_bytes().get(position + 2..position + 2 + name.len());
        after.is_some_and(|after| after.eq_ignore_ascii_case(name.as_bytes()))
    });
    ends.map_or("", |(position, _)| &text[position..])
}

/// Lines as they come together; several ends of a line in a row are one.
#[derive(Default)]
struct Lines {
    done: String,
    line: Option<String>,
}

impl Lines {
    fn say_if(&mut self, is_shown: bool, text: &str) {
        if !is_shown || text.is_empty() {
            return;
        }
        let text = html_escape::decode_html_entities(text);
        let line = self.line.get_or_insert_default();
        let mut is_apart = false;
        for character in text.chars() {
            if !character.is_whitespace() {
                line.push(character);
            } else if !is_apart {
                line.push(' ');
            }
            is_apart = character.is_whitespace();
        }
    }

    fn put(&mut self, text: &str) {
        self.line.get_or_insert_default().push_str(text);
    }

    fn rule(&mut self) {
        let line = self.line.get_or_insert_default();
        line.truncate(line.trim_end_matches(' ').len());
        line.push_str("\n---\n");
    }

    fn end(&mut self) {
        if let Some(line) = self.line.take() {
            self.done.push_str(line.trim());
            self.done.push('\n');
        }
    }

    fn finish(mut self) -> String {
        self.done.push_str(self.line.unwrap_or_default().trim());
        self.done.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_lines() {
        let html = "<h1 title='a > b'>Head</h1><p>One<br/>two &amp; three</p><ul><li>a<li>b</ul><hr>end";
        assert_eq!(text_of_html(html), "Head\nOne\ntwo & three\n- a\n- b\n---\nend");
    }

    #[test]
    fn what_a_page_does_not_show_is_left_out() {
        assert_eq!(text_of_html("<style>p > a {}</style>a<!-- <b> -->b<script>1 < 2</script>c<?x?>d<!y>e"), "abcde");
    }

    #[test]
    fn a_bracket_that_is_no_tag_is_text() {
        for text in ["a < b", "a <", "<", "a <d", "1 <2> 3", "</ b"] {
            assert_eq!(text_of_html(text), text.trim(), "{text}");
        }
    }

    #[test]
    fn tags_without_an_end_take_no_longer_than_others() {
        let begin = std::time::Instant::now();
        for part in ["<a ", "<a \"", "<a ='", "<!--", "</a", "<script", "<script>", "&amp", "<!", "<"] {
            text_of_html(&part.repeat(100_000));
            text_of_html(&format!("{}>", part.repeat(100_000)));
        }
        // What looks at the rest of the text at each bracket takes minutes.
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }
}
