//! What a request costs at the store: round trips and capacity units.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// The sum of a request's calls of DynamoDB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Calls of DynamoDB.
    pub round_trips: u64,
    /// Items that queries evaluated.
    pub items_read: u64,
    /// Read request units.
    pub read_units: f64,
    /// Write request units.
    pub write_units: f64,
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
    let cost = *cost.lock().unwrap_or_else(PoisonError::into_inner);
    (output, cost)
}

pub(super) enum Kind {
    Read,
    Write,
}

/// Adds one call to the running request's cost, if one is being measured.
pub(super) fn add(kind: &Kind, items: usize, capacity: &[ConsumedCapacity]) {
    let _ = COST.try_with(|cost| {
        let mut cost = cost.lock().unwrap_or_else(PoisonError::into_inner);
        cost.round_trips += 1;
        cost.items_read += u64::try_from(items).unwrap_or(u64::MAX);
        let units: f64 = capacity.iter().filter_map(|consumed| consumed.capacity_units).sum();
        match kind {
            Kind::Read => cost.read_units += units,
            Kind::Write => cost.write_units += units,
        }
    });
}
