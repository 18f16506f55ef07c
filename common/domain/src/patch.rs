//! Fields of an update, of which a null is not the same as none.
//!
//! What a null means differs from field to field in Prefect, so the line that applies a field names its rule: [`set`]
//! refuses it, [`set_or_clear`] takes it as nothing, [`set_or_default`] as the default, [`set_unless_null`] passes it over.
//!
//! [`set`]: Patch::set
//! [`set_or_clear`]: Patch::set_or_clear
//! [`set_or_default`]: Patch::set_or_default
//! [`set_unless_null`]: Patch::set_unless_null

use error::{Error, Result};
use serde::{Deserialize, Deserializer};

/// What a client sent for a field of an update; with `#[serde(default)]`, nothing where it sent nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field was not sent.
    #[default]
    Absent,
    /// A null was sent.
    Null,
    /// A value was sent.
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(field: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(field)?.map_or(Self::Null, Self::Value))
    }
}

impl<T> Patch<T> {
    /// Returns the value, if one was sent.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// Says whether anything was sent, a null included.
    pub fn is_sent(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// Says whether a null was sent.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<T: Clone> Patch<T> {
    /// Takes over what was sent for a field that is never null.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a null, which Prefect's database refuses.
    pub fn set(&self, field: &mut T) -> Result<()> {
        match self {
            Self::Absent => {}
            Self::Value(value) => field.clone_from(value),
            Self::Null => return Err(Error::integrity_conflict()),
        }
        Ok(())
    }

    /// Takes over what was sent for a field that may be null.
    pub fn set_or_clear(&self, field: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *field = None,
            Self::Value(value) => *field = Some(value.clone()),
        }
    }

    /// Takes over what was sent for a field that a null brings back to its default.
    pub fn set_or_default(&self, field: &mut T)
    where
        T: Default,
    {
        match self {
            Self::Absent => {}
            Self::Null => *field = T::default(),
            Self::Value(value) => field.clone_from(value),
        }
    }

    /// Takes over a value that was sent; a null changes nothing.
    pub fn set_unless_null(&self, field: &mut T) {
        if let Self::Value(value) = self {
            field.clone_from(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Update {
        #[serde(default)]
        name: Patch<String>,
    }

    fn sent(body: &str) -> Patch<String> {
        serde_json::from_str::<Update>(body).unwrap().name
    }

    #[test]
    fn tells_a_null_from_nothing() {
        assert_eq!(sent("{}"), Patch::Absent);
        assert_eq!(sent(r#"{"name": null}"#), Patch::Null);
        assert_eq!(sent(r#"{"name": "n"}"#), Patch::Value("n".into()));
    }

    #[test]
    fn each_rule_has_its_own_meaning_of_a_null() {
        let all = [Patch::Absent, Patch::Null, Patch::Value("new".to_owned())];
        let after = |apply: &dyn Fn(&Patch<String>, &mut String)| {
            all.clone().map(|patch| {
                let mut field = "old".to_owned();
                apply(&patch, &mut field);
                field
            })
        };
        assert_eq!(after(&|patch, field| patch.set(field).unwrap_or(())), ["old", "old", "new"]);
        assert_eq!(after(&|patch, field| patch.set_or_default(field)), ["old", "", "new"]);
        assert_eq!(after(&|patch, field| patch.set_unless_null(field)), ["old", "old", "new"]);
        assert!(matches!(Patch::Null.set(&mut String::new()), Err(Error::Conflict(_))));
        let mut field = Some("old".to_owned());
        Patch::Null.set_or_clear(&mut field);
        assert_eq!(field, None);
    }
}
