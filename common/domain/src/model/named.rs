//! What records that are named and dated have in common.

use uuid::Uuid;

use super::Timestamp;

/// A record that has a name and knows when it was made and changed.
pub trait Named {
    /// Returns the record's id.
    fn uuid(&self) -> Uuid;

    /// Returns the record's name.
    fn name(&self) -> &str;

    /// Returns when the record was made.
    fn created(&self) -> Timestamp;

    /// Returns when the record was last changed.
    fn updated(&self) -> Timestamp;
}

/// Makes a record `Named` by its fields `id`, `name`, `created` and `updated`.
///
/// `named!(Record, field)` takes them from a field of the record, and `named!(Record, field, key)` another field as its name.
macro_rules! named {
    ($record:ty) => {
        $crate::model::named!(@ $record, [], name);
    };
    ($record:ty, $of:ident) => {
        $crate::model::named!(@ $record, [$of], name);
    };
    ($record:ty, $of:ident, $name:ident) => {
        $crate::model::named!(@ $record, [$of], $name);
    };
    (@ $record:ty, [$($of:ident)?], $name:ident) => {
        impl $crate::model::Named for $record {
            fn uuid(&self) -> ::uuid::Uuid {
                self.$($of.)?id.0
            }

            fn name(&self) -> &str {
                &self.$($of.)?$name
            }

            fn created(&self) -> $crate::model::Timestamp {
                self.$($of.)?created
            }

            fn updated(&self) -> $crate::model::Timestamp {
                self.$($of.)?updated
            }
        }
    };
}

pub(crate) use named;
