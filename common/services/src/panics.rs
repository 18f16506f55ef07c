//! Panics in work of the background: a fault of ours in one change or message, which must not hold up the others.

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures::FutureExt;

use error::{Error, Result};

/// Does `work`; that it panicked is an error which fails for good.
///
/// What `work` shared with others is as it was left: the store's client and the settings bear that. Functions are built
/// without unwinding, so there a panic ends the process, and Lambda splits the batch until the change is alone in it.
///
/// # Errors
/// Those of `work`, and [`Error::Internal`] with the panic's words.
pub(crate) async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => Err(Error::Internal(format!("the work panicked: {}", words(panic.as_ref())))),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}
