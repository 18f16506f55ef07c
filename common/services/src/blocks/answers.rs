//! Block documents as they are answered: opened, and put together with their types, their schemas and the documents within.
//!
//! Whatever documents are asked for, they are read level by level: one call to the table for what a level names, be it types,
//! schemas or documents.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, json};

use budget::{Bound, Exceeded, Meter};
use domain::{
    blocks::{fields::Together, secrets},
    events::Lifecycle,
    model::{
        BlockDocument, BlockDocumentId, BlockDocumentResponse, BlockSchema, BlockSchemaId, BlockSchemaResponse,
        BlockType, BlockTypeId, Object, block_document::BlockDocumentReference,
    },
};
use error::{Error, Result};
use schema_tools::job_variables::{self, BlockData};
use store::{
    Item, Key, Store, TableAccess,
    block_documents::called,
    block_types::with_slug,
    table::{self, Subject},
};

use crate::App;

/// What is answered of the secrets among a document's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// The secrets themselves.
    Secrets,
    /// Asterisks in their place.
    Asterisks,
}

impl Show {
    /// Reads the parameter `include_secrets`.
    pub fn secrets_if(include_secrets: bool) -> Self {
        if include_secrets { Self::Secrets } else { Self::Asterisks }
    }
}

/// How many bytes a document within another one counts for besides its data.
const WEIGHT: usize = 256;

/// Answers `documents` in their order, each with the data of the documents within it.
///
/// One whose type or schema is being deleted is left out.
///
/// # Errors
/// [`Error::Sealed`] if one can't be opened, [`Error::Exceeded`] if they are put together of too much, and those of the store.
pub async fn answered(app: &App, documents: Vec<BlockDocument>, show: Show) -> Result<Vec<BlockDocumentResponse>> {
    let records = Records::read(&app.store, &documents).await?;
    let data = open_all(app, &records).await?;
    let mut together = Together::new(&records.schemas);
    let mut schemas: HashMap<BlockSchemaId, BlockSchemaResponse> = HashMap::new();
    let bytes = Meter::new(Bound::BlockBytes);
    let mut answers = Vec::with_capacity(documents.len());
    for document in &documents {
        let found = (records.types.get(&document.block_type_id), records.schemas.get(&document.block_schema_id));
        let (Some(block_type), Some(schema)) = found else { continue };
        let of_schema = || {
            let its_type = records.types.get(&schema.block_type_id).cloned();
            BlockSchemaResponse::new(schema, together.fields(schema), its_type)
        };
        let block_schema = schemas.entry(schema.id).or_insert_with(of_schema).clone();
        let building = Building { records: &records, data: &data, show, bytes: &bytes };
        let (data, references) = building.document(document, schema, &mut Vec::new())?;
        answers.push(BlockDocumentResponse {
            id: document.id,
            created: document.created,
            updated: document.updated,
            name: document.name.clone(),
            data,
            block_schema_id: document.block_schema_id,
            block_schema,
            block_type_id: document.block_type_id,
            block_type_name: document.block_type_name.clone(),
            block_type: block_type.clone(),
            block_document_references: references,
            is_anonymous: document.is_anonymous,
        });
    }
    Ok(answers)
}

/// What [`named`] touches.
pub const NAMED: TableAccess = TableAccess::READS.opening_secrets();

/// Answers the document `id`.
///
/// # Errors
/// [`Error::NotFound`] if there is none, and those of [`answered`].
pub async fn one(app: &App, id: BlockDocumentId, show: Show) -> Result<BlockDocumentResponse> {
    let document = app.store.read_one::<BlockDocument>(id).await?.record;
    answered(app, vec![document], show).await?.pop().ok_or_else(|| Error::missing(BlockDocument::RESOURCE))
}

/// Answers the document called `name` among those of the type `slug`.
///
/// # Errors
/// [`Error::NotFound`] if there is none, and those of [`answered`].
pub async fn named(app: &App, slug: &str, name: &str, show: Show) -> Result<BlockDocumentResponse> {
    let missing = || Error::missing(BlockDocument::RESOURCE);
    let block_type = app.store.find::<BlockType>(with_slug(slug)).await?.ok_or_else(missing)?.record;
    let document = app.store.read_one::<BlockDocument>(called(block_type.id, name)).await?.record;
    answered(app, vec![document], show).await?.pop().ok_or_else(missing)
}

/// What [`with_defaults_of`] touches.
pub const DEFAULTS: TableAccess = TableAccess::READS.opening_secrets();

/// Reads the documents that hold defaults of a base job template's variables, without their secrets; most templates name none.
///
/// # Errors
/// Those of [`answered`].
pub async fn with_defaults_of(app: &App, template: &Object) -> Result<BlockData> {
    let named = job_variables::blocks_with_defaults(template);
    if named.is_empty() {
        return Ok(BlockData::new());
    }
    let keys: Vec<Key> = named.into_iter().map(table::block_document).collect();
    let found = app.store.get_many::<BlockDocument>(&keys).await?.into_iter().map(|found| found.record).collect();
    let answers = answered(app, found, Show::Asterisks).await?;
    Ok(answers.into_iter().map(|document| (document.id, document.data.into())).collect())
}

/// Requires that the documents are there that a record names.
///
/// # Errors
/// [`Error::Conflict`] if one is not.
pub async fn require(store: &Store, documents: impl IntoIterator<Item = BlockDocumentId>) -> Result<()> {
    let keys: BTreeSet<Key> = documents.into_iter().map(table::block_document).collect();
    let keys: Vec<Key> = keys.into_iter().collect();
    if keys.is_empty() || store.get_items(&keys).await?.len() == keys.len() {
        return Ok(());
    }
    Err(Error::integrity_conflict())
}

