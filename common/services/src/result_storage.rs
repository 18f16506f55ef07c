//! The server's default result storage: which block documents can be it.
//!
//! Prefect clears it in the transactions that delete the block document, its schema or its type. Here whoever reads it
//! looks whether the document is there, so that a deletion needs to know nothing of it.

use domain::model::{BlockDocument, BlockDocumentId, BlockSchema, ResultStorage};
use error::{Error, Missing, Result};

use crate::App;

/// What a block has to be able to do so that results can be stored with it.
const CAPABILITY: &str = "write-path";

/// Reads the default result storage; none if its block document is gone.
pub async fn read(app: &App) -> Result<ResultStorage> {
    let storage = app.store.result_storage().await?;
    match storage.default_result_storage_block_id {
        Some(document) if capabilities(app, document).await?.is_none() => Ok(ResultStorage::default()),
        _ => Ok(storage),
    }
}

/// Has the block `document` store results by default.
///
/// # Errors
/// [`Error::NotFound`] if there is no such document, [`Error::Unprocessable`] if it can't store results.
pub async fn set(app: &App, document: BlockDocumentId) -> Result<ResultStorage> {
    check(document, capabilities(app, document).await?.as_deref())?;
    app.store.set_result_storage(document).await
}

/// Returns what a block document can do, as its schema says; nothing if there is no such document.
async fn capabilities(app: &App, document: BlockDocumentId) -> Result<Option<Vec<String>>> {
    let Some(document) = app.store.find::<BlockDocument>(document).await? else { return Ok(None) };
    let schema = app.store.find::<BlockSchema>(document.record.block_schema_id).await?;
    Ok(Some(schema.map(|schema| schema.record.capabilities).unwrap_or_default()))
}

fn check(document: BlockDocumentId, capabilities: Option<&[String]>) -> Result<()> {
    match capabilities {
        None => Err(Error::NotFound(Missing::Said(format!("Block document {document} not found.")))),
        Some(capabilities) if capabilities.iter().any(|capability| capability == CAPABILITY) => Ok(()),
        Some(_) => Err(Error::Unprocessable(format!("Block document {document} cannot be used for result storage."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_block_that_writes_stores_results() {
        let document = BlockDocumentId::new();
        let of = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(check(document, Some(&of(&["read-path", "write-path"]))).is_ok());
        assert!(matches!(check(document, Some(&of(&["read-path"]))), Err(Error::Unprocessable(_))));
        assert!(matches!(check(document, None), Err(Error::NotFound(_))));
    }
}
