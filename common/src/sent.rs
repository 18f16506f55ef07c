//! Fields of an update, of which a null is not the same as none ([`crate::http::extract::sent`] tells them apart).

use crate::error::{Error, Result};

/// Takes over what was sent for a field that is never null.
///
/// # Errors
/// [`Error::Conflict`] for a null, which upstream's database refuses.
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
