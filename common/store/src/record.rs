//! Records as items: which fields go to `head`, and where the indexes find them.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer as _, Serialize,
    de::{self, DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    table::{self, Index, IndexKey, Key, Shards},
    unreadable,
};
use domain::model::Timestamp;
use error::{Error, Result};

/// Something that is read and written as JSON by functions that are not generic.
///
/// Generic ones are compiled into each crate that calls them, so that every handler's crate had all the code by which
/// serde reads the records that it asks for. [`json_record!`](crate::json_record) implements it where a record is declared.
pub trait Json: Sized {
    /// Reads it from text.
    fn parse(text: &str) -> serde_json::Result<Self>;

    /// Writes it as text.
    fn to_text(&self) -> serde_json::Result<String>;
}

/// Has a record read and written as JSON by code that stands in this crate alone.
#[macro_export]
macro_rules! json_record {
    ($record:ty) => {
        impl $crate::record::Json for $record {
            fn parse(text: &str) -> serde_json::Result<Self> {
                $crate::record::parse(text)
            }

            fn to_text(&self) -> serde_json::Result<String> {
                $crate::record::to_text(self)
            }
        }
    };
}

/// Something that is kept as one item.
pub trait Record: Json + Send {
    /// The fields that filters and sorts look at, kept in `head`.
    const HEAD: &'static [&'static str];

    /// The fields of the record whose own fields are left out where they are null, but for [`NULLS_THAT_TELL`].
    const SPARSE: &'static [&'static str] = &[];

    /// Returns the item's primary key.
    fn key(&self) -> Key;

    /// Returns the item's primary key in a table of so many shards, on which it depends for the records of few kinds.
    fn key_in(&self, _shards: Shards) -> Key {
        self.key()
    }

    /// Returns where the indexes find the item.
    fn index_keys(&self, shards: Shards) -> Vec<IndexKey>;

    /// Returns by which sort key the record comes in the order of `index`, where its place there is
    /// [only nearly so](crate::select::Source::Nearly).
    fn order_in(&self, _index: Index) -> Option<String> {
        None
    }

    /// Returns when the record is deleted, where ended flow runs are kept for `retention` seconds.
    fn expires(&self, _retention: f64) -> Option<Timestamp> {
        None
    }

    /// Returns the little that queries over very many records look at, kept in `brief`.
    fn brief(&self) -> Option<String> {
        None
    }
}

/// A record and the version of the item that it was read from.
#[derive(Clone, Debug)]
pub struct Versioned<R> {
    /// The record.
    pub record: R,
    /// The item's version, for a condition on the next write.
    pub version: u64,
}

/// An item of the table, or what an index projects of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The primary key.
    #[serde(flatten)]
    pub key: Key,
    /// Counts the writes of this item, from 1.
    #[serde(default)]
    pub version: u64,
    /// The version at which the record last changed so that others hear of it: a run's state, or what an event tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<u64>,
    /// The fields of the record that filters and sorts look at, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// The other fields of the record, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<String>,
    /// The little that queries over very many records look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brief: Option<String>,
    /// When DynamoDB deletes the item, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// The keys of the indexes, by attribute.
    #[serde(flatten)]
    pub index_keys: BTreeMap<String, String>,
}

impl Item {
    /// Returns an item of which nothing but its key is known.
    pub fn under(key: Key) -> Self {
        Self {
            key,
            version: 0,
            announced: None,
            head: None,
            tail: None,
            brief: None,
            expires: None,
            index_keys: BTreeMap::new(),
        }
    }

    /// Turns `record` into an item of the given version.
    pub fn of<R: Record>(record: &R, version: u64, shards: Shards) -> Result<Self> {
        let (head, tail) = head_and_tail(&record.to_text()?, R::HEAD, R::SPARSE)?;
        Ok(Self {
            key: record.key_in(shards),
            version,
            announced: None,
            head: Some(head),
            tail,
            brief: record.brief(),
            expires: None,
            index_keys: table::attributes(record.index_keys(shards))?,
        })
    }

    /// Reads the record, as far as the item carries it; what an older version wrote beyond the calendar is the nearest time.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if the item holds no such record.
    pub fn record<R: Record>(&self) -> Result<R> {
        self.record_as_written().or_else(|error| {
            let mended = unreadable::mended_json(&self.text()).and_then(|text| R::parse(&text).ok());
            mended.ok_or(error)
        })
    }

    /// Reads the record, as far as the item carries it, if it is written as this version writes it.
    pub(crate) fn record_as_written<R: Record>(&self) -> Result<R> {
        let unreadable = |error| Error::Unreadable(format!("{} / {}: {error}", self.key.pk, self.key.sk));
        R::parse(&self.text()).map_err(unreadable)
    }

