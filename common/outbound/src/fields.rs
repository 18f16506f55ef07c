//! The fields of a block's data, read as Prefect's blocks read them.
//!
//! Errors name the field and never its value: many values are secrets.

use serde_json::{Map, Value};

use crate::{CallError, error::Result};

/// The data of one block.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    block: &'static str,
    data: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    /// Takes the data of the block that people know under this name.
    pub(crate) fn new(block: &'static str, data: &'a Value) -> Self {
        Self { block, data: data.as_object() }
    }

    /// Returns the error that says what is wrong with the block.
    pub(crate) fn wrong(&self, reason: impl Into<String>) -> CallError {
        CallError::Misconfigured { block: self.block, reason: reason.into() }
    }

    /// Returns a field's value; nothing if it is missing or null.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.data?.get(name).filter(|value| !value.is_null())
    }

    /// Returns a text that may be missing.
    pub(crate) fn text_or_none(&self, name: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong(format!("its field `{name}` must be a text.")))
    }

    /// Returns a text that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<&'a str> {
        self.text_or_none(name)?.ok_or_else(|| self.wrong(format!("its field `{name}` is missing.")))
    }

    /// Returns a text without the spaces around it, which must have something else in it.
    pub(crate) fn filled_text(&self, name: &str) -> Result<&'a str> {
        let text = self.text(name)?.trim();
        if text.is_empty() { Err(self.wrong(format!("its field `{name}` is empty."))) } else { Ok(text) }
    }

    /// Returns a text that is one of these; the first if it is missing.
    pub(crate) fn choice(&self, name: &str, choices: &[&'static str]) -> Result<&'static str> {
        let wanted = self.text_or_none(name)?;
        let found = wanted.map_or(choices.first(), |wanted| choices.iter().find(|choice| **choice == wanted));
        found.copied().ok_or_else(|| self.wrong(format!("its field `{name}` must be one of {}.", choices.join(", "))))
    }

    /// Returns a Boolean, also where it is spelled as a text or a number.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        let Some(value) = self.value(name) else { return Ok(default) };
        let flag = match value {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => match number.as_f64() {
                Some(0.0) => Some(false),
                Some(1.0) => Some(true),
                _ => None,
            },
            Value::String(text) => flag_of_text(text),
            _ => None,
        };
        flag.ok_or_else(|| self.wrong(format!("its field `{name}` must be true or false.")))
    }

    /// Returns a number, also where it is spelled as a text.
    pub(crate) fn number(&self, name: &str, default: f64) -> Result<f64> {
        let Some(value) = self.value(name) else { return Ok(default) };
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        let finite = number.filter(|number: &f64| number.is_finite());
        finite.ok_or_else(|| self.wrong(format!("its field `{name}` must be a number.")))
    }

    /// Returns a list of texts; an empty one if it is missing.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        let wrong = || self.wrong(format!("its field `{name}` must be a list of texts."));
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        value.as_array().ok_or_else(wrong)?.iter().map(|item| item.as_str().ok_or_else(wrong)).collect()
    }

    /// Returns an object; nothing if it is missing.
    pub(crate) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_object().map(Some).ok_or_else(|| self.wrong(format!("its field `{name}` must be an object.")))
    }

    /// Returns an object whose values are texts, in its order; an empty list if it is missing.
    pub(crate) fn named_texts(&self, name: &str) -> Result<Vec<(&'a str, &'a str)>> {
        let wrong = || self.wrong(format!("the values of its field `{name}` must be texts."));
        let pairs = self.object(name)?.into_iter().flatten();
        pairs.map(|(key, value)| Ok((key.as_str(), value.as_str().ok_or_else(wrong)?))).collect()
    }
}

/// Returns the Boolean that a text spells.
pub(crate) fn flag_of_text(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_tells_the_field_and_not_its_value() {
        let data =
            json!({"url": {"s3cr3t": 1}, "flag": "s3cr3t", "n": "s3cr3t", "list": ["s3cr3t", 1], "choice": "s3cr3t"});
        let fields = Fields::new("Block", &data);
        let failures = [
            fields.text("url").unwrap_err(),
            fields.flag("flag", true).unwrap_err(),
            fields.number("n", 1.0).unwrap_err(),
            fields.texts("list").unwrap_err(),
            fields.choice("choice", &["a", "b"]).unwrap_err(),
            fields.named_texts("url").unwrap_err(),
        ];
        for failure in failures {
            assert!(!failure.to_string().contains("s3cr3t"), "{failure}");
            assert!(!format!("{failure:?}").contains("s3cr3t"), "{failure:?}");
        }
    }

    #[test]
    fn flags_and_numbers_may_be_texts() {
        let data = json!({"yes": "on", "no": 0, "port": "8065"});
        let fields = Fields::new("Block", &data);
        assert_eq!((fields.flag("yes", false), fields.flag("no", true)), (Ok(true), Ok(false)));
        assert_eq!((fields.number("port", 1.0), fields.number("missing", 2.0)), (Ok(8065.0), Ok(2.0)));
    }

    #[test]
    fn data_that_is_no_object_has_no_fields() {
        let data = json!(["url"]);
        assert!(Fields::new("Block", &data).text("url").unwrap_err().to_string().contains("`url` is missing"));
    }
}
