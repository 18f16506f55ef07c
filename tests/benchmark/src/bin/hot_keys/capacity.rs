//! The units that DynamoDB counts for a read or a write, by partition key, as its documentation has them.
//!
//! Every rule names the page of the DynamoDB Developer Guide that it is from.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use common::store::{
    backend::{attribute_name, in_full, kept},
    table::{Index, PARTITION, SORT},
};

/// An item, or an index's entry, by attribute.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// A partition key of the table or of an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartitionKey {
    /// The index's name, or `table`.
    pub(crate) of: &'static str,
    /// The key's value.
    pub(crate) value: String,
}

impl PartitionKey {
    /// Returns a partition key of `index`, or of the table if there is none.
    pub(crate) fn new(index: Option<Index>, value: &str) -> Self {
        Self { of: index.map_or("table", Index::name), value: value.to_owned() }
    }
}

/// Units of reads and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Units {
    /// Read units.
    pub(crate) read: f64,
    /// Write units.
    pub(crate) write: f64,
}

impl Units {
    /// Adds `other`, counted `times`.
    pub(crate) fn add(&mut self, other: Self, times: f64) {
        self.read += other.read * times;
        self.write += other.write * times;
    }
}

/// Bytes that one write unit pays for ("Read and write operations").
const WRITTEN_AT_ONCE: u32 = 1_024;

/// Bytes that one read unit pays for, strongly consistent ("Read and write operations").
const READ_AT_ONCE: u32 = 4_096;

/// Returns the text in an attribute.
pub(crate) fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.get(name)?.as_s().ok().map(String::as_str)
}

/// Returns an item's size in bytes: names and values, a number about a byte for two digits and one more ("Item sizes and formats").
fn size(attributes: &Attributes) -> usize {
    let value = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        // What is in parts says where these are.
        AttributeValue::M(parts) => 3 + size(parts) + parts.len(),
        _ => 1,
    };
    attributes.iter().map(|(name, of)| name.len() + value(of)).sum()
}

fn units(bytes: usize, at_once: u32) -> f64 {
    // An item has 400 KB at most.
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    f64::from(bytes.div_ceil(at_once).max(1))
}

/// Returns the units of reading one item by its key; one that is not there costs as much as the smallest ("Read and write operations").
pub(crate) fn read_units(item: Option<&Attributes>, is_consistent: bool) -> f64 {
    let units = units(item.map_or(0, size), READ_AT_ONCE);
    if is_consistent { units } else { units / 2.0 }
}

/// Returns the units of a write that makes `new` of `old`, for the table and each index; `None` is no item.
///
/// The table is charged for the larger of the two, and twice in a transaction ("Read and write operations", "Amazon
/// DynamoDB Transactions: How it works").
pub(crate) fn write_units(
    key: &str,
    old: Option<&Attributes>,
    new: Option<&Attributes>,
    is_in_transaction: bool,
) -> BTreeMap<PartitionKey, f64> {
    let larger = old.into_iter().chain(new).map(size).max().unwrap_or_default();
    let times = if is_in_transaction { 2.0 } else { 1.0 };
    let mut written = BTreeMap::from([(PartitionKey::new(None, key), units(larger, WRITTEN_AT_ONCE) * times)]);
    for index in Index::ALL {
        for (value, units) in index_units(index, old, new) {
            *written.entry(PartitionKey::new(Some(index), &value)).or_default() += units;
        }
    }
    written
}

/// Returns the units that an index is charged for, by partition key ("Using Global Secondary Indexes", write capacity).
///
/// One write for an entry that comes, goes, or has other projected attributes; two, a deletion and an addition, for one
/// whose key changes; none if nothing that is projected changes. Each is charged by the entry's own size, once also in
/// a transaction, whose second phase writes items and not indexes.
fn index_units(index: Index, old: Option<&Attributes>, new: Option<&Attributes>) -> Vec<(String, f64)> {
    let entry = |item: Option<&Attributes>| {
        let entry = projected(index, item?)?;
        let [partition, sort] = keys_of(index);
        let (value, sort) = (text(&entry, &partition)?.to_owned(), text(&entry, &sort)?.to_owned());
        Some((in_full(partition, value).1, sort, entry))
    };
    let alone = |partition: String, entry: &Attributes| (partition, units(size(entry), WRITTEN_AT_ONCE));
    match (entry(old), entry(new)) {
        (None, None) => Vec::new(),
        (Some((partition, _, entry)), None) | (None, Some((partition, _, entry))) => vec![alone(partition, &entry)],
        (Some((_, _, before)), Some((_, _, after))) if before == after => Vec::new(),
        (Some((from, at, before)), Some((to, place, after))) if (&from, &at) == (&to, &place) => {
            vec![(to, units(size(&before).max(size(&after)), WRITTEN_AT_ONCE))]
        }
        (Some((from, _, before)), Some((to, _, after))) => vec![alone(from, &before), alone(to, &after)],
    }
}