    /// Returns the JSON text of the record, as far as the item carries it.
    fn text(&self) -> Cow<'_, str> {
        let head = self.head.as_deref().unwrap_or("{}");
        match &self.tail {
            None => head.into(),
            Some(tail) => {
                let head = head.strip_suffix('}').unwrap_or(head);
                let tail = tail.strip_prefix('{').unwrap_or(tail);
                let comma = if head.len() > 1 && tail.len() > 1 { "," } else { "" };
                format!("{head}{comma}{tail}").into()
            }
        }
    }

    /// Reads the record together with the item's version.
    pub fn versioned<R: Record>(&self) -> Result<Versioned<R>> {
        Ok(Versioned { record: self.record()?, version: self.version })
    }

    /// Says whether others hear of the write that made this version: a run's new state, or what an event tells of.
    pub fn is_announced(&self) -> bool {
        self.announced == Some(self.version)
    }
}

/// Cuts a record's text in two: the fields that `head` names, and the others if there are any.
///
/// Nothing but the names at the top is read; what is in the fields is copied.
fn head_and_tail(record: &str, head: &[&str], sparse: &[&str]) -> Result<(String, Option<String>)> {
    let mut halves = Halves { head, sparse, texts: [String::with_capacity(record.len()), String::new()] };
    serde_json::Deserializer::from_str(record).deserialize_map(&mut halves)?;
    let [head, tail] = halves.texts.map(|mut text| {
        text.push_str(if text.is_empty() { "{}" } else { "}" });
        text
    });
    Ok((head, if tail == "{}" { None } else { Some(tail) }))
}

/// The two halves of a record, each without its closing brace, and empty as long as nothing is in it.
struct Halves<'h> {
    head: &'h [&'h str],
    sparse: &'h [&'h str],
    texts: [String; 2],
}

impl<'de> Visitor<'de> for &mut Halves<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a record, which is a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<(), M::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value::<&RawValue>()?.get();
            // A field that is missing is read as null, and every index and every read pays for what is written.
            if value == "null" {
                continue;
            }
            let text = &mut self.texts[usize::from(!self.head.contains(&name.as_str()))];
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(&serde_json::to_string(&name).map_err(de::Error::custom)?);
            text.push(':');
            if self.sparse.contains(&name.as_str()) {
                Sparse(text).write(value).map_err(de::Error::custom)?;
            } else {
                text.push_str(value);
            }
        }
        Ok(())
    }
}

/// The fields that are read as something else where they are missing than where they are null.
const NULLS_THAT_TELL: [&str; 1] = ["deferred"];

/// The field of a state that is the client's, whose nulls are data.
const OF_CLIENT: &str = "data";

/// Writes JSON without the fields that are null, at any depth but in [`OF_CLIENT`].
struct Sparse<'t>(&'t mut String);

impl Sparse<'_> {
    fn write(&mut self, value: &str) -> serde_json::Result<()> {
        let mut reader = serde_json::Deserializer::from_str(value);
        match value.as_bytes().first() {
            Some(b'{') => reader.deserialize_map(self),
            Some(b'[') => reader.deserialize_seq(self),
            _ => {
                self.0.push_str(value);
                Ok(())
            }
        }
    }
}

impl<'de> Visitor<'de> for &mut Sparse<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object or a list")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<(), M::Error> {
        let mut next = '{';
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value::<&RawValue>()?.get();
            if value == "null" && !NULLS_THAT_TELL.contains(&name.as_str()) {
                continue;
            }
            self.0.push(next);
            self.0.push_str(&serde_json::to_string(&name).map_err(de::Error::custom)?);
            self.0.push(':');
            if name == OF_CLIENT {
                self.0.push_str(value);
            } else {
                self.write(value).map_err(de::Error::custom)?;
            }
            next = ',';
        }
        self.0.push_str(if next == '{' { "{}" } else { "}" });
        Ok(())
    }

    fn visit_seq<S: de::SeqAccess<'de>>(self, mut values: S) -> Result<(), S::Error> {
        let mut next = '[';
        while let Some(value) = values.next_element::<&RawValue>()? {
            self.0.push(next);
            self.write(value.get()).map_err(de::Error::custom)?;
            next = ',';
        }
        self.0.push_str(if next == '[' { "[]" } else { "]" });
        Ok(())
    }
}

/// How much stack one level of nesting takes to read, and a whole record besides, in a build without optimisation.
const STACK: (usize, usize) = (8 * 1024, 1024 * 1024);

