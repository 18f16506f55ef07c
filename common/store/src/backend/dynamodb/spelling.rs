//! How DynamoDB has the keys of indexes: in few bytes, for each kilobyte of an item is paid for with every write.
//!
//! A run has its place in up to fourteen indexes, and with the names that [`crate::table`] gives them and with ids and times
//! as people write them these places were two thirds of its item. So attributes have short names, an id takes 23 bytes of 36,
//! and a time 11 of 27. Nothing else knows of it: what is read is spelled out again. The primary key stays as it is,
//! by which the stream's consumers choose what they are told of.
//!
//! **The order stays.** Within a partition one text comes before another in this spelling exactly where it does
//! in full: ids are shortened where only ids stand, at the end of a sort key, and times in indexes that are sorted by nothing
//! else. An id begins with a character before all that are printed, a time with the one after what stands for none. (Only a
//! client's name that has [`SEAM`] in it may change places with a name that it begins with.)

use std::borrow::Cow;

use domain::model::Timestamp;
use uuid::Uuid;

use crate::unstarted::PLACED;

/// What an attribute is called, in full and here, and what is in it.
type Attribute = (&'static str, &'static str, Content);

/// What an attribute has, as far as it is spelled otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A partition key: pieces between `#`, in no order.
    Partition,
    /// A sort key: something, and the id behind it.
    Anything,
    /// A sort key: a time or none, perhaps more, and the id behind it.
    Time,
    /// A sort key: an id, or something and the id behind it.
    Id,
}

/// The attributes that the indexes are keyed by.
const ATTRIBUTES: [Attribute; 19] = [
    ("collection_pk", "all", Content::Partition),
    ("by_start_pk", "past", Content::Partition),
    ("by_start_sk", "start", Content::Time),
    ("by_time_sk", "time", Content::Time),
    ("by_next_start_sk", "next", Content::Time),
    ("by_end_sk", "end", Content::Anything),
    ("by_name_sk", "name", Content::Anything),
    ("by_parent_pk", "parent", Content::Partition),
    ("by_parent_sk", "within", Content::Anything),
    ("lookup_pk", "lookup", Content::Partition),
    ("lookup_sk", "found", Content::Id),
    ("related_pk", "related", Content::Partition),
    ("related_sk", "as", Content::Anything),
    ("by_state_pk", "state", Content::Partition),
    ("by_deployment_pk", "deploy", Content::Partition),
    ("by_work_queue_pk", "queue", Content::Partition),
    ("waiting_in_queue_pk", "queued", Content::Partition),
    ("waiting_of_deployment_pk", "waits", Content::Partition),
    ("occupying_pk", "slot", Content::Partition),
];

/// What stands between a sort key's value and its id.
const SEAM: char = '\u{1}';

/// What an id begins with.
const ID: char = '\u{2}';

/// What a time begins with: the character after the one that stands for no time.
const TIME: char = '"';

/// The digits, in the order of their characters.
const DIGITS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

/// How many digits an id has, and a time.
const OF_ID: usize = 22;
const OF_TIME: usize = 10;

/// How long an id is in full, and a time.
const ID_IN_FULL: usize = 36;
const TIME_IN_FULL: usize = 27;

/// Returns what DynamoDB calls an attribute that the table calls `attribute`.
pub fn attribute_name(attribute: &str) -> &str {
    spelled_otherwise(attribute).map_or(attribute, |(_, short, _)| short)
}

/// Returns an attribute of an index's key and its text as DynamoDB has them.
pub(super) fn spelled<'a, 't>(attribute: &'a str, text: &'t str) -> (&'a str, Cow<'t, str>) {
    match spelled_otherwise(attribute) {
        Some((_, short, content)) => (short, short_text(*content, text)),
        None => (attribute, text.into()),
    }
}

/// Returns an attribute that DynamoDB has and its text as the table has them.
pub fn in_full(attribute: String, text: String) -> (String, String) {
    match ATTRIBUTES.iter().find(|(_, short, _)| *short == attribute) {
        Some((full, _, content)) => ((*full).to_owned(), full_text(*content, &text)),
        None => (attribute, text),
    }
}

/// Returns where a range of the sort keys in `attribute` begins, or how far their beginnings go, as DynamoDB has it.
pub(super) fn bound<'t>(attribute: &str, bound: &'t str) -> Cow<'t, str> {
    match bound.strip_suffix(SEAM) {
        // What comes after a key begins with it and goes on.
        Some(key) => format!("{}{SEAM}", spelled(attribute, key).1).into(),
        None => spelled(attribute, bound).1,
    }
}

fn spelled_otherwise(attribute: &str) -> Option<&'static Attribute> {
    ATTRIBUTES.iter().find(|(full, ..)| *full == attribute)
}

fn short_text(content: Content, text: &str) -> Cow<'_, str> {
    if content == Content::Partition {
        return text.split('#').map(short_id).collect::<Vec<_>>().join("#").into();
    }
    match text.rsplit_once(SEAM) {
        Some((value, id)) => format!("{}{SEAM}{}", short_value(content, value), short_id(id)).into(),
        None if content == Content::Id => short_id(text),
        None => short_value(content, text),
    }
}