/// Returns what DynamoDB calls the attributes that an index is keyed by.
fn keys_of(index: Index) -> [String; 2] {
    [index.partition(), index.sort()].map(|attribute| attribute_name(&attribute).to_owned())
}

/// Returns what an index holds of an item; nothing if the item lacks one of the index's keys.
fn projected(index: Index, item: &Attributes) -> Option<Attributes> {
    let keys = keys_of(index);
    if !keys.iter().all(|key| item.contains_key(key)) {
        return None;
    }
    let kept = [PARTITION, SORT].into_iter().chain(kept(index).iter().copied()).map(str::to_owned).chain(keys);
    Some(kept.filter_map(|name| item.get(&name).cloned().map(|value| (name, value))).collect())
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "units are wholes and halves, which are exact")]
mod tests {
    use super::*;

    fn item(attributes: &[(&str, &str)]) -> Attributes {
        let keys = [("pk", "run#1"), ("sk", "run"), ("all", "runs#0"), ("time", "1")];
        let texts = keys.iter().chain(attributes);
        texts.map(|(name, value)| ((*name).to_owned(), AttributeValue::S((*value).to_owned()))).collect()
    }

    fn of(written: &BTreeMap<PartitionKey, f64>, index: Option<Index>, value: &str) -> f64 {
        written.get(&PartitionKey::new(index, value)).copied().unwrap_or_default()
    }

    #[test]
    fn the_table_is_charged_for_the_larger_image_and_twice_in_a_transaction() {
        let (small, large) = (item(&[]), item(&[("tail", &"x".repeat(2_000))]));
        for (old, new) in [(Some(&small), Some(&large)), (Some(&large), Some(&small)), (Some(&large), None)] {
            assert_eq!(of(&write_units("run#1", old, new, false), None, "run#1"), 2.0);
            assert_eq!(of(&write_units("run#1", old, new, true), None, "run#1"), 4.0);
        }
        assert_eq!(of(&write_units("run#1", None, None, false), None, "run#1"), 1.0);
    }

    #[test]
    fn an_index_is_charged_for_what_changes_in_it() {
        let written = |old: &[_], new: &[_]| write_units("run#1", Some(&item(old)), Some(&item(new)), true);
        let by_time = Some(Index::ByTime);
        assert_eq!(of(&written(&[("tail", "a")], &[("tail", "b")]), by_time, "runs#0"), 0.0, "it is not projected");
        assert_eq!(of(&written(&[("head", "a")], &[("head", "b")]), by_time, "runs#0"), 1.0);
        assert_eq!(of(&written(&[("time", "1")], &[("time", "2")]), by_time, "runs#0"), 2.0);
        let moved = written(&[("all", "runs#0")], &[("all", "runs#1")]);
        assert_eq!((of(&moved, by_time, "runs#0"), of(&moved, by_time, "runs#1")), (1.0, 1.0));
        let named = [("name", "name")];
        assert_eq!(of(&written(&[], &named), Some(Index::ByName), "runs#0"), 1.0);
        assert_eq!(of(&written(&named, &[]), Some(Index::ByName), "runs#0"), 1.0);
        let long = "x".repeat(3_000);
        assert_eq!(of(&written(&[("head", &long)], &[("head", "b")]), by_time, "runs#0"), 3.0);
    }

    #[test]
    fn a_read_is_charged_by_four_kilobytes_and_half_if_it_need_not_be_consistent() {
        let large = item(&[("tail", &"x".repeat(5_000))]);
        assert_eq!((read_units(Some(&large), true), read_units(Some(&large), false)), (2.0, 1.0));
        assert_eq!(read_units(None, true), 1.0);
    }
}
