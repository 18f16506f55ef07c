//! Fields of an update, of which a null is not the same as none ([`crate::patch::sent`] tells them apart).

use error::{Error, Result};
use serde::Deserialize;

/// Takes over what was sent for a field that is never null.
///
/// # Errors
/// [`Error::Conflict`] for a null, which Prefect's database refuses.
pub fn set<T: Clone>(field: &mut T, sent: Option<&Option<T>>) -> Result<()> {
    match sent {
        None => {}
        Some(Some(value)) => field.clone_from(value),
        Some(None) => return Err(Error::integrity_conflict()),
    }
    Ok(())
}

/// Takes over what was sent for a field that may be null.
pub fn set_or_clear<T: Clone>(field: &mut Option<T>, sent: Option<&Option<T>>) {
    if let Some(value) = sent {
        field.clone_from(value);
    }
}

/// Tells a null that was sent from what was not sent: a field's `deserialize_with`, besides `default`.
pub fn sent<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}
