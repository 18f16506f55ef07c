//! Writing JSON with the digits of large integers.

use std::io;

use memchr::memmem;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::large_integer;

/// Returns `value` as JSON text, in which large integers are numbers.
///
/// # Errors
/// `serde_json`'s, for a value that can't be JSON, such as an object whose names are no strings.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(USUAL_ANSWER);
    value.serialize(&mut Serializer::new(&mut text))?;
    // Nearly no text has the mark, and to look at each string takes as long as to write it.
    let mut buffer = [0; 4];
    if memmem::find(&text, large_integer::MARK.encode_utf8(&mut buffer).as_bytes()).is_none() {
        return Ok(text);
    }
    written(value, CompactFormatter)
}

/// Returns `value` as JSON text, in which large integers are numbers.
///
/// # Errors
/// As of [`to_vec`].
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    String::from_utf8(to_vec(value)?).map_err(|error| serde::ser::Error::custom(error.to_string()))
}

/// Returns `value` as JSON text over several lines, indented by two spaces, in which large integers are numbers.
///
/// # Errors
/// As of [`to_vec`].
pub fn to_string_pretty<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    let text = written(value, PrettyFormatter::new())?;
    String::from_utf8(text).map_err(|error| serde::ser::Error::custom(error.to_string()))
}

/// How many bytes most answers have at most.
const USUAL_ANSWER: usize = 4 * 1024;

fn written<T: Serialize + ?Sized>(value: &T, structure: impl Formatter) -> serde_json::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(256);
    let formatter = WithLargeIntegers { structure, string: Within::Begin, is_name: false };
    value.serialize(&mut Serializer::with_formatter(&mut text, formatter))?;
    Ok(text)
}

/// Writes strings as they were sent, and those that stand for integers as numbers.
struct WithLargeIntegers<F> {
    /// What writes everything but strings.
    structure: F,
    string: Within,
    is_name: bool,
}

/// What is known of the string that is being written.
enum Within {
    /// Its opening quote is not written yet.
    Begin,
    /// All of it so far is an integer, of which nothing is written yet.
    Integer(String),
    /// It is a text, and its opening quote is written.
    Text,
}

impl<F> WithLargeIntegers<F> {
    /// Writes what was held back, since it is the begin of a text.
    fn as_text<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        match std::mem::replace(&mut self.string, Within::Text) {
            Within::Begin => writer.write_all(b"\""),
            Within::Integer(held) => {
                writer.write_all(b"\"")?;
                writer.write_all(held.as_bytes())
            }
            Within::Text => Ok(()),
        }
    }
}

impl<F: Formatter> Formatter for WithLargeIntegers<F> {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.structure.begin_array_value(writer, first)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.structure.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.structure.end_array(writer)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.structure.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.structure.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.structure.end_object(writer)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.structure.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.structure.end_object_value(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.is_name = true;
        self.structure.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.is_name = false;
        self.structure.end_object_key(writer)
    }

    fn begin_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.string = Within::Begin;
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if matches!(self.string, Within::Begin) {
            if !self.is_name && large_integer::in_text(fragment).is_some() {
                self.string = Within::Integer(fragment.to_owned());
                return Ok(());
            }
            self.as_text(writer)?;
            return writer.write_all(large_integer::sent(fragment).as_bytes());
        }
        self.as_text(writer)?;
        writer.write_all(fragment.as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        self.as_text(writer)?;
        self.structure.write_char_escape(writer, escape)
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if let Within::Integer(held) = &self.string
            && let Some(digits) = large_integer::in_text(held)
        {
            return writer.write_all(digits.as_bytes());
        }
        self.as_text(writer)?;
        writer.write_all(b"\"")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::json::parse;

    #[test]
    fn writes_what_was_read() {
        for text in [
            r#"{"a":[9223372036854775808,-9223372036854775809,9223372036854775807,1.5],"b":"x"}"#,
            "100000000000000000000000000000000000000000000000000",
            "[\"\u{FDD0}5\",\"\u{FDD0}\",\"\u{FDD0}\u{FDD0}\",\"\",\"5\"]",
            "{\"\u{FDD0}5\":\"\u{FDD0}5\\n\",\"\\\"\":\"\\\\\"}",
        ] {
            assert_eq!(to_string(&parse(text.as_bytes()).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn writes_lines_as_serde_json_does() {
        let value = json!({"a": [1, {"b": [], "c": {}}], "e": "d\n"});
        assert_eq!(to_string_pretty(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap());
        let large = parse(b"[18446744073709551616]").unwrap();
        assert_eq!(to_string_pretty(&large).unwrap(), "[\n  18446744073709551616\n]");
    }

    #[test]
    fn nothing_but_digits_is_ever_written_as_a_number() {
        let odd = json!(["\u{FDD0}5\n", "\u{FDD0}5\"", "\u{FDD0}[]", "\u{FDD0}-"]);
        let written: Value = serde_json::from_str(&to_string(&odd).unwrap()).unwrap();
        assert!(written.as_array().unwrap().iter().all(Value::is_string), "{written}");
    }

    proptest! {
        #[test]
        fn texts_come_back_as_they_were_sent(texts in prop::collection::vec("[\u{FDD0}5\n\"a-]{0,5}", 0..4)) {
            let sent = serde_json::to_string(&texts).unwrap();
            prop_assert_eq!(to_string(&parse(sent.as_bytes()).unwrap()).unwrap(), sent);
        }

        #[test]
        fn integers_come_back_digit_by_digit(digits in "-?[1-9][0-9]{18,60}") {
            prop_assert_eq!(to_string(&parse(digits.as_bytes()).unwrap()).unwrap(), digits);
        }
    }
}
