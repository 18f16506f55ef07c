//! Registration of block schemas, with those of the blocks within the block.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use futures::future::BoxFuture;

use budget::{Bound, Exceeded};
use domain::{
    blocks::fields::{NewFields, SchemaReference, Together},
    model::{
        BlockSchema, BlockSchemaId, BlockSchemaResponse, BlockType, Object, Timestamp,
        block_schema::BlockSchemaReference,
    },
    python,
};
use error::{Error, Result};
use store::{Added, Store, Versioned, block_types::with_slug, commit::retry_on_conflict, table};

use crate::App;

/// The version of a schema that says none, which schemas of blocks within a block have.
const NON_VERSIONED: &str = "non-versioned";

/// A schema to be registered.
#[derive(Clone, Debug)]
pub struct NewBlockSchema {
    /// The fields, with the definitions of the blocks within the block.
    pub fields: Object,
    /// The type.
    pub block_type: BlockType,
    /// What blocks with the schema can do.
    pub capabilities: Vec<String>,
    /// The version.
    pub version: String,
}

/// Registers a schema, or finds the one of its checksum and version; with it those of the blocks within that are new.
///
/// All of them are written in one transaction, so that no schema is there whose blocks within are not.
///
/// # Errors
/// [`Error::Conflict`] if the type of a block within is not there, [`Error::Unprocessable`] and [`Error::Exceeded`] for
/// fields that say too little or too much of the blocks within.
pub async fn register(app: &App, new: &NewBlockSchema) -> Result<(BlockSchemaResponse, Added)> {
    let store = &app.store;
    let fields = budget::evaluate(|| NewFields::new(&new.fields, None))?;
    let (id, now) = (BlockSchemaId::new(), app.now());
    retry_on_conflict(|| async {
        let found = store.block_schema_of(&fields.checksum, Some(&new.version)).await?;
        if let Some(found) = found.as_ref().filter(|found| found.id != id) {
            let found = answered(store, vec![found.clone()]).await?.pop();
            return Ok((found.ok_or_else(|| Error::missing("block-type"))?, Added::Existed));
        }
        if found.is_none() {
            let mut plan = Plan { store, now, schemas: Vec::new(), types: HashMap::new() };
            plan.add(id, &fields, &new.block_type, &new.capabilities, &new.version).await?;
            let mut writes = Vec::new();
            for schema in &plan.schemas {
                writes.extend(store.additions(schema)?);
            }
            store.commit(writes).await?;
        }
        let Some(Versioned { record, .. }) = store.find::<BlockSchema>(id).await? else {
            return Err(Error::missing("block-schema").into());
        };
        let response = BlockSchemaResponse::new(&record, fields.answered.clone(), Some(new.block_type.clone()));
        Ok((response, Added::Created))
    })
    .await
}

/// The schemas that are registered together.
struct Plan<'s> {
    store: &'s Store,
    now: Timestamp,
    /// Each before those of the blocks within.
    schemas: Vec<BlockSchema>,
    types: HashMap<String, BlockType>,
}

