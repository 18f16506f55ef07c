//! What the page of the table ([`super::table`]) is written in: macros that make keys, lists and tests of its lines.

use std::borrow::Cow;

use domain::model::Timestamp;
use uuid::Uuid;

use super::key::{Key, bounded};

/// A piece of a key, between two `#`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This word.
    Word(&'static str),
    /// A value, by the name of the argument that it comes from.
    Value(&'static str),
}

/// How a partition or sort key is put together.
pub type Shape = &'static [Piece];

/// Writes a shape as documents show it, such as `flow#<flow id>`.
pub fn shown(shape: Shape) -> String {
    let pieces = shape.iter().map(|piece| match piece {
        Piece::Word(word) => (*word).to_owned(),
        Piece::Value(name) => format!("<{}>", name.replace('_', " ")),
    });
    pieces.collect::<Vec<_>>().join("#")
}

/// Returns the first value in a text of this shape, empty if it has none; nothing if the text has another shape.
fn first_value(shape: Shape, text: &str) -> Option<&str> {
    let (mut rest, mut first) = (text, None);
    for (place, piece) in shape.iter().enumerate() {
        // The last value may hold what separates the others.
        let is_last = place + 1 == shape.len();
        let (here, after) = if is_last { (rest, "") } else { rest.split_once('#')? };
        match piece {
            Piece::Word(word) if *word != here => return None,
            Piece::Word(_) => {}
            Piece::Value(_) => first = first.or(Some(here)),
        }
        rest = after;
    }
    Some(first.unwrap_or_default())
}

/// A kind of items, by their keys.
#[derive(Clone, Copy, Debug)]
pub struct EntityKind {
    /// The name of the function that makes its keys.
    pub name: &'static str,
    /// What such an item is.
    pub what: &'static str,
    /// The partition key.
    pub partition: Shape,
    /// The sort key.
    pub sort: Shape,
}

/// What the arguments are called that are times.
const TIMES: [&str; 4] = ["time", "created", "window", "first_time"];

impl EntityKind {
    /// Says whether there is a time in the sort key.
    pub(crate) fn is_sorted_by_time(&self) -> bool {
        self.sort.iter().any(|piece| matches!(piece, Piece::Value(name) if TIMES.contains(name)))
    }

    /// Returns the key of the item of this kind whose partition key has `value`, for kinds that no other value is in.
    pub(crate) fn key_of(&self, value: &str) -> Key {
        let written = |shape: Shape| {
            let mut text = String::new();
            for piece in shape {
                push(
                    &mut text,
                    match piece {
                        Piece::Word(word) => word,
                        Piece::Value(_) => value,
                    },
                );
            }
            text
        };
        Key::new(written(self.partition), written(self.sort))
    }

    /// Returns the first value in the partition key, empty if it has none; nothing if the key is of another kind.
    pub fn value_of<'k>(&self, key: &'k Key) -> Option<&'k str> {
        let value = first_value(self.partition, &key.pk)?;
        first_value(self.sort, &key.sk)?;
        Some(value)
    }
}

/// A group of items in an index, by the index's partition key.
#[derive(Clone, Copy, Debug)]
pub struct GroupKind {
    /// The name of the function that makes its key.
    pub name: &'static str,
    /// What is in such a group.
    pub what: &'static str,
    /// The partition key, without the shard that may follow.
    pub partition: Shape,
}

impl GroupKind {
    /// Says whether `partition` is the key of such a group, or of one of its shards.
    pub fn has(&self, partition: &str) -> bool {
        first_value(self.partition, partition).is_some()
            || partition.rsplit_once('#').is_some_and(|(group, _)| first_value(self.partition, group).is_some())
    }
}

/// Something that is written into a key.
pub trait KeyPart {
    /// Returns the text; that of a client is bounded.
    fn part(&self) -> Cow<'_, str>;
}

impl KeyPart for &str {
    fn part(&self) -> Cow<'_, str> {
        bounded(self)
    }
}

impl KeyPart for Timestamp {
    fn part(&self) -> Cow<'_, str> {
        self.sortable().into()
    }
}

