//! The size of a JSON text, known before anything is made of it.

/// The size of a JSON text.
///
/// A parsed value takes 72 bytes and more, of which `[]` takes two in the text. So the values are counted before they
/// are made. The count is exact for JSON but for lists and objects that are empty, which count twice; and what is no
/// JSON is refused by its parser anyway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonText {
    /// How many values there are at most.
    pub values: usize,
    /// Whether there may be a number that 64 bits don't hold.
    pub has_long_numbers: bool,
}

/// How many digits 64 bits hold of any number.
const DIGITS_OF_64_BITS: usize = 18;

impl JsonText {
    /// Measures a text in UTF-8.
    pub fn measure(text: &[u8]) -> Self {
        let (mut values, mut is_text, mut is_escaped) = (1, false, false);
        let (mut digits, mut has_long_numbers) = (0, false);
        for byte in text {
            if byte.is_ascii_digit() && !is_text {
                digits += 1;
                has_long_numbers |= digits > DIGITS_OF_64_BITS;
                continue;
            }
            digits = 0;
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = is_text,
                b'"' => is_text = !is_text,
                b',' | b'[' | b'{' if !is_text => values += 1,
                _ => {}
            }
        }
        Self { values, has_long_numbers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_values_and_not_what_looks_like_them() {
        let table = [
            ("1", 1),
            ("[1, 2]", 3),
            ("[[], []]", 5),
            (r#"{"a": [1, "b,[{\"", 2]}"#, 5),
            (r#"["\\", ","]"#, 3),
            (r#"["open, ["#, 2),
        ];
        for (text, values) in table {
            assert_eq!(JsonText::measure(text.as_bytes()), JsonText { values, has_long_numbers: false }, "{text}");
        }
    }

    #[test]
    fn sees_numbers_that_are_long() {
        let table = [
            ("999999999999999999", false),
            ("[-1000000000000000000]", true),
            (r#""1000000000000000000""#, false),
            ("[123456789012, 123456789012]", false),
        ];
        for (text, long) in table {
            assert_eq!(JsonText::measure(text.as_bytes()).has_long_numbers, long, "{text}");
        }
    }
}
