//! Replacement of the keys that the data of block documents is sealed with.
//!
//! A new data key is put in use, and everything that is sealed with another one is sealed anew. The old ones stay, because
//! another process may seal with one for a minute yet: they are forgotten later, when nothing is sealed with them.

use std::collections::{BTreeMap, BTreeSet};

use domain::model::{BlockDocument, BlockDocumentId, DataKey, DataKeyId, Timestamp};
use error::{Error, Result};
use store::{Versioned, commit::retry_on_conflict};

use crate::App;

/// For how many seconds a data key is kept after another one was put in use: far longer than a process seals with it.
pub const KEPT: f64 = 3_600.0;

/// What is sealed with which key.
#[derive(Clone, Debug)]
pub struct DataKeyUse {
    /// The key.
    pub key: DataKey,
    /// Whether it is the one in use.
    pub is_current: bool,
    /// How many documents are sealed with it.
    pub documents: u64,
}

/// Returns all data keys, the oldest first, with how many documents are sealed with each; and the keys that are missing.
///
/// # Errors
/// Those of the store.
pub async fn keys_in_use(app: &App) -> Result<(Vec<DataKeyUse>, BTreeMap<DataKeyId, u64>)> {
    let mut documents: BTreeMap<DataKeyId, u64> = BTreeMap::new();
    let mut all = app.store.all_block_documents();
    while let Some(found) = all.next().await? {
        for document in found {
            *documents.entry(document.record.data.key).or_default() += 1;
        }
    }
    let current = app.store.current_data_key().await?.map(|current| current.record.id);
    let keys = app.store.data_keys().await?.into_iter().map(|key| DataKeyUse {
        is_current: current == Some(key.id),
        documents: documents.remove(&key.id).unwrap_or_default(),
        key,
    });
    Ok((keys.collect(), documents))
}

/// Puts a new data key in use, wrapped by a new master key where that is in a file, and seals every document with it.
///
/// Calls `looked_at` after each document. Returns the key, and how many documents were sealed anew. A repeat goes on with
/// what an interrupted one has left, with another key.
///
/// # Errors
/// [`Error::Sealed`] if a document can't be opened: it stays as it is, as do those behind it.
pub async fn renew(app: &App, mut looked_at: impl FnMut()) -> Result<(DataKeyId, u64)> {
    app.vault.master()?.renew()?;
    let key = app.vault.renew(&app.store).await?;
    let mut resealed = 0;
    let mut all = app.store.all_block_documents();
    while let Some(found) = all.next().await? {
        for document in found {
            if document.record.data.key != key && reseal(app, document.record.id, key).await? {
                resealed += 1;
            }
            looked_at();
        }
    }
    Ok((key, resealed))
}

/// Seals a document with the key that is in use; returns whether it was sealed with another one.
///
/// No event tells of it, for nothing about the document has changed.
async fn reseal(app: &App, id: BlockDocumentId, key: DataKeyId) -> Result<bool> {
    let context = BlockDocument::seal_context(id);
    retry_on_conflict(|| async {
        let Some(Versioned { mut record, version }) = app.store.find::<BlockDocument>(id).await? else {
            return Ok(false);
        };
        if record.data.key == key {
            return Ok(false);
        }
        let plain = app.vault.open(&app.store, &record.data, &context).await?;
        record.data = app.vault.seal(&app.store, &plain, &context).await?;
        app.store.commit(vec![app.store.replace(&record, version)?]).await?;
        Ok(true)
    })
    .await
}

/// Forgets the data keys that nothing is sealed with, and the master keys that wrap none of those that are left.
///
/// Returns the keys that were forgotten. One that was in use within the last hour is kept.
///
/// # Errors
/// Those of the store, and of the file with the master keys.
pub async fn forget(app: &App, now: Timestamp) -> Result<Vec<DataKeyId>> {
    let (keys, _) = keys_in_use(app).await?;
    let current = keys.iter().find(|of| of.is_current).map(|of| of.key.created);
    // A key was in use until the next one was made.
    let replaced = |key: &DataKey| {
        let next = keys.iter().map(|of| of.key.created).filter(|created| *created > key.created).min();
        next.or(current)
    };
    let is_over = |key: &DataKey| replaced(key).is_some_and(|end| now.seconds_since(end) > KEPT);
    let (over, kept): (Vec<&DataKeyUse>, Vec<&DataKeyUse>) =
        keys.iter().partition(|of| !of.is_current && of.documents == 0 && is_over(&of.key));
    for of in &over {
        app.store.forget_data_key(of.key.id).await?;
    }
    let masters: BTreeSet<String> = kept.iter().map(|of| of.key.master.clone()).collect();
    if !kept.is_empty() {
        app.vault.master()?.forget_but(&masters.into_iter().collect::<Vec<_>>())?;
    }
    Ok(over.into_iter().map(|of| of.key.id).collect())
}

/// Forgets all data keys, so that the next document is sealed with a new one: for those whose master key is lost.
///
/// No server may run meanwhile, which could seal with a key that is forgotten here.
///
/// # Errors
/// [`Error::Conflict`] if there is a document yet: it would stay closed even if its key were found again.
pub async fn forget_all(app: &App) -> Result<Vec<DataKeyId>> {
    let (keys, missing) = keys_in_use(app).await?;
    let documents: u64 = keys.iter().map(|of| of.documents).chain(missing.into_values()).sum();
    if documents > 0 {
        return Err(Error::Conflict(format!("{documents} documents are sealed with these keys: delete them before")));
    }
    let keys: Vec<DataKeyId> = keys.into_iter().map(|of| of.key.id).collect();
    app.store.forget_all_data_keys(&keys).await?;
    Ok(keys)
}

/// Says that the keys are missing with which documents are sealed.
pub fn missing(keys: &BTreeMap<DataKeyId, u64>) -> Option<Error> {
    let told: Vec<String> = keys.iter().map(|(key, documents)| format!("{key} ({documents} documents)")).collect();
    (!told.is_empty()).then(|| Error::Sealed(format!("these data keys are missing: {}", told.join(", "))))
}
