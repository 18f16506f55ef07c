//! Reading a text as Python's `json` module does.

use std::borrow::Cow;

use budget::{Bound, Exceeded, JsonText};
use memchr::memmem;
use serde_json::{Map, Number, Value};

use super::large_integer;

/// The nesting that the real server's Python parser bears: at about 950 levels it gives up.
const DEEPEST: usize = 940;

/// Why a body could not be read.
#[derive(Debug, PartialEq)]
pub enum Unreadable {
    /// The text is not JSON: the error at a character offset, in the words of Python's `json` module.
    Invalid {
        /// The text.
        text: String,
        /// Where in it, in characters.
        offset: usize,
        /// What is wrong.
        error: &'static str,
    },
    /// The bytes are not text, or nested too deeply.
    Undecodable,
    /// There are too many values in it.
    Exceeded(Exceeded),
}

impl From<Exceeded> for Unreadable {
    fn from(exceeded: Exceeded) -> Self {
        Self::Exceeded(exceeded)
    }
}

/// Parses the JSON text `bytes`.
///
/// Nearly every body is plain UTF-8 JSON that `serde_json` reads at once. What it refuses is read again by a parser
/// that knows Python's differences: UTF-16, UTF-32 and byte order marks are text too, deeper nesting is accepted, and
/// errors carry Python's message and offset.
///
/// Where Python would accept what JSON and the table can't hold (`NaN`, `Infinity`, lone surrogates), which the
/// real server then answers with 500, this is a syntax error on purpose. Integers beyond 64 bits are held as
/// [`large_integer`] says, up to as many digits as Python converts.
///
/// The values are counted before any is made, as each takes many times the bytes that it has in the text.
///
/// # Errors
/// [`Unreadable`] when the bytes aren't text or the text isn't JSON, or has too many values.
pub fn parse(bytes: &[u8]) -> Result<Value, Unreadable> {
    let measure = measured(bytes)?;
    if !measure.has_long_numbers
        && !has_marks(bytes)
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return Ok(value);
    }
    let text = decode(bytes).ok_or(Unreadable::Undecodable)?;
    measured(text.as_bytes())?;
    let mut parser = Parser { text: &text, at: 0, unholdable: None };
    let document = parser.document();
    match document.and_then(|value| parser.unholdable.map_or(Ok(value), Err)) {
        Ok(value) => Ok(value),
        Err(Stop::Undecodable) => Err(Unreadable::Undecodable),
        Err(Stop::Syntax { at, error }) => {
            let offset = text.get(..at).map_or(0, |before| before.chars().count());
            Err(Unreadable::Invalid { offset, error, text: text.into_owned() })
        }
    }
}

