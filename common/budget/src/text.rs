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
}

impl JsonText {
    /// Measures a text in UTF-8.
    pub fn measure(text: &[u8]) -> Self {
        let (mut values, mut is_text, mut is_escaped) = (1, false, false);
        for byte in text {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = is_text,
                b'"' => is_text = !is_text,
                b',' | b'[' | b'{' if !is_text => values += 1,
                _ => {}
            }
        }
        Self { values }
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
            assert_eq!(JsonText::measure(text.as_bytes()), JsonText { values }, "{text}");
        }
    }
}