impl KeyPart for Uuid {
    fn part(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl KeyPart for usize {
    fn part(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl<T: KeyPart> KeyPart for Option<T> {
    fn part(&self) -> Cow<'_, str> {
        self.as_ref().map(KeyPart::part).unwrap_or_default()
    }
}

/// Declares the typed ids that are written into keys, and brings them into scope.
macro_rules! ids {
    ($($id:ident),+ $(,)?) => {
        use domain::model::{$($id),+};

        $(
            impl KeyPart for $id {
                fn part(&self) -> Cow<'_, str> {
                    self.to_string().into()
                }
            }

            #[cfg(test)]
            impl $crate::schema::samples::Sample for $id {
                fn sample() -> Self {
                    Self::new()
                }
            }
        )+
    };
}

/// Appends a piece to a key.
pub(crate) fn push(key: &mut String, piece: &str) {
    if !key.is_empty() {
        key.push('#');
    }
    key.push_str(piece);
}

/// Writes pieces: words, arguments, and `(argument => expression)` for what is written otherwise than it is.
macro_rules! written {
    ($($piece:tt),+) => {{
        let mut text = String::new();
        $($crate::schema::push(&mut text, &$crate::schema::piece!($piece));)+
        text
    }};
}

macro_rules! piece {
    ($word:literal) => {
        std::borrow::Cow::Borrowed($word)
    };
    ($value:ident) => {
        $crate::schema::KeyPart::part(&$value)
    };
    (($value:ident => $written:expr)) => {
        std::borrow::Cow::<str>::from($written)
    };
}

macro_rules! shape {
    ($($piece:tt),+) => { &[$($crate::schema::shape_of!($piece)),+] };
}

macro_rules! shape_of {
    ($word:literal) => {
        $crate::schema::Piece::Word($word)
    };
    ($value:ident) => {
        $crate::schema::Piece::Value(stringify!($value))
    };
    (($value:ident => $written:expr)) => {
        $crate::schema::Piece::Value(stringify!($value))
    };
}

/// Declares the kinds of items: `/// what it is`, `key_function(arguments) => Subject(Id) of Record = [partition] / [sort];`.
///
/// Of each comes a function that makes its keys, a row of `docs/table.md`, and a round-trip test. What the stream's
/// consumer cares for has a variant of `Subject`, with the first value of the partition key.
macro_rules! entities {
    ($(
        $(#[doc = $what:literal])+
        $name:ident($($argument:ident: $type:ty),* $(,)?) $(=> $subject:ident $(($owner:ty))?)? $(of $record:ty)?
            = [$($partition:tt),+] / [$($sort:tt),+];
    )+) => {
        $(
            $(#[doc = $what])+
            ///
            /// Returns the item's key.
            pub fn $name($($argument: $type),*) -> Key {
                Key::new($crate::schema::written!($($partition),+), $crate::schema::written!($($sort),+))
            }
        )+

        #[allow(non_upper_case_globals, reason = "a kind has the name of the function that makes its keys")]
        mod kinds {
            use super::EntityKind;

            $(pub(super) const $name: EntityKind = EntityKind {
                name: stringify!($name),
                what: concat!($($what),+).trim_ascii(),
                partition: $crate::schema::shape!($($partition),+),
                sort: $crate::schema::shape!($($sort),+),
            };)+
        }

        /// The kinds of items.
        pub static ENTITIES: &[EntityKind] = &[$(kinds::$name),+];

        /// Returns the kind of `item`, and whether the record that its kind says is written as this version writes it.
        pub(crate) fn read_as_its_kind(item: &Item) -> Option<(&'static EntityKind, Result<()>)> {
            $(if kinds::$name.value_of(&item.key).is_some() {
                let read = [$(item.record_as_written::<$record>().map(drop))?].into_iter().collect();
                return Some((&kinds::$name, read));
            })+
            None
        }

        /// The kinds of items that something follows from, so that the stream's consumer hears of them.
        pub static CONSUMED: &[EntityKind] = &[$($($crate::schema::consumed!($subject, kinds::$name),)?)+];

        /// What an item of the stream is about, as far as its key says and a consumer cares.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Subject {
            $($(#[doc = concat!("An item whose key [`", stringify!($name), "`] makes.")] $subject $(($owner))?,)?)+
            /// What is left in the place of a deleted item.
            Tombstone,
        }

        impl Subject {
            /// Reads the key of one of these records; `None` for any other item, such as a claim.
            pub fn of(key: &Key) -> Option<Self> {
                if key.is_tombstone() {
                    return Some(Self::Tombstone);
                }
                $($(
                    if let Some(value) = kinds::$name.value_of(key) {
                        return $crate::schema::subject!(value, $subject $(($owner))?);
                    }
                )?)+
                None
            }
        }

        #[cfg(test)]
        fn samples() -> Vec<(&'static str, Key)> {
            use $crate::schema::samples::Sample;
            vec![$((stringify!($name), $name($(<$type as Sample>::sample()),*))),+]
        }
    };
}

macro_rules! consumed {
    ($subject:ident, $kind:expr) => {
        $kind
    };
}

macro_rules! subject {
    ($value:ident, $subject:ident) => {{
        let _ = $value;
        Some(Self::$subject)
    }};
    ($value:ident, $subject:ident($owner:ty)) => {
        $value.parse::<$owner>().ok().map(Self::$subject)
    };
}

/// Declares groups of items in an index: `/// what is in it`, `key_function(arguments) = [partition];`.
macro_rules! groups {
    ($(
        $(#[doc = $what:literal])+
        $name:ident($($argument:ident: $type:ty),* $(,)?) = [$($partition:tt),+];
    )+) => {
        $(
            $(#[doc = $what])+
            ///
            /// Returns the index's partition key.
            pub fn $name($($argument: $type),*) -> String {
                $crate::schema::written!($($partition),+)
            }
        )+

        /// The groups of items in indexes.
        pub static GROUPS: &[GroupKind] = &[$(
            GroupKind {
                name: stringify!($name),
                what: concat!($($what),+).trim_ascii(),
                partition: $crate::schema::shape!($($partition),+),
            }
        ),+];
    };
}

/// Declares the kinds of records that are listed as a whole: `/// all of them`, `Variant "name";`.
macro_rules! collections {
    ($($(#[doc = $what:literal])+ $variant:ident $name:literal;)+) => {
        /// A kind of record that is listed as a whole.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Collection {
            $($(#[doc = $what])+ $variant,)+
        }

        impl Collection {
            /// Every collection.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns what the partition keys of the collection start with.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

/// Declares the indexes: `/// what is in it`, `Variant "name" carries Projection, keyed by partition / sort;`.
///
/// `collection` is the partition key that the indexes of whole collections share, `own` an attribute of the index, and
/// any other name the index whose sort key it shares.
macro_rules! indexes {
    ($(
        $(#[doc = $what:literal])+
        $variant:ident $name:literal carries $projection:ident, keyed by $partition:ident / $sort:ident;
    )+) => {
        /// A global secondary index.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Index {
            $($(#[doc = $what])+ $variant,)+
        }

        impl Index {
            /// Every index of the table.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// Returns the index's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Returns what is in the index.
            pub fn what(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($what),+).trim_ascii(),)+
                }
            }

            /// Returns what the index carries.
            pub fn projection(self) -> Projection {
                match self {
                    $(Self::$variant => Projection::$projection,)+
                }
            }

            /// Returns the attribute with the index's partition key.
            ///
            /// The indexes that list whole collections share one: an item is in the same shard of each.
            pub fn partition(self) -> String {
                match self {
                    $(Self::$variant => $crate::schema::partition_attribute!($name, $partition),)+
                }
            }

            /// Returns the attribute with the index's sort key.
            ///
            /// The indexes of flow runs that differ only in what they are grouped by share those of the whole collection.
            pub fn sort(self) -> String {
                match self {
                    $(Self::$variant => $crate::schema::sort_attribute!($name, $sort),)+
                }
            }
        }
    };
}

/// Declares the records whose life is told of in events: `Subject => Record;`.
macro_rules! told_of {
    ($($subject:ident => $record:ty;)+) => {
        /// Says whether events tell of the record under `key`; if not, its deletion leaves no tombstone.
        pub fn is_told_of(key: &Key) -> bool {
            matches!(Subject::of(key), Some($(Subject::$subject(_))|+))
        }

        /// Returns the events that tell of a change of an item from `before` to `after`; none if nobody is to hear of it.
        pub fn events_of_change(before: Option<&Item>, after: &Item) -> Result<Vec<Event>> {
            match Subject::of(&after.key) {
                $(Some(Subject::$subject(_)) => entity::events_of_change::<$record>(before, after),)+
                Some(Subject::Tombstone) => Ok(after.record::<Tombstone>()?.events),
                _ => Ok(Vec::new()),
            }
        }
    };
}

macro_rules! partition_attribute {
    ($name:literal, collection) => {
        SHARD.to_owned()
    };
    ($name:literal, own) => {
        concat!($name, "_pk").to_owned()
    };
}

macro_rules! sort_attribute {
    ($name:literal, own) => {
        concat!($name, "_sk").to_owned()
    };
    ($name:literal, $other:ident) => {
        concat!(stringify!($other), "_sk").to_owned()
    };
}

pub(crate) use {
    collections, consumed, entities, groups, ids, indexes, partition_attribute, piece, shape, shape_of, sort_attribute,
    subject, told_of, written,
};

/// Values for the round-trip tests of keys.
#[cfg(test)]
pub(crate) mod samples {
    use domain::model::{StateType, Timestamp};
    use uuid::Uuid;

    /// Something of which there is an example.
    pub(crate) trait Sample {
        fn sample() -> Self;
    }

    impl Sample for &str {
        fn sample() -> Self {
            "a text"
        }
    }

    impl Sample for Timestamp {
        fn sample() -> Self {
            Self::now()
        }
    }

    impl Sample for Uuid {
        fn sample() -> Self {
            Self::new_v4()
        }
    }

    impl Sample for StateType {
        fn sample() -> Self {
            Self::Running
        }
    }

    impl Sample for usize {
        fn sample() -> Self {
            3
        }
    }

    impl<T: Sample> Sample for Option<T> {
        fn sample() -> Self {
            Some(T::sample())
        }
    }
}