fn full_text(content: Content, text: &str) -> String {
    if content == Content::Partition {
        return text.split('#').map(full_id).collect::<Vec<_>>().join("#");
    }
    match text.rsplit_once(SEAM) {
        Some((value, id)) => format!("{}{SEAM}{}", full_value(content, value), full_id(id)),
        None if content == Content::Id => full_id(text).into_owned(),
        None => full_value(content, text).into_owned(),
    }
}

fn short_value(content: Content, value: &str) -> Cow<'_, str> {
    if content != Content::Time {
        return value.into();
    }
    let time = |text: &str| text.parse::<Timestamp>().ok().filter(|time| time.sortable() == text);
    match value.split_at_checked(TIME_IN_FULL).and_then(|(first, rest)| Some((time(first)?, rest))) {
        Some((time, rest)) => {
            let since = i128::from(time.as_micros()) - i128::from(Timestamp::MIN.as_micros());
            format!("{TIME}{}{rest}", digits(since.unsigned_abs(), OF_TIME)).into()
        }
        None if value.starts_with(TIME) => format!("{TIME}{value}").into(),
        None => value.into(),
    }
}

fn full_value(content: Content, value: &str) -> Cow<'_, str> {
    let Some(rest) = value.strip_prefix(TIME).filter(|_| content == Content::Time) else { return value.into() };
    let time = |digits: &str| {
        let since = i128::try_from(number(digits, OF_TIME)?).ok()?;
        Timestamp::from_micros(since.checked_add(Timestamp::MIN.as_micros().into())?.try_into().ok()?)
    };
    match rest.split_at_checked(OF_TIME).and_then(|(digits, rest)| Some((time(digits)?, rest))) {
        Some((time, rest)) => format!("{}{rest}", time.sortable()).into(),
        None => rest.into(),
    }
}

fn short_id(text: &str) -> Cow<'_, str> {
    if let Some(placed) = text.strip_suffix(PLACED) {
        return format!("{}{PLACED}", short_id(placed)).into();
    }
    match id(text) {
        Some(id) => format!("{ID}{}", digits(id.as_u128(), OF_ID)).into(),
        None if text.starts_with(ID) => format!("{ID}{text}").into(),
        None => text.into(),
    }
}

fn full_id(text: &str) -> Cow<'_, str> {
    if let Some(placed) = text.strip_suffix(PLACED) {
        return format!("{}{PLACED}", full_id(placed)).into();
    }
    let Some(rest) = text.strip_prefix(ID) else { return text.into() };
    number(rest, OF_ID).map_or_else(|| rest.into(), |id| Uuid::from_u128(id).to_string().into())
}

/// Reads an id in full, with small letters and hyphens.
fn id(text: &str) -> Option<Uuid> {
    let is_written_so = text.len() == ID_IN_FULL && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    text.parse().ok().filter(|_| is_written_so)
}

/// Writes a number so that the order of texts is that of numbers.
fn digits(mut number: u128, count: usize) -> String {
    let mut digits = vec![DIGITS[0]; count];
    for digit in digits.iter_mut().rev() {
        *digit = usize::try_from(number % 64).ok().and_then(|place| DIGITS.get(place)).copied().unwrap_or(DIGITS[0]);
        number /= 64;
    }
    digits.into_iter().map(char::from).collect()
}