impl Plan<'_> {
    /// Adds a schema that is not there, and those of the blocks within that are not there either.
    fn add<'p>(
        &'p mut self,
        id: BlockSchemaId,
        fields: &'p NewFields,
        block_type: &'p BlockType,
        capabilities: &'p [String],
        version: &'p str,
    ) -> BoxFuture<'p, Result<()>> {
        Box::pin(async move {
            let place = self.schemas.len();
            if place > usize::try_from(Bound::NewBlockSchemas.most()).unwrap_or(usize::MAX) {
                return Err(Exceeded(Bound::NewBlockSchemas).into());
            }
            // Each is a little newer than the one around it, as Prefect inserts them.
            let created = self.now.plus(Duration::from_micros(u64::try_from(place).unwrap_or_default()));
            self.schemas.push(BlockSchema {
                id,
                created,
                updated: created,
                checksum: fields.checksum.clone(),
                fields: fields.kept.clone(),
                block_type_id: block_type.id,
                block_type_slug: block_type.slug.clone(),
                capabilities: capabilities.to_vec(),
                version: version.to_owned(),
                references: Vec::new(),
            });
            let mut references = Vec::new();
            for (name, reference) in &fields.references {
                let reference =
                    BlockSchemaReference { name: name.clone(), id: self.child(fields, name, reference).await? };
                if !references.contains(&reference) {
                    references.push(reference);
                }
            }
            if let Some(schema) = self.schemas.get_mut(place) {
                schema.references = references;
            }
            Ok(())
        })
    }

    /// Finds the schema of a block within, or adds it.
    async fn child(&mut self, around: &NewFields, name: &str, reference: &SchemaReference) -> Result<BlockSchemaId> {
        let block_type = self.block_type(&reference.slug).await?;
        if let Some(id) = self.existing(&reference.checksum, None).await? {
            return Ok(id);
        }
        let fields = around.of_child(name, &reference.slug)?;
        let fields = budget::evaluate(|| NewFields::new(&fields, around.definitions.as_ref()))?;
        // What it is made of need not have the checksum by which it is named.
        if let Some(id) = self.existing(&fields.checksum, Some(NON_VERSIONED)).await? {
            return Ok(id);
        }
        let id = BlockSchemaId::new();
        self.add(id, &fields, &block_type, &[], NON_VERSIONED).await?;
        Ok(id)
    }

    async fn existing(&self, checksum: &str, version: Option<&str>) -> Result<Option<BlockSchemaId>> {
        let is_wanted = |schema: &&BlockSchema| {
            schema.checksum == checksum && version.is_none_or(|version| schema.version == version)
        };
        if let Some(planned) = self.schemas.iter().rfind(is_wanted) {
            return Ok(Some(planned.id));
        }
        Ok(self.store.block_schema_of(checksum, version).await?.map(|schema| schema.id))
    }

    async fn block_type(&mut self, slug: &str) -> Result<BlockType> {
        if let Some(known) = self.types.get(slug) {
            return Ok(known.clone());
        }
        let Some(found) = self.store.find::<BlockType>(with_slug(slug)).await? else {
            return Err(Error::Conflict(format!(
                "Cannot create block schema because block type {} was not found.Did you forget to register the block type?",
                python::repr_str(slug)
            )));
        };
        self.types.insert(slug.to_owned(), found.record.clone());
        Ok(found.record)
    }
}

/// Answers schemas, each with its type and with the definitions of the blocks within the block, in their order.
///
/// One whose type is being deleted is left out.
///
/// # Errors
/// [`Error::Exceeded`] if they are put together of too many, and those of the store.
pub async fn answered(store: &Store, schemas: Vec<BlockSchema>) -> Result<Vec<BlockSchemaResponse>> {
    let types: BTreeSet<_> = schemas.iter().map(|schema| schema.block_type_id).collect();
    let keys: Vec<_> = types.into_iter().map(table::block_type).collect();
    let (types, all) = tokio::try_join!(store.get_many::<BlockType>(&keys), with_those_within(store, &schemas))?;
    let types: HashMap<_, BlockType> = types.into_iter().map(|found| (found.record.id, found.record)).collect();
    let mut together = Together::new(&all);
    let answer = |schema: &BlockSchema| {
        let block_type = types.get(&schema.block_type_id)?.clone();
        Some(BlockSchemaResponse::new(schema, together.fields(schema), Some(block_type)))
    };
    Ok(schemas.iter().filter_map(answer).collect())
}

/// Reads the schemas of the blocks within blocks with `schemas`, level by level; returns all of them.
async fn with_those_within(store: &Store, schemas: &[BlockSchema]) -> Result<HashMap<BlockSchemaId, BlockSchema>> {
    let mut all: HashMap<_, _> = schemas.iter().map(|schema| (schema.id, schema.clone())).collect();
    // What is gone is asked for once.
    let mut asked: BTreeSet<BlockSchemaId> = all.keys().copied().collect();
    let mut found = schemas.to_vec();
    loop {
        let named = found.iter().flat_map(|schema| &schema.references).map(|reference| reference.id);
        let pending: Vec<BlockSchemaId> = named.filter(|id| asked.insert(*id)).collect();
        if pending.is_empty() {
            return Ok(all);
        }
        Bound::BlockRecords.check(asked.len())?;
        found = store.block_schemas_by_id(&pending).await?;
        all.extend(found.iter().map(|schema| (schema.id, schema.clone())));
    }
}
