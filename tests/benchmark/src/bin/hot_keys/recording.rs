//! What the product asks of DynamoDB, noted by an interceptor of its client.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef},
    },
    error::BoxError,
    operation::{
        batch_get_item::BatchGetItemInput,
        batch_write_item::BatchWriteItemInput,
        delete_item::DeleteItemInput,
        get_item::GetItemInput,
        put_item::PutItemInput,
        query::{QueryInput, QueryOutput},
        transact_write_items::TransactWriteItemsInput,
    },
    types::{ConsumedCapacity, Delete, DeleteRequest, Put, PutRequest, TransactWriteItem},
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use common::store::{
    backend::in_full,
    table::{Index, Key, PARTITION, SORT},
};

use crate::capacity::{self, Attributes, PartitionKey, Units};

/// What was asked so far: the units of each partition key, and the items as they are now.
#[derive(Debug, Default)]
struct Recording {
    items: HashMap<Key, Attributes>,
    units: BTreeMap<PartitionKey, Units>,
    calls: u64,
    failures: u64,
}

/// Notes the calls of the clients that it is an interceptor of; clones note into the same recording.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Recording>>);

impl Recorder {
    /// Forgets the units that were noted, and returns them with how many calls there were and how many failed.
    pub(crate) fn take(&self) -> (BTreeMap<PartitionKey, Units>, u64, u64) {
        let mut recording = self.recording();
        let (calls, failures) = (std::mem::take(&mut recording.calls), std::mem::take(&mut recording.failures));
        (std::mem::take(&mut recording.units), calls, failures)
    }

    fn recording(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call, noted before it is sent and counted when it was answered.
#[derive(Clone, Debug)]
enum Call {
    /// Writes items, or deletes those that are `None`.
    Writes { items: Vec<(Key, Option<Attributes>)>, is_transaction: bool },
    /// Reads items by their keys.
    Gets { keys: Vec<Key>, is_consistent: bool },
    /// Reads a range of a partition.
    Queries { index: Option<Index>, partition: String },
}

impl Storable for Call {
    type Storer = StoreReplace<Self>;
}

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        let call = if let Some(input) = input.downcast_ref::<PutItemInput>() {
            Some(Call::Writes { items: put(input.item()).into_iter().collect(), is_transaction: false })
        } else if let Some(input) = input.downcast_ref::<DeleteItemInput>() {
            Some(Call::Writes { items: deletion(input.key()).into_iter().collect(), is_transaction: false })
        } else if let Some(input) = input.downcast_ref::<TransactWriteItemsInput>() {
            let items = input.transact_items().iter().filter_map(of_transaction).collect();
            Some(Call::Writes { items, is_transaction: true })
        } else if let Some(input) = input.downcast_ref::<BatchWriteItemInput>() {
            let requests = input.request_items().into_iter().flat_map(HashMap::values).flatten();
            let items = requests.filter_map(|request| {
                put(request.put_request().map(PutRequest::item))
                    .or_else(|| deletion(request.delete_request().map(DeleteRequest::key)))
            });
            Some(Call::Writes { items: items.collect(), is_transaction: false })
        } else if let Some(input) = input.downcast_ref::<GetItemInput>() {
            let keys = input.key().and_then(key).into_iter().collect();
            Some(Call::Gets { keys, is_consistent: input.consistent_read() == Some(true) })
        } else if let Some(input) = input.downcast_ref::<BatchGetItemInput>() {
            let wanted: Vec<_> = input.request_items().into_iter().flat_map(HashMap::values).collect();
            let is_consistent = wanted.iter().all(|wanted| wanted.consistent_read() == Some(true));
            Some(Call::Gets {
                keys: wanted.iter().flat_map(|wanted| wanted.keys()).filter_map(key).collect(),
                is_consistent,
            })
        } else if let Some(input) = input.downcast_ref::<QueryInput>() {
            let index = input.index_name().and_then(|name| Index::ALL.into_iter().find(|index| index.name() == name));
            let partition = input.expression_attribute_values().and_then(|values| capacity::text(values, ":pk"));
            let name = input.expression_attribute_names().and_then(|names| names.get("#partition"));
            partition.zip(name).map(|(partition, name)| {
                let (_, partition) = in_full(name.clone(), partition.to_owned());
                Call::Queries { index, partition }
            })
        } else {
            None
        };
        if let Some(call) = call {
            bag.interceptor_state().store_put(call);
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(call) = bag.load::<Call>() else { return Ok(()) };
        match context.output_or_error() {
            Some(Ok(output)) => {
                let queried = output.downcast_ref::<QueryOutput>().and_then(QueryOutput::consumed_capacity);
                let queried = queried.and_then(ConsumedCapacity::capacity_units);
                self.recording().count(call, queried.unwrap_or_default());
            }
            Some(Err(_)) | None => self.recording().failures += 1,
        }
        Ok(())
    }
}

impl Recording {
    /// Counts a call that was carried out; a query by what the database says that it read.
    fn count(&mut self, call: &Call, queried: f64) {
        self.calls += 1;
        match call {
            Call::Writes { items, is_transaction } => {
                for (key, new) in items {
                    let old = match new {
                        Some(new) => self.items.insert(key.clone(), new.clone()),
                        None => self.items.remove(key),
                    };
                    for (of, write) in capacity::write_units(&key.pk, old.as_ref(), new.as_ref(), *is_transaction) {
                        self.add(of, Units { read: 0.0, write });
                    }
                }
            }
            Call::Gets { keys, is_consistent } => {
                for key in keys {
                    let read = capacity::read_units(self.items.get(key), *is_consistent);
                    self.add(PartitionKey::new(None, &key.pk), Units { read, write: 0.0 });
                }
            }
            Call::Queries { index, partition } => {
                self.add(PartitionKey::new(*index, partition), Units { read: queried, write: 0.0 });
            }
        }
    }

    fn add(&mut self, of: PartitionKey, units: Units) {
        self.units.entry(of).or_default().add(units, 1.0);
    }
}

fn key(attributes: &Attributes) -> Option<Key> {
    let text = |name| capacity::text(attributes, name).map(str::to_owned);
    Some(Key { pk: text(PARTITION)?, sk: text(SORT)? })
}

fn put(item: Option<&Attributes>) -> Option<(Key, Option<Attributes>)> {
    Some((key(item?)?, item.cloned()))
}

fn deletion(of: Option<&Attributes>) -> Option<(Key, Option<Attributes>)> {
    Some((key(of?)?, None))
}

fn of_transaction(write: &TransactWriteItem) -> Option<(Key, Option<Attributes>)> {
    put(write.put().map(Put::item)).or_else(|| deletion(write.delete().map(Delete::key)))
}