/// Opens the data of `document`, without that of the documents within it.
///
/// # Errors
/// [`Error::Sealed`] if it can't be opened.
pub async fn open(app: &App, document: &BlockDocument) -> Result<Object> {
    let context = BlockDocument::seal_context(document.id);
    let text = app.vault.open(&app.store, &document.data, &context).await?;
    let text = String::from_utf8(text).map_err(|_| not_data(document.id))?;
    match store::record::parse(&text) {
        Ok(data) => Ok(data),
        // Serde's words may have a part of the data in them.
        Err(_) => Err(not_data(document.id)),
    }
}

fn not_data(id: BlockDocumentId) -> Error {
    Error::Internal(format!("what is sealed in the block document {id} is no data"))
}

async fn open_all(app: &App, records: &Records) -> Result<HashMap<BlockDocumentId, Object>> {
    let mut data = HashMap::with_capacity(records.documents.len());
    for document in records.documents.values() {
        data.insert(document.id, open(app, document).await?);
    }
    Ok(data)
}

/// What documents are put together of.
#[derive(Debug, Default)]
struct Records {
    documents: HashMap<BlockDocumentId, BlockDocument>,
    types: HashMap<BlockTypeId, BlockType>,
    schemas: HashMap<BlockSchemaId, BlockSchema>,
}

impl Records {
    /// Reads what `documents` are put together of, level by level.
    async fn read(store: &Store, documents: &[BlockDocument]) -> Result<Self> {
        let mut records = Self::default();
        let mut asked: HashSet<Key> = HashSet::new();
        let mut pending: BTreeSet<Key> = BTreeSet::new();
        for document in documents {
            asked.insert(table::block_document(document.id));
            pending.extend(named_by(document));
            records.documents.insert(document.id, document.clone());
        }
        loop {
            pending.retain(|key| asked.insert(key.clone()));
            if pending.is_empty() {
                return Ok(records);
            }
            Bound::BlockRecords.check(asked.len())?;
            let keys: Vec<Key> = std::mem::take(&mut pending).into_iter().collect();
            for item in store.get_items(&keys).await? {
                pending.extend(records.take(&item));
            }
        }
    }

    /// Takes a record in; returns the keys of those that it names.
    fn take(&mut self, item: &Item) -> Vec<Key> {
        match Subject::of(&item.key) {
            Some(Subject::BlockDocument(_)) => {
                let Some(document) = item.readable::<BlockDocument>() else { return Vec::new() };
                let named = named_by(&document);
                self.documents.insert(document.id, document);
                named
            }
            Some(Subject::BlockSchema(_)) => {
                let Some(schema) = item.readable::<BlockSchema>() else { return Vec::new() };
                let within = schema.references.iter().map(|reference| table::block_schema(reference.id));
                let named = within.chain([table::block_type(schema.block_type_id)]).collect();
                self.schemas.insert(schema.id, schema);
                named
            }
            Some(Subject::BlockType(_)) => {
                self.types.extend(item.readable::<BlockType>().map(|block_type| (block_type.id, block_type)));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn named_by(document: &BlockDocument) -> Vec<Key> {
    let own = [table::block_type(document.block_type_id), table::block_schema(document.block_schema_id)];
    own.into_iter().chain(document.references.iter().map(|reference| table::block_document(reference.id))).collect()
}

/// What the data of documents is put together of.
struct Building<'r> {
    records: &'r Records,
    data: &'r HashMap<BlockDocumentId, Object>,
    show: Show,
    /// What is left of the bytes that documents within documents may have.
    bytes: &'r Meter,
}

impl Building<'_> {
    /// Returns the data of `document`, and what is answered of the documents within it; `around` are those around it.
    fn document(
        &self,
        document: &BlockDocument,
        schema: &BlockSchema,
        around: &mut Vec<BlockDocumentId>,
    ) -> Result<(Object, Object)> {
        let mut data = self.data.get(&document.id).cloned().unwrap_or_default();
        if self.show == Show::Asterisks {
            secrets::obfuscate(&mut data, schema.secret_fields());
        }
        let mut references = Map::new();
        around.push(document.id);
        for BlockDocumentReference { name, id } in &document.references {
            // One that is gone counts for nothing, as do two that were put within each other at the same moment.
            let within = self.records.documents.get(id).filter(|within| !around.contains(&within.id));
            let Some(within) = within else { continue };
            let found =
                (self.records.types.get(&within.block_type_id), self.records.schemas.get(&within.block_schema_id));
            let (Some(block_type), Some(schema)) = found else { continue };
            if u64::try_from(around.len()).is_ok_and(|levels| levels > Bound::BlockNesting.most()) {
                return Err(Exceeded(Bound::BlockNesting).into());
            }
            self.bytes.take_size(WEIGHT + within.data.text.len())?;
            let (of_within, references_within) = self.document(within, schema, around)?;
            data.insert(name.clone(), of_within.into());
            let told = json!({
                "block_document": {
                    "id": within.id,
                    "name": within.name,
                    "block_type": block_type,
                    "is_anonymous": within.is_anonymous,
                    "block_document_references": references_within,
                },
            });
            references.insert(name.clone(), told);
        }
        around.pop();
        Ok((data, references))
    }
}
