//! What a request costs at the store: round trips and capacity units.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::{
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef},
    error::BoxError,
};
use aws_smithy_runtime_api::client::{interceptors::dyn_dispatch_hint, retries::RequestAttempts};

use super::backend::Spent;

/// The sum of a request's calls of the database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// Calls of the database.
    pub round_trips: u64,
    /// Items that queries evaluated.
    pub items_read: u64,
    /// Read request units.
    pub read_units: f64,
    /// Write request units.
    pub write_units: f64,
    /// Writes that met another request's and were begun again.
    pub conflicts: u64,
    /// Calls that the SDK sent again, because DynamoDB was throttled or failed.
    pub retries: u64,
    /// What was queried: by the index's name, or `table`.
    pub plan: BTreeMap<&'static str, Queried>,
    /// Records that the planner returned.
    pub returned: u64,
    /// Records that could not be read, and were left out.
    pub unreadable: u64,
}

/// What was queried of one index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queried {
    /// The most partitions that were merged.
    pub shards: u64,
    /// Queries, one a page.
    pub pages: u64,
    /// Items that these evaluated.
    pub items: u64,
}

impl Cost {
    /// Explains the queries: the indexes with their shards, pages and items, and how many records came of it.
    ///
    /// Nothing if nothing was queried.
    pub fn explained(&self) -> Option<String> {
        let queried: Vec<String> = self.plan.iter().map(|(index, queried)| format!("{index}: {queried}")).collect();
        if queried.is_empty() { None } else { Some(format!("{}; returned: {}", queried.join("; "), self.returned)) }
    }
}

impl fmt::Display for Queried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shards, pages, items } = self;
        write!(formatter, "{shards} shards, {pages} pages, {items} items")
    }
}

tokio::task_local! {
    static COST: Arc<Mutex<Cost>>;
}

/// Runs `work` and returns its output with what it cost.
///
/// Only calls made on the task itself count, so the store never spawns.
pub async fn measured<T>(work: impl Future<Output = T>) -> (T, Cost) {
    let cost = Arc::new(Mutex::new(Cost::default()));
    let output = COST.scope(cost.clone(), work).await;
    let cost = std::mem::take(&mut *cost.lock().unwrap_or_else(PoisonError::into_inner));
    (output, cost)
}

pub(super) enum Kind {
    Read,
    Write,
}

fn change(change: impl FnOnce(&mut Cost)) {
    let _ = COST.try_with(|cost| change(&mut cost.lock().unwrap_or_else(PoisonError::into_inner)));
}

/// Counts a record that can't be read.
pub(super) fn add_unreadable() {
    change(|cost| cost.unreadable += 1);
}

/// Counts a write that met another request's.
pub(super) fn add_conflict() {
    change(|cost| cost.conflicts += 1);
}

/// Counts, as an interceptor of a client, the calls that the SDK sends again.
#[derive(Debug)]
pub struct CountRetries;

#[dyn_dispatch_hint]
impl Intercept for CountRetries {
    fn name(&self) -> &'static str {
        "CountRetries"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if config.load::<RequestAttempts>().is_some_and(|request| request.attempts() > 1) {
            change(|cost| cost.retries += 1);
        }
        Ok(())
    }
}

/// Adds what a call took to the running request's cost, if one is being measured.
pub(super) fn add(kind: &Kind, items: usize, spent: Spent) {
    change(|cost| {
        cost.round_trips += spent.round_trips;
        cost.items_read += u64::try_from(items).unwrap_or(u64::MAX);
        match kind {
            Kind::Read => cost.read_units += spent.units,
            Kind::Write => cost.write_units += spent.units,
        }
    });
}

/// Adds one page of a query to the running request's cost: of `shards` partitions of the index `on`, with `items` evaluated.
pub(super) fn add_page(on: &'static str, shards: usize, items: usize, spent: Spent) {
    add(&Kind::Read, items, spent);
    change(|cost| {
        let queried = cost.plan.entry(on).or_default();
        queried.shards = queried.shards.max(u64::try_from(shards).unwrap_or(u64::MAX));
        queried.pages += 1;
        queried.items += u64::try_from(items).unwrap_or(u64::MAX);
    });
}

/// Counts the records that the planner returns.
pub(super) fn add_returned(records: usize) {
    change(|cost| cost.returned += u64::try_from(records).unwrap_or(u64::MAX));
}

#[cfg(test)]
mod tests {
    use embedded::{
        EmbeddedDatabase,
        faults::{Fault, Faults},
    };

    use super::*;
    use crate::{Store, commit::back_off, table};

    #[tokio::test]
    async fn counts_what_was_done_again() {
        let (faults, database) = (Faults::on("GetItem"), EmbeddedDatabase::in_memory().unwrap());
        let config = EmbeddedDatabase::config_with(faults.before(database.http_client())).to_builder();
        let client = aws_sdk_dynamodb::Client::from_conf(config.interceptor(CountRetries).build());
        let store = Store::new(client, "proctor-records", 1);
        store.create_table().await.unwrap();
        faults.then(Fault::Throttled).then(Fault::InternalError);
        let (found, cost) = measured(async {
            back_off(0).await;
            store.get_item(&table::csrf_token("nobody")).await
        })
        .await;
        assert!(found.unwrap().is_none());
        assert_eq!((cost.round_trips, cost.retries, cost.conflicts), (1, 2, 1));
    }
}
