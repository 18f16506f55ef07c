//! Records that can't be read: they are reported, mended where that can be done for certain, and in nobody's way.
//!
//! A page leaves such a record out, and what is read by its key is an error. Versions before this one wrote times beyond the
//! calendar of the years 1 to 9999, which nobody can read. Those are read as the last or first instant of the calendar;
//! `proctor check --repair` writes them so, in records and in keys.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{LazyLock, Mutex, PoisonError},
};

use serde_json::Value;

use super::{Item, Key, Record, Store, Write, cost, schema::EntityKind, table::Index};
use domain::model::{RunSummary, Timestamp};
use error::{Error, Result};

/// How many records are remembered as reported, so that each is reported once in a process.
const REMEMBERED: usize = 10_000;

static REPORTED: LazyLock<Mutex<HashSet<Key>>> = LazyLock::new(Mutex::default);

/// Reports that the record under `key` can't be read, and counts it ([`cost::Cost::unreadable`]).
pub fn report(key: &Key, error: &Error) {
    cost::add_unreadable();
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.len() < REMEMBERED && reported.insert(key.clone()) {
        tracing::error!(pk = key.pk, sk = key.sk, %error, "a record can't be read, and is left out");
    }
}

/// Reads the summary of a run, if it can be read; else it is reported.
pub(super) fn summary(brief: Option<&str>) -> Option<RunSummary> {
    let summary = brief.and_then(|brief| brief.parse().ok());
    if summary.is_none() {
        cost::add_unreadable();
        tracing::error!(brief, "the summary of a run can't be read, and is left out");
    }
    summary
}

impl Store {
    /// Deletes the record under `key` if `deleted` failed because it can't be read, and is `gone` then.
    ///
    /// Whatever names it, such as the claim on its name, is not known and stays; `proctor check --repair` removes that.
    pub(super) async fn or_unreadable<R: Record, T>(&self, deleted: Result<T>, key: &Key, gone: T) -> Result<T> {
        if !matches!(deleted, Err(Error::Unreadable(_))) {
            return deleted;
        }
        match self.get_item(key).await? {
            Some(item) if item.record::<R>().is_err() => {
                self.commit(vec![Write::DeleteVersion(key.clone(), item.version)]).await?;
                Ok(gone)
            }
            _ => deleted,
        }
    }
}

impl Item {
    /// Reads the record, if it can be read; else it is reported.
    pub fn readable<R: Record>(&self) -> Option<R> {
        self.record().map_err(|error| report(&self.key, &error)).ok()
    }

    /// Returns the item with the times in its record and its keys that lie beyond the calendar as the nearest ones.
    ///
    /// `is_written_well` says that the record can be read as it is: what looks like such a time in it is the user's then.
    /// A key is only looked at where a time stands in it.
    pub(super) fn mended(&self, kind: &EntityKind, is_written_well: bool) -> Option<Self> {
        let mut mended = self.clone();
        for json in [&mut mended.head, &mut mended.tail].into_iter().flatten().filter(|_| !is_written_well) {
            if let Some(text) = mended_json(json) {
                *json = text;
            }
        }
        let by_time = TIMELY.map(Index::sort);
        let places = mended.index_keys.iter_mut().filter(|(attribute, _)| by_time.contains(attribute));
        let sort = Some(&mut mended.key.sk).filter(|_| kind.is_sorted_by_time());
        for text in places.map(|(_, key)| key).chain(sort) {
            if let Cow::Owned(key) = mended_key(text) {
                *text = key;
            }
        }
        Some(mended).filter(|mended| mended != self)
    }
}

/// The indexes in whose sort keys there are times.
const TIMELY: [Index; 6] =
    [Index::ByStart, Index::ByTime, Index::ByNextStart, Index::ByEnd, Index::Lookup, Index::Related];

/// Returns the JSON text with the times in it that lie beyond the calendar as the nearest one; nothing if there are none.
pub(super) fn mended_json(text: &str) -> Option<String> {
    let mut value: Value = super::record::parse(text).ok()?;
    mend(&mut value).then(|| value.to_string())
}

/// Mends every time in `value`; returns whether there was one.
fn mend(value: &mut Value) -> bool {
    match value {
        Value::String(text) => nearest(text).map(|time| *text = time.to_string()).is_some(),
        Value::Array(values) => values.iter_mut().map(mend).filter(|is_mended| *is_mended).count() > 0,
        Value::Object(fields) => fields.values_mut().map(mend).filter(|is_mended| *is_mended).count() > 0,
        _ => false,
    }
}

fn mended_key(text: &str) -> Cow<'_, str> {
    if text.split('#').all(|piece| nearest(piece).is_none()) {
        return text.into();
    }
    let pieces = text.split('#').map(|piece| nearest(piece).map_or(piece.into(), |time| Cow::Owned(time.sortable())));
    pieces.collect::<Vec<_>>().join("#").into()
}

/// Returns the nearest instant of the calendar to a time as `chrono` writes it, if the year is 0, negative or above 9999.
fn nearest(text: &str) -> Option<Timestamp> {
    let is_time = text.ends_with('Z') && text.get(5..).is_some_and(|rest| rest.contains('T'));
    let year = match text.as_bytes().first()? {
        b'+' | b'-' => text.get(1..)?.split('-').next()?,
        b'0' => text.strip_prefix("0000-").map(|_| "0000")?,
        _ => return None,
    };
    let is_beyond = (4..=6).contains(&year.len()) && year.bytes().all(|digit| digit.is_ascii_digit());
    // What remains is a time of some year: put into one that the calendar has, it can be read.
    let rest = text.trim_start_matches(['+', '-']).strip_prefix(year)?;
    let is_read = is_time && is_beyond && format!("2000{rest}").parse::<Timestamp>().is_ok();
    is_read.then(|| if text.starts_with('+') { Timestamp::MAX } else { Timestamp::MIN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_the_calendar_is_the_nearest_one_in_it() {
        let table = [
            ("+10000-01-01T00:00:14Z", Some(Timestamp::MAX)),
            ("+262142-12-31T23:59:59.999999Z", Some(Timestamp::MAX)),
            ("-0001-12-31T00:00:00Z", Some(Timestamp::MIN)),
            ("0000-12-31T10:00:00Z", Some(Timestamp::MIN)),
            ("9999-12-31T23:59:59Z", None),
            ("+10000-13-01T00:00:14Z", None),
            ("+10000", None),
            ("-", None),
            ("0000-", None),
            ("", None),
            ("größer", None),
        ];
        for (text, expected) in table {
            assert_eq!(nearest(text), expected, "{text}");
        }
    }

    #[test]
    fn keys_and_json_are_mended_where_they_need_it() {
        assert_eq!(mended_key("state#+10000-01-01T00:00:00.000000Z#x"), "state#9999-12-31T23:59:59.999999Z#x");
        assert!(matches!(mended_key("state#2026-01-01T00:00:00.000000Z#x"), Cow::Borrowed(_)));
        let json = r#"{"a":[{"b":"+10000-01-01T00:00:00Z"}],"c":"-0001-01-01T00:00:00Z","d":1}"#;
        let mended = r#"{"a":[{"b":"9999-12-31T23:59:59.999999Z"}],"c":"0001-01-01T00:00:00Z","d":1}"#;
        assert_eq!(mended_json(json).as_deref(), Some(mended));
        assert_eq!(mended_json(mended), None);
    }
}
