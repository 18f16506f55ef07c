//! The tokens of a template, as Jinja cuts them.
//!
//! Jinja's lexer is a list of regular expressions that are tried by turns. The crates that parse Jinja report other
//! faults in other words and at other places, and the web interface shows the words. So the tokens are cut here, by the
//! same rules, and [`super::syntax`] reads them.

use std::iter::Peekable;
use std::vec::IntoIter;

use domain::python;

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from one; none where the whole template is meant.
    pub line: usize,
    /// What is wrong, in Jinja's words.
    pub message: String,
}

impl Fault {
    pub(super) fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

/// The kinds of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    BlockBegin,
    BlockEnd,
    VariableBegin,
    VariableEnd,
    Name,
    Text,
    Integer,
    Float,
    /// An operator or a bracket, as it is written.
    Sign(&'static str),
    End,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
    /// A name, or the data between the tags.
    pub(super) value: String,
}

impl Token {
    /// Tells whether this is the name `name`.
    pub(super) fn is_name(&self, name: &str) -> bool {
        self.kind == Kind::Name && self.value == name
    }

    /// Returns what Jinja calls it.
    pub(super) fn described(&self) -> String {
        match self.kind {
            Kind::Name => self.value.clone(),
            kind => kind.described().to_owned(),
        }
    }
}

impl Kind {
    /// Returns what Jinja calls a token of this kind.
    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Data => "template data / text",
            Self::BlockBegin => "begin of statement block",
            Self::BlockEnd => "end of statement block",
            Self::VariableBegin => "begin of print statement",
            Self::VariableEnd => "end of print statement",
            Self::Name => "name",
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Sign(sign) => sign,
            Self::End => "end of template",
        }
    }
}

/// The operators and brackets, the longer ones first.
const SIGNS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

/// The tokens of a template, of which the current one is looked at and the next one can be.
///
/// A fault of the lexer counts when the parser comes to it, as in Jinja: a fault before it is told instead.
#[derive(Debug)]
pub(super) struct Tokens {
    rest: Peekable<IntoIter<Token>>,
    fault: Option<Fault>,
    pub(super) current: Token,
}

impl Tokens {
    /// Cuts `template`.
    ///
    /// # Errors
    /// A fault in the first token.
    pub(super) fn of(template: &str) -> Result<Self, Fault> {
        let mut lexer = Lexer::new(template);
        let fault = lexer.cut().err();
        let start = Token { line: 1, kind: Kind::Data, value: String::new() };
        let mut tokens = Self { rest: lexer.tokens.into_iter().peekable(), fault, current: start };
        tokens.advance()?;
        Ok(tokens)
    }

    /// Goes to the next token and returns the one before.
    ///
    /// # Errors
    /// A fault where the next token is to be.
    pub(super) fn advance(&mut self) -> Result<Token, Fault> {
        if self.current.kind == Kind::End {
            return Ok(self.current.clone());
        }
        let next = match self.rest.next() {
            Some(next) => next,
            None => match self.fault.take() {
                Some(fault) => return Err(fault),
                None => Token { line: self.current.line, kind: Kind::End, value: String::new() },
            },
        };
        Ok(std::mem::replace(&mut self.current, next))
    }

    /// Returns the next token, if there is one.
    ///
    /// # Errors
    /// A fault where it is to be.
    pub(super) fn look(&mut self) -> Result<Option<&Token>, Fault> {
        if self.rest.peek().is_none()
            && let Some(fault) = self.fault.take()
        {
            return Err(fault);
        }
        Ok(self.rest.peek())
    }
}

/// Where in a template the lexer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Block,
    Variable,
}

struct Lexer {
    source: String,
    at: usize,
    line: usize,
    /// The brackets that are to be closed, the innermost last.
    open: Vec<&'static str>,
    tokens: Vec<Token>,
}

impl Lexer {
    fn new(template: &str) -> Self {
        let mut source = template.replace("\r\n", "\n").replace('\r', "\n");
        if source.ends_with('\n') {
            source.pop();
        }
        Self { source, at: 0, line: 1, open: Vec::new(), tokens: Vec::new() }
    }

    fn rest(&self) -> &str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// Passes over `length` bytes, and the lines that end in them.
    fn pass(&mut self, length: usize) {
        self.line += self.rest().get(..length).unwrap_or_default().matches('\n').count();
        self.at += length;
    }

    fn push(&mut self, kind: Kind, value: &str) {
        self.tokens.push(Token { line: self.line, kind, value: value.to_owned() });
    }