/// Reads a record however deep its parameters or labels are nested.
///
/// Nearly every record is read at once. What is refused may be nested too deeply for a thread's stack, so it is read
/// again on one that is large enough; a deserializer that grows its stack as it goes is a copy of all code per record.
///
/// # Errors
/// Says what is wrong with the text.
pub fn parse<R: DeserializeOwned>(text: &str) -> serde_json::Result<R> {
    serde_json::from_str(text).or_else(|_| {
        let (level, base) = STACK;
        stacker::grow(base + level * depth(text), || {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            deserializer.disable_recursion_limit();
            R::deserialize(&mut deserializer)
        })
    })
}

/// Writes a record as text.
///
/// # Errors
/// Says what can't be written.
pub fn to_text<R: Serialize>(record: &R) -> serde_json::Result<String> {
    serde_json::to_string(record)
}

/// Returns how many lists and objects of a JSON text lie within each other.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Nested {
        first: Value,
        last: Value,
    }

    crate::json_record!(Nested);

    impl Record for Nested {
        const HEAD: &'static [&'static str] = &["last"];

        fn key(&self) -> Key {
            table::csrf_token("client")
        }

        fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
            Vec::new()
        }
    }

    #[test]
    fn is_read_as_it_was_written_with_objects_at_its_seam() {
        let record = Nested { first: json!({"a": {"b": {}}}), last: json!({"c": {"d": {}}}) };
        let item = Item::of(&record, 1, Shards(1)).unwrap();
        assert_eq!(item.record::<Nested>().unwrap(), record);
    }

    #[test]
    fn is_cut_in_two_at_its_fields_and_without_what_is_null() {
        let record = r#"{"a":{"b":null,"c":[1.50,"}\""]},"b":null,"c\u0022":123456789012345678901234567890,"d":"é"}"#;
        let (head, tail) = head_and_tail(record, &["a", "b", "z"], &[]).unwrap();
        assert_eq!(head, r#"{"a":{"b":null,"c":[1.50,"}\""]}}"#);
        assert_eq!(tail.unwrap(), r#"{"c\"":123456789012345678901234567890,"d":"é"}"#);
        assert_eq!(head_and_tail("{}", &[], &[]).unwrap(), ("{}".to_owned(), None));
        assert_eq!(head_and_tail(r#"{"a":1}"#, &[], &[]).unwrap(), ("{}".to_owned(), Some(r#"{"a":1}"#.to_owned())));
        assert!(head_and_tail("[]", &[], &[]).is_err());
    }

    #[test]
    fn leaves_out_what_is_null_within_sparse_fields_but_for_data() {
        let state = r#"{"id":null,"data":{"a":null},"state_details":{"x":null,"deferred":null,"y":[{},{"z":null}]},"m":{"n":null}}"#;
        let (head, _) =
            head_and_tail(&format!(r#"{{"state":{state},"other":{{"a":null}}}}"#), &["state", "other"], &["state"])
                .unwrap();
        let sparse = r#"{"data":{"a":null},"state_details":{"deferred":null,"y":[{},{}]},"m":{}}"#;
        assert_eq!(head, format!(r#"{{"state":{sparse},"other":{{"a":null}}}}"#));
    }

    #[test]
    fn what_is_left_out_of_a_state_is_read_as_null() {
        let details = serde_json::from_value::<domain::model::StateDetails>(json!({"deferred": null})).unwrap();
        let mut state = domain::model::State::new(
            domain::model::StateId::new(),
            domain::model::StateType::Running,
            Timestamp::now(),
        );
        for (details, data) in [(details, None), (domain::model::StateDetails::default(), Some(json!({"a": null})))] {
            (state.state_details, state.data) = (details, data);
            let mut sparse = String::new();
            Sparse(&mut sparse).write(&serde_json::to_string(&state).unwrap()).unwrap();
            assert!(sparse.len() < serde_json::to_string(&state).unwrap().len());
            assert_eq!(serde_json::from_str::<domain::model::State>(&sparse).unwrap(), state);
        }
    }

    #[test]
    fn is_read_however_deep_it_is_nested() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let record = |levels: usize| format!(r#"{{"first":"\\\"[","last":{}}}"#, nested(levels));
        for levels in [3, 127, 128, 1000] {
            assert_eq!(depth(&record(levels)), levels + 1);
            // Such a value is written and dropped on a stack of a test's size, too.
            let read: Nested = parse(&record(levels)).unwrap();
            assert_eq!(serde_json::to_string(&read.last).unwrap(), nested(levels));
        }
        assert!(parse::<Nested>("{").is_err());
    }
}