/// Parses `text` as Python's `json.loads` does.
///
/// What comes out is a value, or what is wrong, as Python's `JSONDecodeError` says it.
///
/// # Errors
/// [`Exceeded`] if the text has too many values.
pub fn loads(text: &str) -> Result<Result<Value, String>, Exceeded> {
    match parse(text.as_bytes()) {
        Ok(value) => Ok(Ok(value)),
        Err(Unreadable::Exceeded(exceeded)) => Err(exceeded),
        Err(Unreadable::Undecodable) => Ok(Err("nested too deeply".into())),
        Err(Unreadable::Invalid { text, offset, error }) => {
            let (mut line, mut column) = (1, 1);
            for symbol in text.chars().take(offset) {
                (line, column) = if symbol == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            Ok(Err(format!("{error}: line {line} column {column} (char {offset})")))
        }
    }
}

fn measured(text: &[u8]) -> Result<JsonText, Exceeded> {
    let measure = JsonText::measure(text);
    Bound::JsonValues.check(measure.values)?;
    Ok(measure)
}

/// Tells whether there may be a text that begins with the mark of large integers.
fn has_marks(text: &[u8]) -> bool {
    let mut mark = [0; 4];
    let mark = large_integer::MARK.encode_utf8(&mut mark).as_bytes();
    let is_mark = |at: usize| text.get(at + 2..at + 6).is_some_and(|digits| digits.eq_ignore_ascii_case(b"fdd0"));
    memmem::find(text, mark).is_some() || memmem::find_iter(text, b"\\u").any(is_mark)
}

/// Decodes by the byte order mark or the pattern of zero bytes, as `json.detect_encoding` does.
fn decode(bytes: &[u8]) -> Option<Cow<'_, str>> {
    match bytes {
        [0, 0, 0xFE, 0xFF, rest @ ..] => utf32(rest, u32::from_be_bytes),
        [0xFF, 0xFE, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => std::str::from_utf8(rest).ok().map(Cow::Borrowed),
        [0, 0, _, _, ..] => utf32(bytes, u32::from_be_bytes),
        [0, _, _, _, ..] | [0, _] => utf16(bytes, u16::from_be_bytes),
        [_, 0, 0, 0, ..] => utf32(bytes, u32::from_le_bytes),
        [_, 0, _, _, ..] | [_, 0] => utf16(bytes, u16::from_le_bytes),
        _ => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Cow<'static, str>> {
    let (units, rest) = bytes.as_chunks::<2>();
    let text: Result<String, _> = char::decode_utf16(units.iter().map(|bytes| unit(*bytes))).collect();
    text.ok().filter(|_| rest.is_empty()).map(Cow::Owned)
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<Cow<'static, str>> {
    let (units, rest) = bytes.as_chunks::<4>();
    let text: Option<String> = units.iter().map(|bytes| char::from_u32(unit(*bytes))).collect();
    text.filter(|_| rest.is_empty()).map(Cow::Owned)
}

#[derive(Clone, Copy)]
enum Stop {
    Syntax { at: usize, error: &'static str },
    Undecodable,
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// The first value that Python accepts and we can't hold; an error unless a syntax error comes first.
    unholdable: Option<Stop>,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<Value, Stop> {
        self.skip_space();
        let value = self.value(0)?;
        self.skip_space();
        if self.at < self.text.len() { Err(stop(self.at, "Extra data")) } else { Ok(value) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Stop> {
        if depth > DEEPEST {
            return Err(Stop::Undecodable);
        }
        match self.peek() {
            Some(b'"') => Ok(Value::String(large_integer::held(self.string()?))),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            _ => match ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| self.rest().starts_with(word)) {
                Some(word) => {
                    let at = self.at;
                    self.at += word.len();
                    Ok(self.cannot_hold(at, "Expecting value"))
                }
                None => self.number(),
            },
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Stop> {
        const NAME: &str = "Expecting property name enclosed in double quotes";
        let mut fields = Map::new();
        self.at += 1;
        self.skip_space();
        if self.take(b'}') {
            return Ok(fields.into());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(stop(self.at, NAME));
            }
            let key = large_integer::held(self.string()?);
            self.skip_space();
            if !self.take(b':') {
                return Err(stop(self.at, "Expecting ':' delimiter"));
            }
            self.skip_space();
            fields.insert(key, self.value(depth + 1)?);
            self.skip_space();
            if self.take(b'}') {
                return Ok(fields.into());
            }
            if !self.take(b',') {
                return Err(stop(self.at, "Expecting ',' delimiter"));
            }
            self.skip_space();
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Stop> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.take(b']') {
            return Ok(items.into());
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(items.into());
            }
            if !self.take(b',') {
                return Err(stop(self.at, "Expecting ',' delimiter"));
            }
            self.skip_space();
        }
    }

    fn string(&mut self) -> Result<String, Stop> {
        let begin = self.at;
        let unterminated = stop(begin, "Unterminated string starting at");
        let mut string = String::new();
        self.at += 1;
        loop {
            let Some(rest) = self.text.get(self.at..) else { return Err(unterminated) };
            let Some(end) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') else { return Err(unterminated) };
            string.push_str(rest.get(..end).unwrap_or_default());
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape(unterminated)?),
                _ => return Err(stop(self.at, "Invalid control character at")),
            }
        }
    }

    fn escape(&mut self, unterminated: Stop) -> Result<char, Stop> {
        let begin = self.at;
        self.at += 1;
        let Some(kind) = self.peek() else { return Err(unterminated) };
        self.at += 1;
        Ok(match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(begin),
            _ => return Err(stop(begin, "Invalid \\escape")),
        })
    }

    fn unicode_escape(&mut self, begin: usize) -> Result<char, Stop> {
        let first = self.hex4(begin)?;
        if let 0xD800..=0xDBFF = first
            && self.rest().starts_with("\\u")
        {
            let low = self.at;
            self.at += 2;
            let second = self.hex4(low)?;
            if let 0xDC00..=0xDFFF = second {
                let combined = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(combined).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = low;
        }
        Ok(char::from_u32(first).unwrap_or_else(|| {
            self.cannot_hold(begin + 1, "Invalid \\uXXXX escape");
            char::REPLACEMENT_CHARACTER
        }))
    }

    fn hex4(&mut self, begin: usize) -> Result<u32, Stop> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return Err(stop(begin + 1, "Invalid \\uXXXX escape"));
        };
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let begin = self.at;
        let no_value = stop(begin, "Expecting value");
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            self.at = begin;
            return Err(no_value);
        }
        let mut integer = true;
        let whole = self.at;
        if self.take(b'.') && self.digits() > 0 {
            integer = false;
        } else {
            self.at = whole;
        }
        let mantissa = self.at;
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            if self.digits() > 0 {
                integer = false;
            } else {
                self.at = mantissa;
            }
        }
        let text = self.text.get(begin..self.at).unwrap_or_default();
        if integer && let Ok(number) = text.parse::<i64>() {
            return Ok(number.into());
        }
        if integer {
            let digits = text.trim_start_matches('-').len();
            return if digits > large_integer::MOST_DIGITS {
                Err(Stop::Undecodable)
            } else {
                Ok(large_integer::of(text))
            };
        }
        let number = text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number);
        Ok(number.unwrap_or_else(|| self.cannot_hold(begin, "Expecting value")))
    }

    /// Notes a value that Python accepts and we can't hold.
    fn cannot_hold(&mut self, at: usize, error: &'static str) -> Value {
        self.unholdable.get_or_insert(Stop::Syntax { at, error });
        Value::Null
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Stop> {
        if self.rest().starts_with(word) {
            self.at += word.len();
            return Ok(value);
        }
        Err(stop(self.at, "Expecting value"))
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }
}

