//! Shards: over how many partitions of an index a collection or a busy group is spread.

use uuid::Uuid;

use super::table::{Collection, Index};

/// Over how many index partitions each collection is spread.
///
/// Fixed for a table's life: a reader that counts on fewer shards than a writer used would miss records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards(pub u8);

impl From<u8> for Shards {
    fn from(shards: u8) -> Self {
        Self(shards)
    }
}

/// How many shards at most the groups have that workers poll: few, as each empty poll asks all of them.
///
/// At 1,000 flow runs a second in one queue, of one deployment, each key of four is written 500 times a second.
const SHARDS_OF_POLLED_GROUPS: u8 = 4;

impl Shards {
    /// Returns the shards of each group in `index`.
    #[must_use]
    pub fn of_groups_in(self, index: Index) -> Self {
        match index {
            Index::WaitingInQueue | Index::WaitingOfDeployment | Index::Occupying => {
                Self(self.0.min(SHARDS_OF_POLLED_GROUPS))
            }
            _ => self,
        }
    }

    /// Returns the index partition of the record `id` in `collection`.
    pub fn of(self, collection: Collection, id: Uuid) -> String {
        self.within(collection.name(), id)
    }

    /// Returns all index partitions of `collection`.
    pub fn all(self, collection: Collection) -> Vec<String> {
        self.all_within(collection.name())
    }

    /// Returns the index partition of the record `id` in a group of records that may be as busy as a whole collection.
    pub fn within(self, group: &str, id: Uuid) -> String {
        format!("{group}#{}", self.number_of(id))
    }

    /// Returns all index partitions of such a group.
    pub fn all_within(self, group: &str) -> Vec<String> {
        self.numbers().map(|shard| format!("{group}#{shard}")).collect()
    }

    /// Returns the number of the shard of the record `id`.
    pub fn number_of(self, id: Uuid) -> usize {
        usize::try_from(id.as_u128() % u128::from(self.0.max(1))).unwrap_or_default()
    }

    /// Returns the numbers of all shards.
    pub fn numbers(self) -> impl Iterator<Item = usize> {
        0..usize::from(self.0.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_one_of_the_shards() {
        let shards = Shards(4);
        let id = Uuid::new_v4();
        assert!(shards.all(Collection::FlowRuns).contains(&shards.of(Collection::FlowRuns, id)));
    }
}