    fn cut(&mut self) -> Result<(), Fault> {
        while self.at < self.source.len() {
            let rest = self.rest();
            let Some(begin) = ["{{", "{%", "{#"].iter().filter_map(|begin| rest.find(begin)).min() else {
                let rest = rest.to_owned();
                self.push(Kind::Data, &rest);
                return Ok(());
            };
            let (data, tag) = rest.split_at(begin);
            let raw = raw_begin(tag);
            // The sign after a raw block's begin is among what was found; else it stands right after the brace.
            let sign = tag.get(2..3).filter(|sign| ["-", "+"].contains(sign)).unwrap_or_default().to_owned();
            let data = if sign == "-" { data.trim_end_matches(is_space) } else { data }.to_owned();
            let tag = tag.get(..2).unwrap_or_default().to_owned();
            if !data.is_empty() {
                self.push(Kind::Data, &data);
            }
            self.pass(begin);
            match (raw, tag.as_str()) {
                (Some(length), _) => {
                    self.pass(length);
                    self.raw()?;
                }
                (None, "{#") => {
                    self.pass(2 + sign.len());
                    self.comment()?;
                }
                (None, tag) => {
                    let (kind, within) = match tag {
                        "{{" => (Kind::VariableBegin, Within::Variable),
                        _ => (Kind::BlockBegin, Within::Block),
                    };
                    self.push(kind, "");
                    self.pass(2 + sign.len());
                    self.tag(within)?;
                }
            }
        }
        Ok(())
    }

    /// Passes over a comment; what ends with its begin has none.
    fn comment(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        match rest.find("#}") {
            Some(end) => {
                let is_stripped = rest.get(..end).is_some_and(|comment| comment.ends_with('-'));
                let spaces = if is_stripped { spaces(rest.get(end + 2..).unwrap_or_default()) } else { 0 };
                self.pass(end + 2 + spaces);
                Ok(())
            }
            None if rest.is_empty() => Ok(()),
            None => Err(Fault::new(self.line, "Missing end of comment tag")),
        }
    }

    fn raw(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let found = rest.match_indices("{%").find_map(|(at, _)| Some((at, raw_end(rest.get(at..)?)?)));
        match found {
            Some((at, length)) => {
                let (data, tag) = rest.split_at(at);
                let data = if tag.get(2..3) == Some("-") { data.trim_end_matches(is_space) } else { data }.to_owned();
                if !data.is_empty() {
                    self.push(Kind::Data, &data);
                }
                self.pass(at + length);
                Ok(())
            }
            None if rest.is_empty() => Ok(()),
            None => Err(Fault::new(self.line, "Missing end of raw directive")),
        }
    }

    /// Cuts what is in a tag, up to its end.
    fn tag(&mut self, within: Within) -> Result<(), Fault> {
        while self.at < self.source.len() {
            if self.open.is_empty()
                && let Some(length) = tag_end(self.rest(), within)
            {
                self.push(if within == Within::Block { Kind::BlockEnd } else { Kind::VariableEnd }, "");
                self.pass(length);
                return Ok(());
            }
            self.one()?;
        }
        Ok(())
    }

    /// Cuts one token of a tag.
    fn one(&mut self) -> Result<(), Fault> {
        let rest = self.rest();
        let spaces = spaces(rest);
        if spaces > 0 {
            self.pass(spaces);
            return Ok(());
        }
        let is_after_dot = self.source.get(..self.at).is_some_and(|before| before.ends_with('.'));
        if let Some(length) = float(rest).filter(|_| !is_after_dot) {
            self.push(Kind::Float, "");
            self.pass(length);
            return Ok(());
        }
        if let Some(length) = integer(rest) {
            self.push(Kind::Integer, "");
            self.pass(length);
            return Ok(());
        }
        let name = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        if name > 0 {
            let name = rest.get(..name).unwrap_or_default().to_owned();
            if name.starts_with(|c: char| !c.is_alphabetic() && c != '_') {
                return Err(Fault::new(self.line, "Invalid character in identifier"));
            }
            self.push(Kind::Name, &name);
            self.pass(name.len());
            return Ok(());
        }
        if let Some(length) = text(rest) {
            let inner = rest.get(1..length - 1).unwrap_or_default();
            check_escapes(inner).map_err(|why| Fault::new(self.line, why))?;
            self.push(Kind::Text, "");
            self.pass(length);
            return Ok(());
        }
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            self.balance(sign)?;
            self.push(Kind::Sign(sign), "");
            self.pass(sign.len());
            return Ok(());
        }
        let at = self.source.get(..self.at).map_or(0, |before| before.chars().count());
        let char = rest.chars().next().map(String::from).unwrap_or_default();
        Err(Fault::new(self.line, format!("unexpected char {} at {at}", python::repr_str(&char))))
    }

    fn balance(&mut self, sign: &'static str) -> Result<(), Fault> {
        match sign {
            "{" => self.open.push("}"),
            "(" => self.open.push(")"),
            "[" => self.open.push("]"),
            "}" | ")" | "]" => match self.open.pop() {
                None => return Err(Fault::new(self.line, format!("unexpected '{sign}'"))),
                Some(wanted) if wanted != sign => {
                    return Err(Fault::new(self.line, format!("unexpected '{sign}', expected '{wanted}'")));
                }
                Some(_) => {}
            },
            _ => {}
        }
        Ok(())
    }
}