fn stop(at: usize, error: &'static str) -> Stop {
    Stop::Syntax { at, error }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(text: &str) -> (usize, &'static str) {
        match parse(text.as_bytes()) {
            Err(Unreadable::Invalid { offset, error, .. }) => (offset, error),
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn speaks_like_the_json_module() {
        assert_eq!(error(r#"{"a":}"#), (5, "Expecting value"));
        assert_eq!(error(r#"{"a":1}x"#), (7, "Extra data"));
        assert_eq!(error("{'a':1}"), (1, "Expecting property name enclosed in double quotes"));
        assert_eq!(error(r#"{"é" 1}"#), (5, "Expecting ':' delimiter"));
        assert_eq!(error("[1 2]"), (3, "Expecting ',' delimiter"));
        assert_eq!(error(r#"["a"#), (1, "Unterminated string starting at"));
        assert_eq!(error("[01]"), (2, "Expecting ',' delimiter"));
        assert_eq!(error("NaN"), (0, "Expecting value"));
        assert_eq!(error(r#""\ud800""#), (2, "Invalid \\uXXXX escape"));
        assert_eq!(error("1e400 x"), (6, "Extra data"));
    }

    #[test]
    fn reads_what_serde_refuses_and_python_takes() {
        let utf16: Vec<u8> = "\u{feff}{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(parse(&utf16), Ok(json!({"a": 1})));
        assert_eq!(parse(b"\xEF\xBB\xBF[]"), Ok(json!([])));
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert!(parse(deep.as_bytes()).is_ok());
    }

    #[test]
    fn counts_values_before_it_makes_them() {
        let many = "[".to_owned() + &"[],".repeat(400_000) + "[]]";
        let exceeded = Err(Unreadable::Exceeded(Exceeded(Bound::JsonValues)));
        assert_eq!(parse(many.as_bytes()), exceeded);
        let utf16: Vec<u8> = many.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(parse(&utf16), exceeded);
        let one_text = serde_json::to_string(&many).unwrap();
        assert_eq!(parse(one_text.as_bytes()), Ok(Value::String(many)));
    }

    #[test]
    fn refuses_bottomless_nesting_and_broken_text() {
        let deep = "[".repeat(100_000);
        assert_eq!(parse(deep.as_bytes()), Err(Unreadable::Undecodable));
        assert_eq!(parse(b"\"\xFF\""), Err(Unreadable::Undecodable));
    }
}
