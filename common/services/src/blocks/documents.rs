//! Creation and change of block documents.

use std::collections::{BTreeSet, HashSet};

use budget::Bound;
use domain::{
    blocks::{references, secrets},
    model::{
        BlockDocument, BlockDocumentId, BlockDocumentResponse, BlockSchema, BlockSchemaId, BlockType, BlockTypeId,
        Object,
        block_document::{BlockDocumentReference, Told},
    },
};
use error::{Error, Result};
use store::{CommitError, Key, Versioned, block_documents, commit::retry_on_conflict, table};

use super::answers::{self, Show};
use crate::App;

/// A document to be made.
#[derive(Clone)]
pub struct NewBlockDocument {
    /// The name; an anonymous document may have none.
    pub name: Option<String>,
    /// The data, which names the documents within it.
    pub data: Object,
    /// The schema.
    pub block_schema_id: BlockSchemaId,
    /// The type.
    pub block_type_id: BlockTypeId,
    /// Whether it is anonymous.
    pub is_anonymous: bool,
}

/// A change of a document.
#[derive(Clone)]
pub struct DocumentChange {
    /// Another schema of the type, taken over with the data alone.
    pub block_schema_id: Option<BlockSchemaId>,
    /// The data that was sent.
    pub data: Option<Object>,
    /// Whether what was not sent stays.
    pub merge_existing_data: bool,
}

/// Makes a document, and answers it without its secrets.
///
/// # Errors
/// [`Error::Conflict`] if there is one of that name or something that it names is not there, [`Error::BadRequest`] for
/// references that are none, and [`Error::Sealed`] if it can't be sealed.
pub async fn create(app: &App, new: NewBlockDocument) -> Result<BlockDocumentResponse> {
    let store = &app.store;
    let NewBlockDocument { name, data, block_schema_id, block_type_id, is_anonymous } = new;
    let name = name.filter(|name| !name.is_empty());
    if let Some(name) = &name
        && store.find::<BlockDocument>(block_documents::called(block_type_id, name)).await?.is_some()
    {
        return Err(already_exists());
    }
    let (data, references) = references::take_out(data)?;
    let (block_type, schema) =
        tokio::try_join!(store.find::<BlockType>(block_type_id), store.find::<BlockSchema>(block_schema_id))?;
    let (Some(block_type), Some(schema)) = (block_type, schema) else { return Err(Error::integrity_conflict()) };
    require_all(app, &references).await?;
    let (id, now) = (BlockDocumentId::new(), app.now());
    let document = BlockDocument {
        id,
        created: now,
        updated: now,
        name: name.unwrap_or_else(BlockDocument::made_up_name),
        is_anonymous,
        block_schema_id,
        block_type_id,
        block_type_name: block_type.record.name,
        told: told(&data, &schema.record, &Told::default()),
        references,
        data: seal(app, id, &data).await?,
    };
    // Before it is added: one that can't be answered, for it has too much within it, must not be there.
    let answer = answers::answered(app, vec![document.clone()], Show::Asterisks).await?.pop();
    let answer = answer.ok_or_else(Error::integrity_conflict)?;
    store.add(&document).await.map_err(|error| match error {
        Error::Conflict(_) => already_exists(),
        other => other,
    })?;
    Ok(answer)
}

/// Changes the document `id`.
///
/// A merge keeps the documents within it that were not sent as well; Prefect loses them.
///
/// # Errors
/// [`Error::NotFound`] if there is none, and those of [`create`]; then nothing is changed.
pub async fn update(app: &App, id: BlockDocumentId, change: &DocumentChange) -> Result<()> {
    let sent = match (&change.data, change.merge_existing_data) {
        (Some(data), _) => data.clone(),
        (None, false) => Object::new(),
        (None, true) => return app.store.read_one::<BlockDocument>(id).await.map(drop),
    };
    retry_on_conflict(|| async {
        let found = app.store.read_one::<BlockDocument>(id).await?;
        let after = changed(app, &found.record, sent.clone(), change).await?;
        app.store.replace_one(&found, &after, Vec::new()).await
    })
    .await
}

