//! Fields of an update, of which a null is not the same as none.

use common::{Error, Result};
use serde::{Deserialize, Deserializer};

/// Reads a field that was sent, null or not.
pub(crate) fn sent<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// Takes over what was sent for a field that is never null.
///
/// # Errors
/// [`Error::Conflict`] for a null, which upstream's database refuses.
pub(crate) fn set<T: Clone>(field: &mut T, sent: Option<&Option<T>>) -> Result<()> {
    match sent {
        None => {}
        Some(Some(value)) => field.clone_from(value),
        Some(None) => return Err(Error::integrity_conflict()),
    }
    Ok(())
}

/// Takes over what was sent for a field that may be null.
pub(crate) fn set_or_clear<T: Clone>(field: &mut Option<T>, sent: Option<&Option<T>>) {
    if let Some(value) = sent {
        field.clone_from(value);
    }
}
