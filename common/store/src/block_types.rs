//! Block types in the table.

use serde::{Deserialize, Serialize};

use domain::{
    filter::{BlockSchemaFilter, BlockTypeFilter},
    model::{BlockType, BlockTypeId},
};
use error::Result;

use super::{
    By, Entity, Key, Record, Store, TableAccess, Versioned, Write,
    commit::retry_on_conflict,
    query::Range,
    select::{Matcher, Source, Window},
    table::{self, Collection, Index, IndexKey, Shards},
};

crate::json_record!(BlockType);

impl Record for BlockType {
    const HEAD: &'static [&'static str] = &["id", "created", "updated", "name", "slug"];

    fn key(&self) -> Key {
        table::block_type(self.id)
    }

    fn index_keys(&self, shards: Shards) -> Vec<IndexKey> {
        let pk = shards.of(Collection::BlockTypes, self.id.0);
        vec![IndexKey { index: Index::ByName, pk, sk: table::sort_with_id(&self.name, self.id) }]
    }
}

impl Entity for BlockType {
    type Id = BlockTypeId;

    fn key_of(id: BlockTypeId) -> Key {
        table::block_type(id)
    }

    fn claim(&self) -> Option<Key> {
        Some(table::unique_block_type_slug(&self.slug))
    }
}

/// Names the block type with this slug.
pub fn with_slug(slug: &str) -> By<BlockTypeId> {
    By::Claim(table::unique_block_type_slug(slug))
}

/// Says which block types were installed last, so that they are not installed again at each start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledBlockTypes {
    /// The digest of what they were installed from.
    pub digest: String,
}

crate::json_record!(InstalledBlockTypes);

impl Record for InstalledBlockTypes {
    const HEAD: &'static [&'static str] = &["digest"];

    fn key(&self) -> Key {
        table::installed_block_types()
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        Vec::new()
    }
}

/// What [`Store::block_types`] touches.
pub const FILTER: TableAccess = TableAccess::READS.via(&[Index::ByName, Index::ByParent]);

impl Store {
    /// Returns the block types that `types` selects and that have a schema that `schemas` selects, within `window`, by name.
    pub async fn block_types(
        &self,
        types: Option<&BlockTypeFilter>,
        schemas: Option<&BlockSchemaFilter>,
        window: Window,
    ) -> Result<Vec<BlockType>> {
        let source = self.block_type_source(types, schemas).await?;
        let by_name = |a: &BlockType, b: &BlockType| (&a.name, a.id).cmp(&(&b.name, b.id));
        self.select(source, &mut TypeMatcher { types, schemas }, by_name, window).await
    }

    async fn block_type_source(
        &self,
        types: Option<&BlockTypeFilter>,
        schemas: Option<&BlockSchemaFilter>,
    ) -> Result<Source> {
        if let Some(slugs) = types.and_then(BlockTypeFilter::slugs) {
            let claims: Vec<Key> = slugs.iter().map(|slug| table::unique_block_type_slug(slug)).collect();
            return Ok(Source::Keys(self.keys_by_claims::<BlockType>(&claims).await?));
        }
        if let Some(ids) = schemas.and_then(BlockSchemaFilter::types) {
            return Ok(Source::keys(ids.iter().copied().map(table::block_type)));
        }
        if let Some(ids) = schemas.and_then(BlockSchemaFilter::ids) {
            let found = self.block_schemas_by_id(ids).await?;
            return Ok(Source::keys(found.iter().map(|schema| table::block_type(schema.block_type_id))));
        }
        Ok(Source::Ordered(Range::all(self, Index::ByName, Collection::BlockTypes)))
    }

    /// Adds `block_type`, or changes the one that has its slug, untold: as Prefect installs its own. Returns it as it is then.
    ///
    /// A change that leaves the type as it was writes nothing. `change` must leave the slug as it is.
    pub async fn install_block_type(
        &self,
        block_type: &BlockType,
        change: impl Fn(&mut BlockType) + Sync,
    ) -> Result<BlockType> {
        retry_on_conflict(|| async {
            let Some(found) = self.find::<BlockType>(with_slug(&block_type.slug)).await? else {
                let claim = self.claim(table::unique_block_type_slug(&block_type.slug), block_type.id)?;
                self.commit(vec![self.insert(block_type)?, claim]).await?;
                return Ok(block_type.clone());
            };
            let mut after = found.record.clone();
            change(&mut after);
            if after != found.record {
                self.commit(vec![self.replace(&after, found.version)?]).await?;
            }
            Ok(after)
        })
        .await
    }

    /// Reads which block types were installed last.
    pub async fn installed_block_types(&self) -> Result<Option<Versioned<InstalledBlockTypes>>> {
        self.get(&table::installed_block_types()).await
    }

    /// Notes which block types were installed last.
    pub async fn note_installed_block_types(&self, installed: &InstalledBlockTypes) -> Result<()> {
        Ok(self.commit(vec![Write::Put(self.item(installed, 1)?)]).await?)
    }
}

/// Decides which block types match; one whose schemas are asked for is asked for them.
struct TypeMatcher<'f> {
    types: Option<&'f BlockTypeFilter>,
    schemas: Option<&'f BlockSchemaFilter>,
}

impl Matcher<BlockType> for TypeMatcher<'_> {
    fn matches_all(&self) -> bool {
        self.types.is_none() && self.schemas.is_none()
    }

    async fn keep(&mut self, store: &Store, mut found: Vec<BlockType>) -> Result<Vec<BlockType>> {
        if let Some(filter) = self.types {
            found.retain(|block_type| filter.matches(block_type));
        }
        let Some(filter) = self.schemas else { return Ok(found) };
        let asked = found.iter().map(|block_type| store.has_block_schema(block_type.id, filter));
        let mut answers = futures::future::try_join_all(asked).await?.into_iter();
        found.retain(|_| answers.next().unwrap_or(false));
        Ok(found)
    }
}