/// Returns what `sent` makes of `document`.
async fn changed(
    app: &App,
    document: &BlockDocument,
    mut sent: Object,
    change: &DocumentChange,
) -> Result<BlockDocument, CommitError> {
    let proposed = change.block_schema_id.filter(|proposed| *proposed != document.block_schema_id);
    let schemas: Vec<Key> =
        [Some(document.block_schema_id), proposed].into_iter().flatten().map(table::block_schema).collect();
    let found = app.store.get_many::<BlockSchema>(&schemas).await?;
    let of = |id| found.iter().map(|found: &Versioned<BlockSchema>| &found.record).find(|schema| schema.id == id);
    let current_schema = of(document.block_schema_id).ok_or_else(|| Error::missing("block-document"))?;
    let schema = match proposed {
        None => current_schema,
        Some(proposed) => of(proposed).ok_or_else(Error::integrity_conflict)?,
    };
    let current = answers::open(app, document).await?;
    secrets::restore(&mut sent, &current, current_schema.secret_fields());
    let (sent, new_references) = references::take_out(sent)?;
    let (data, references) = if change.merge_existing_data {
        merged(current, &document.references, sent, &new_references)
    } else {
        (sent, new_references.clone())
    };
    if schema.block_type_id != document.block_type_id && proposed.is_some() {
        let words = "Must migrate block document to a block schema of the same block type.";
        return Err(Error::BadRequest(words.into()).into());
    }
    let added: Vec<BlockDocumentReference> =
        references.iter().filter(|reference| !document.references.contains(reference)).cloned().collect();
    require_no_cycle(app, document.id, &added).await?;
    let has_added = !added.is_empty();
    let before = Told { never: never_told(current_schema, &document.told), ..document.told.clone() };
    let after = BlockDocument {
        updated: app.now(),
        block_schema_id: schema.id,
        told: told(&data, schema, &before),
        references,
        data: seal(app, document.id, &data).await?,
        ..document.clone()
    };
    if has_added {
        // One that has too much within it could not be read any more.
        answers::answered(app, vec![after.clone()], Show::Asterisks).await?;
    }
    Ok(after)
}

/// Puts what was sent over what there is; a field is either a value or a document, whichever was sent last.
fn merged(
    current: Object,
    references: &[BlockDocumentReference],
    sent: Object,
    sent_references: &[BlockDocumentReference],
) -> (Object, Vec<BlockDocumentReference>) {
    let is_reference = |name: &str| sent_references.iter().any(|reference| reference.name == name);
    let kept = references.iter().filter(|kept| !sent.contains_key(&kept.name) && !is_reference(&kept.name));
    let references = kept.chain(sent_references).cloned().collect();
    let mut data: Object = current.into_iter().filter(|(name, _)| !is_reference(name)).collect();
    data.extend(sent);
    (data, references)
}

fn told(data: &Object, schema: &BlockSchema, before: &Told) -> Told {
    secrets::told(data, schema.secret_fields(), &schema.capabilities, before)
}

/// Returns the fields that are never told of, with those that `schema` calls secret.
fn never_told(schema: &BlockSchema, before: &Told) -> Vec<String> {
    secrets::told(&Object::new(), schema.secret_fields(), &[], before).never
}

async fn seal(app: &App, id: BlockDocumentId, data: &Object) -> Result<domain::model::block_document::Sealed> {
    let text = serde_json::to_string(data)?;
    app.vault.seal(&app.store, text.as_bytes(), &BlockDocument::seal_context(id)).await
}

/// Requires that all documents are there that are named.
async fn require_all(app: &App, references: &[BlockDocumentReference]) -> Result<Vec<BlockDocument>> {
    let ids: BTreeSet<BlockDocumentId> = references.iter().map(|reference| reference.id).collect();
    let keys: Vec<Key> = ids.iter().copied().map(table::block_document).collect();
    let found = app.store.get_many::<BlockDocument>(&keys).await?;
    if found.len() < ids.len() {
        return Err(Error::integrity_conflict());
    }
    Ok(found.into_iter().map(|found| found.record).collect())
}

/// Requires that all documents are there that are newly named, and that none of them has `document` within it.
async fn require_no_cycle(app: &App, document: BlockDocumentId, added: &[BlockDocumentReference]) -> Result<()> {
    for reference in added {
        if reference.id == document {
            return Err(cycle(document, reference.id));
        }
    }
    let mut seen: HashSet<BlockDocumentId> = added.iter().map(|reference| reference.id).collect();
    let mut level = require_all(app, added).await?;
    while !level.is_empty() {
        let within = level.iter().flat_map(|around| &around.references);
        let mut next: Vec<BlockDocumentReference> = Vec::new();
        for reference in within {
            if reference.id == document {
                let through = added.first().map_or(reference.id, |first| first.id);
                return Err(cycle(document, through));
            }
            if seen.insert(reference.id) {
                next.push(reference.clone());
            }
        }
        Bound::BlockRecords.check(seen.len())?;
        let keys: Vec<Key> = next.iter().map(|reference| table::block_document(reference.id)).collect();
        level = app.store.get_many::<BlockDocument>(&keys).await?.into_iter().map(|found| found.record).collect();
    }
    Ok(())
}

fn cycle(parent: BlockDocumentId, reference: BlockDocumentId) -> Error {
    Error::BadRequest(format!(
        "Cannot create block document reference: it would introduce a cycle into the block_document_reference graph \
         (parent={parent}, reference={reference})."
    ))
}

fn already_exists() -> Error {
    Error::Conflict("Block already exists".into())
}