/// Tells whether Python's regular expressions hold a character for a space.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns how many bytes of spaces a text begins with.
fn spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(is_space).len()
}

/// Returns the length of the end of a tag, if the text begins with one.
fn tag_end(text: &str, within: Within) -> Option<usize> {
    let end = if within == Within::Block { "%}" } else { "}}" };
    if let Some(rest) = text.strip_prefix('-')
        && let Some(rest) = rest.strip_prefix(end)
    {
        return Some(1 + end.len() + spaces(rest));
    }
    let plain = if within == Within::Block { text.strip_prefix('+').unwrap_or(text) } else { text };
    plain.starts_with(end).then(|| text.len() - plain.len() + end.len())
}

/// Returns the length of a tag that consists of `{%`, a word and its end, if `tag` begins with one.
fn lone_word(tag: &str, word: &str, may_keep_spaces: bool) -> Option<usize> {
    let rest = tag.strip_prefix("{%")?;
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    let rest = rest.trim_start_matches(is_space).strip_prefix(word)?.trim_start_matches(is_space);
    if rest.starts_with('+') && !may_keep_spaces {
        return None;
    }
    Some(tag.len() - rest.len() + tag_end(rest, Within::Block)?)
}

fn raw_begin(tag: &str) -> Option<usize> {
    lone_word(tag, "raw", false)
}

fn raw_end(tag: &str) -> Option<usize> {
    lone_word(tag, "endraw", true)
}

/// Returns the length of digits among which single underscores may stand.
fn digits(text: &str, is_digit: impl Fn(char) -> bool) -> usize {
    let mut length = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if is_digit(c) {
            length = at + c.len_utf8();
        } else if c != '_' || length != at || !chars.peek().is_some_and(|(_, next)| is_digit(*next)) {
            break;
        }
    }
    length
}

fn float(text: &str) -> Option<usize> {
    let decimal = |text: &str| Some(digits(text, |c| c.is_ascii_digit())).filter(|length| *length > 0);
    let exponent = |text: &str| {
        let rest = text.strip_prefix(['e', 'E'])?;
        let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        Some(text.len() - rest.len() + decimal(rest)?)
    };
    let whole = decimal(text)?;
    let rest = text.get(whole..)?;
    let fraction = rest.strip_prefix('.').and_then(decimal).map(|length| length + 1);
    let after = rest.get(fraction.unwrap_or(0)..)?;
    match (fraction, exponent(after)) {
        (fraction, Some(exponent)) => Some(whole + fraction.unwrap_or(0) + exponent),
        (Some(fraction), None) => Some(whole + fraction),
        (None, None) => None,
    }
}

fn integer(text: &str) -> Option<usize> {
    let based = |prefix: char, base: u32| {
        let rest = text.strip_prefix('0')?.strip_prefix([prefix, prefix.to_ascii_uppercase()])?;
        let bare = rest.strip_prefix('_').unwrap_or(rest);
        let length = digits(bare, |c| c.is_digit(base));
        (length > 0).then(|| text.len() - bare.len() + length)
    };
    if let Some(length) = based('b', 2).or_else(|| based('o', 8)).or_else(|| based('x', 16)) {
        return Some(length);
    }
    let zeros = text.starts_with('0');
    let length = digits(text, |c| if zeros { c == '0' } else { c.is_ascii_digit() });
    (length > 0).then_some(length)
}

/// Returns the length of a text in quotes.
fn text(source: &str) -> Option<usize> {
    let quote = source.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    let mut is_escaped = false;
    source.char_indices().skip(1).find_map(|(at, c)| {
        let ends = !is_escaped && c == quote;
        is_escaped = !is_escaped && c == '\\';
        ends.then_some(at + 1)
    })
}

/// Checks the escapes of a text as Python decodes them.
fn check_escapes(text: &str) -> Result<(), &'static str> {
    let mut rest = text;
    while let Some((_, escaped)) = rest.split_once('\\') {
        let kind = escaped.chars().next();
        rest = escaped.get(kind.map_or(0, char::len_utf8)..).unwrap_or_default();
        let (length, why) = match kind {
            Some('x') => (2, "truncated \\xXX escape"),
            Some('u') => (4, "truncated \\uXXXX escape"),
            Some('U') => (8, "truncated \\UXXXXXXXX escape"),
            Some('N') => {
                let name = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
                let (name, after) = name.ok_or("malformed \\N character escape")?;
                rest = if name.is_empty() { return Err("malformed \\N character escape") } else { after };
                continue;
            }
            _ => continue,
        };
        let hex = rest.get(..length).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())).ok_or(why)?;
        if u32::from_str_radix(hex, 16).is_ok_and(|code| code > 0x0010_FFFF) {
            return Err("illegal Unicode character");
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}
