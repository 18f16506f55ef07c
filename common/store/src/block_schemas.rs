//! Block schemas in the table.
//!
//! The claims of all versions of a checksum are in one partition, where the newest is found as soon as it is written: a
//! schema that names one within it by its checksum may be registered a moment after that one.

use std::{cmp::Ordering, collections::BTreeSet};

use domain::{
    filter::BlockSchemaFilter,
    model::{BlockSchema, BlockSchemaId, BlockTypeId},
};
use error::Result;

use super::{
    By, Entity, Key, Record, Store, TableAccess,
    entity::Each,
    query::{Direction, Range},
    select::{Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
    unique::Claim,
};

crate::json_record!(BlockSchema);

impl Record for BlockSchema {
    const HEAD: &'static [&'static str] =
        &["id", "created", "updated", "checksum", "block_type_id", "block_type_slug", "capabilities", "version"];

    fn key(&self) -> Key {
        table::block_schema(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let created = table::sort_with_id(&self.created.sortable(), self.id);
        let all = shards.of(Collection::BlockSchemas, self.id.0);
        vec![
            IndexKey { index: Index::ByTime, pk: all, sk: created.clone() },
            IndexKey { index: Index::ByParent, pk: table::block_schemas_of_type(self.block_type_id), sk: created },
        ]
    }
}

impl Entity for BlockSchema {
    type Id = BlockSchemaId;

    fn key_of(id: BlockSchemaId) -> Key {
        table::block_schema(id)
    }

    fn claim(&self) -> Option<Key> {
        Some(table::unique_block_schema_version(&self.checksum, &self.version))
    }
}

/// Names the block schema of a checksum and version.
pub fn version_of(checksum: &str, version: &str) -> By<BlockSchemaId> {
    By::Claim(table::unique_block_schema_version(checksum, version))
}

/// What [`Store::block_schemas`] touches.
pub const FILTER: TableAccess = TableAccess::READS.via(&[Index::ByTime, Index::ByParent]);

/// What [`Store::block_capabilities`] touches.
pub const CAPABILITIES: TableAccess = TableAccess::READS.via(&[Index::ByTime]);

impl Store {
    /// Returns the block schemas that `filter` selects, within `window`, the newest first.
    pub async fn block_schemas(&self, filter: Option<&BlockSchemaFilter>, window: Window) -> Result<Vec<BlockSchema>> {
        let source = self.block_schema_source(filter);
        self.select(source, &mut matcher(filter), newest_first, window).await
    }

    fn block_schema_source(&self, filter: Option<&BlockSchemaFilter>) -> Source {
        if let Some(ids) = filter.and_then(BlockSchemaFilter::ids) {
            return Source::keys(ids.iter().copied().map(table::block_schema));
        }
        let range = match filter.and_then(BlockSchemaFilter::types) {
            Some(types) => {
                let partitions: BTreeSet<String> = types.iter().copied().map(table::block_schemas_of_type).collect();
                Range { partitions: partitions.into_iter().collect(), ..Range::of_index(Index::ByParent, "") }
            }
            None => Range::all(self, Index::ByTime, Collection::BlockSchemas),
        };
        Source::Ordered(range.in_direction(Direction::Descending))
    }

    /// Reads the block schemas of these ids, without the missing ones.
    pub async fn block_schemas_by_id(&self, ids: &[BlockSchemaId]) -> Result<Vec<BlockSchema>> {
        let keys: Vec<Key> = ids.iter().copied().map(table::block_schema).collect();
        Ok(self.get_many(&keys).await?.into_iter().map(|found| found.record).collect())
    }

    /// Finds the newest block schema of a checksum, or that of a version of it.
    pub async fn block_schema_of(&self, checksum: &str, version: Option<&str>) -> Result<Option<BlockSchema>> {
        if let Some(version) = version {
            return Ok(self.find::<BlockSchema>(version_of(checksum, version)).await?.map(|found| found.record));
        }
        let versions = Range::partition(table::unique_block_schema_version(checksum, "").pk);
        let claims = self.read_all(versions).await?;
        let owners = claims.iter().map(|item| Ok(table::block_schema(item.record::<Claim>()?.owner.into())));
        let keys = owners.collect::<Result<Vec<Key>>>()?;
        let mut found: Vec<BlockSchema> = self.get_many(&keys).await?.into_iter().map(|found| found.record).collect();
        found.sort_by(newest_first);
        Ok(found.into_iter().next())
    }

    /// Says whether `block_type` has a schema that `filter` selects.
    pub(super) async fn has_block_schema(&self, block_type: BlockTypeId, filter: &BlockSchemaFilter) -> Result<bool> {
        let source = Source::Ordered(Range::of_index(Index::ByParent, table::block_schemas_of_type(block_type)));
        let first = Window { offset: 0, limit: 1 };
        let found = self.select(source, &mut matcher(Some(filter)), newest_first, first).await?;
        Ok(!found.is_empty())
    }

    /// Returns what blocks of any schema can do, each once.
    ///
    /// Reads the `head` of every schema: there are some hundred of them, at a few hundred bytes.
    pub async fn block_capabilities(&self) -> Result<BTreeSet<String>> {
        let all = Source::Ordered(Range::all(self, Index::ByTime, Collection::BlockSchemas));
        let mut capabilities = BTreeSet::new();
        self.visit(all, &mut matcher(None), |schemas: Vec<BlockSchema>| {
            capabilities.extend(schemas.into_iter().flat_map(|schema| schema.capabilities));
        })
        .await?;
        Ok(capabilities)
    }
}

fn newest_first(a: &BlockSchema, b: &BlockSchema) -> Ordering {
    (b.created, b.id).cmp(&(a.created, a.id))
}

fn matcher(filter: Option<&BlockSchemaFilter>) -> Each<impl Fn(&BlockSchema) -> bool> {
    Each(filter.map(|filter| |schema: &BlockSchema| filter.matches(schema)))
}