fn number(text: &str, count: usize) -> Option<u128> {
    if text.len() != count {
        return None;
    }
    text.bytes().try_fold(0_u128, |number, digit| {
        let place = DIGITS.binary_search(&digit).ok()?;
        number.checked_mul(64)?.checked_add(u128::try_from(place).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        key::{null, sort_with_id, time_or_null},
        table::{self, Index},
    };

    const OTHERS: [&str; 14] = [
        "pk",
        "sk",
        "version",
        "announced",
        "head",
        "tail",
        "brief",
        "body",
        "expires",
        "counted",
        "content",
        "cell",
        "parts",
        "count",
    ];

    fn content(attribute: &str) -> Content {
        ATTRIBUTES.iter().find(|(full, ..)| *full == attribute).unwrap().2
    }

    #[test]
    fn each_attribute_of_an_index_has_a_name_of_its_own() {
        let attributes: BTreeSet<String> =
            Index::ALL.into_iter().flat_map(|index| [index.partition(), index.sort()]).collect();
        assert_eq!(attributes, ATTRIBUTES.iter().map(|(full, ..)| (*full).to_owned()).collect());
        let mut short: BTreeSet<&str> = ATTRIBUTES.iter().map(|(_, short, _)| *short).collect();
        short.extend(OTHERS);
        assert_eq!(short.len(), ATTRIBUTES.len() + OTHERS.len());
        for index in Index::ALL {
            assert_eq!(content(&index.partition()), Content::Partition);
            assert_ne!(content(&index.sort()), Content::Partition);
        }
    }

    /// Returns texts as clients and records have them in keys.
    fn value() -> impl Strategy<Value = String> {
        let time = (0..=i64::MAX).prop_map(|micros| Timestamp::nearest_to_micros(micros).sortable());
        let id = any::<u128>().prop_map(|id| Uuid::from_u128(id).to_string());
        let twin = (0u128..3).prop_map(|id| Uuid::from_u128(u128::MAX - id).to_string());
        let any = "[!\"#A-Za-z0-9:\u{1}\u{2}é-]{0,24}";
        prop_oneof![Just(null()), time, id, twin, any, any.prop_map(|text| format!("{ID}{text}"))]
    }

    fn time() -> impl Strategy<Value = String> {
        let any = any::<i64>().prop_map(|micros| time_or_null(Some(Timestamp::nearest_to_micros(micros))));
        let near = (0..4i64).prop_map(|micros| time_or_null(Timestamp::from_micros(micros)));
        let more =
            (0..4i64, "#[0-9#]{0,9}").prop_map(|(micros, more)| time_or_null(Timestamp::from_micros(micros)) + &more);
        prop_oneof![any, near, more, Just(null())]
    }

    fn sort_keys(content: Content) -> impl Strategy<Value = String> {
        let value = match content {
            Content::Time => time().boxed(),
            _ => "[!-~é]{0,12}".boxed(),
        };
        let id = prop_oneof![any::<u128>(), 0u128..5].prop_map(Uuid::from_u128);
        (value, id, any::<bool>(), any::<bool>()).prop_map(move |(value, id, is_id, is_placed)| {
            let key = if is_id && content == Content::Id { id.to_string() } else { sort_with_id(&value, id) };
            if is_placed { format!("{key}{PLACED}") } else { key }
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(pieces in prop::collection::vec(value(), 1..4)) {
            for (full, short, content) in ATTRIBUTES {
                let separator = if content == Content::Partition { "#" } else { "\u{1}" };
                let text = pieces.join(separator);
                let (name, written) = spelled(full, &text);
                prop_assert_eq!(name, short);
                prop_assert_eq!(in_full(name.to_owned(), written.into_owned()), (full.to_owned(), text));
            }
        }

        #[test]
        fn the_order_stays(
            (times, named, ids) in (
                prop::collection::vec(sort_keys(Content::Time), 2),
                prop::collection::vec(sort_keys(Content::Anything), 2),
                (any::<u128>(), any::<u128>()).prop_map(|(a, b)| [a, b].map(|id| Uuid::from_u128(id).to_string())),
            ),
        ) {
            let pairs = [(Content::Time, &times[..]), (Content::Anything, &named), (Content::Id, &ids)];
            for (content, texts) in pairs {
                let (one, other) = (&texts[0], &texts[1]);
                prop_assert_eq!(short_text(content, one).cmp(&short_text(content, other)), one.cmp(other));
            }
        }

        #[test]
        fn a_range_has_the_keys_that_it_has_in_full(
            key in sort_keys(Content::Time), limit in sort_keys(Content::Time), how in 0..4_usize,
        ) {
            let value = limit.split_once(SEAM).unwrap().0.to_owned();
            let limits: [String; 4] = [value.clone(), format!("{limit}{SEAM}"), value, limit];
            // From a value, from behind a key, up to a value, up to what begins with a key.
            let (attribute, limit) = ("by_time_sk", &limits[how]);
            let (_, written) = spelled(attribute, &key);
            let limit_here = bound(attribute, limit);
            if how < 2 {
                prop_assert_eq!(*written >= *limit_here, *key >= **limit);
            } else {
                let last = |limit: &str| format!("{limit}\u{10FFFF}");
                prop_assert_eq!(*written <= *last(&limit_here), key <= last(limit));
            }
        }
    }

    #[test]
    fn what_begins_with_a_name_is_found_by_it() {
        let id = Uuid::new_v4();
        let start = sort_with_id("brave-otter", "");
        for attribute in ["by_name_sk", "by_parent_sk"] {
            let (_, key) = spelled(attribute, "brave-otter\u{1}").clone();
            assert_eq!(key, bound(attribute, &start));
            assert!(spelled(attribute, &sort_with_id("brave-otter", id)).1.starts_with(&*bound(attribute, &start)));
        }
        let subflow = sort_with_id(&id.to_string(), Uuid::new_v4());
        assert!(spelled("related_sk", &subflow).1.starts_with(&*bound("related_sk", &id.to_string())));
    }

    #[test]
    fn a_run_takes_little() {
        let id = domain::model::FlowRunId::new();
        let at = sort_with_id(&Timestamp::now().sortable(), id);
        assert_eq!(at.len(), 64);
        assert_eq!(spelled("by_start_sk", &at).1.len(), 35);
        let group = format!("{}#11", table::runs_of_flow(domain::model::FlowId::new()));
        assert_eq!((group.len(), spelled("by_parent_pk", &group).1.len()), (44, 31));
    }
}
