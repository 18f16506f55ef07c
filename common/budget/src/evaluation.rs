//! Where programs of users run.

use tokio::runtime::{Handle, RuntimeFlavor};

/// The stack that a program of a user has for itself, in bytes.
///
/// The bounds of depth are such that none needs half of it, in a build without optimisation. Only what is used takes
/// memory.
pub const STACK: usize = 32 * 1024 * 1024;

/// Runs what evaluates a program of a user: on a stack that suffices, whichever thread asks, and off the event loop.
///
/// A thread of the local server's runtime hands its other requests over before it begins. A Lambda function has one
/// thread and one request, so that there is nothing to hand over.
///
/// A panic goes on to the caller, and ends its request alone.
pub fn evaluate<T>(evaluation: impl FnOnce() -> T) -> T {
    let on_its_stack = || stacker::grow(STACK, evaluation);
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(on_its_stack),
        _ => on_its_stack(),
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    /// Takes about half a kilobyte of the stack a level.
    fn deep(levels: usize) -> usize {
        let room = std::hint::black_box([levels; 64]);
        if levels == 0 { 0 } else { deep(levels - 1) + usize::from(room[0] == levels) }
    }

    #[test]
    fn has_a_stack_whichever_thread_asks() {
        let levels = 20_000;
        let thread = thread::Builder::new().stack_size(256 * 1024).spawn(move || evaluate(|| deep(levels)));
        assert_eq!(thread.unwrap().join().unwrap(), levels);
    }

    #[tokio::test]
    async fn runs_where_there_is_one_thread() {
        assert_eq!(evaluate(|| 1), 1);
    }

    #[test]
    fn lets_the_other_requests_of_a_thread_go_on() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        runtime.block_on(async move {
            let long = tokio::spawn(async move { evaluate(|| receiver.recv_timeout(Duration::from_secs(30)).is_ok()) });
            let other = tokio::spawn(async move { sender.send(()).is_ok() });
            assert!(other.await.unwrap() && long.await.unwrap());
        });
    }

    #[test]
    fn a_panic_ends_nothing_but_its_request() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let panicked = tokio::spawn(async { evaluate(|| -> () { panic!("an evaluation may fail") }) }).await;
            assert!(panicked.is_err());
            assert_eq!(tokio::spawn(async { evaluate(|| 1) }).await.unwrap(), 1);
        });
    }
}
