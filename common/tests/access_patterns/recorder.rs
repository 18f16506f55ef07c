//! What requests read, as steps of a way.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeSerializationInterceptorContextRef as Context,
    },
    error::BoxError,
    operation::{
        batch_get_item::BatchGetItemInput, get_item::GetItemInput, query::QueryInput,
        transact_get_items::TransactGetItemsInput,
    },
    types::{AttributeValue, Get, KeysAndAttributes, TransactGetItem},
};
use common::store::{
    Key,
    table::{Collection, ENTITIES, EntityKind, GROUPS, GroupKind, Index, PARTITION, Piece, SORT, Shape, Step},
};

type Attributes = HashMap<String, AttributeValue>;

/// An SDK interceptor that records what each read asks for.
///
/// It refuses a read that the page of the table does not explain, so that the probe fails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Step>>>);

impl Recorder {
    /// Returns what `work` returns, and the steps that it takes.
    pub(crate) async fn record<T>(&self, work: impl Future<Output = T>) -> (T, Vec<Step>) {
        // A future sends nothing before it is awaited, so what was recorded before is of others.
        self.take();
        (work.await, self.take())
    }

    fn take(&self) -> Vec<Step> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a step, unless it was taken before: by another shard, page or batch, or to look at the same kind again.
    fn add(&self, step: Step) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
}

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_before_serialization(
        &self,
        context: &Context<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        if let Some(query) = input.downcast_ref::<QueryInput>() {
            for step in queried(query)? {
                self.add(step);
            }
        }
        let mut keys: Vec<&Attributes> = Vec::new();
        if let Some(get) = input.downcast_ref::<GetItemInput>() {
            keys.extend(get.key());
        }
        if let Some(batch) = input.downcast_ref::<BatchGetItemInput>() {
            keys.extend(batch.request_items().into_iter().flat_map(HashMap::values).flat_map(KeysAndAttributes::keys));
        }
        if let Some(transaction) = input.downcast_ref::<TransactGetItemsInput>() {
            keys.extend(transaction.transact_items().iter().filter_map(TransactGetItem::get).map(Get::key));
        }
        for key in keys {
            self.add(got(key)?);
        }
        Ok(())
    }
}

fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.get(name)?.as_s().ok().map(String::as_str)
}

fn got(key: &Attributes) -> Result<Step, BoxError> {
    let (pk, sk) = text(key, PARTITION).zip(text(key, SORT)).ok_or("a key without its two parts")?;
    let key = Key { pk: pk.to_owned(), sk: sk.to_owned() };
    match &ENTITIES.iter().filter(|kind| kind.value_of(&key).is_some()).collect::<Vec<_>>()[..] {
        [kind] => Ok(Step::Get(kind.name)),
        kinds => Err(format!("{key:?} is a key of {kinds:?}").into()),
    }
}

/// Recognises a query by the values in it, which have the names that the store's queries give them.
fn queried(query: &QueryInput) -> Result<Vec<Step>, BoxError> {
    let values = query.expression_attribute_values().ok_or("a query without values")?;
    let partition = text(values, ":pk").ok_or("a query without a partition")?;
    match query.index_name() {
        None => items(partition, text(values, ":from"), text(values, ":to")),
        Some(name) => Ok(vec![of_index(name, partition)?]),
    }
}

/// Finds the kinds of which a range of a partition of the table holds any number of items.
///
/// What has one place in the partition, as a run beside its states, is not what a range is read for.
fn items(partition: &str, from: Option<&str>, to: Option<&str>) -> Result<Vec<Step>, BoxError> {
    let is_in_range = |kind: &&EntityKind| {
        let start = start(kind.sort);
        let end = format!("{start}{}", char::MAX);
        is_a_series(kind)
            && has(kind, partition)
            && from.is_none_or(|from| *from <= *end)
            && to.is_none_or(|to| *to >= *start)
    };
    let steps: Vec<Step> = ENTITIES.iter().filter(is_in_range).map(|kind| Step::Items(kind.name)).collect();
    if steps.is_empty() {
        return Err(format!("in {partition}, from {from:?} to {to:?}, there is nothing").into());
    }
    Ok(steps)
}

fn is_a_series(kind: &EntityKind) -> bool {
    kind.sort.iter().any(|piece| matches!(piece, Piece::Value(_)))
}

/// Says whether items of `kind` are in `partition`.
fn has(kind: &EntityKind, partition: &str) -> bool {
    let pieces = kind.sort.iter().map(|piece| match piece {
        Piece::Word(word) => *word,
        Piece::Value(_) => "",
    });
    let any = Key { pk: partition.to_owned(), sk: pieces.collect::<Vec<_>>().join("#") };
    kind.value_of(&any).is_some()
}

/// Returns what all texts of this shape start with.
fn start(shape: Shape) -> String {
    let words = shape.iter().map_while(|piece| match piece {
        Piece::Word(word) => Some(format!("{word}#")),
        Piece::Value(_) => None,
    });
    words.collect()
}

/// Finds the collection or the group that a partition of an index is a shard of.
fn of_index(name: &str, partition: &str) -> Result<Step, BoxError> {
    let index = Index::ALL.into_iter().find(|index| index.name() == name).ok_or("a query of an unknown index")?;
    let is_shard = |collection: &&Collection| {
        let shard = partition.strip_prefix(collection.name()).and_then(|rest| rest.strip_prefix('#'));
        shard.is_some_and(|shard| shard.parse::<u8>().is_ok())
    };
    if let Some(collection) = Collection::ALL.iter().find(is_shard) {
        return Ok(Step::All(index, *collection));
    }
    // Groups of two indexes may be called alike. What the page says of a group names its indexes.
    let is_here = |group: &&GroupKind| group.has(partition) && group.what.contains(&format!("`{name}`"));
    // A value may hold what separates pieces, so of two shapes the one with more words says more.
    let words = |group: &&GroupKind| group.partition.iter().filter(|piece| matches!(piece, Piece::Word(_))).count();
    let group = GROUPS.iter().filter(is_here).max_by_key(words);
    let group = group.ok_or_else(|| format!("{partition} of {name} is in no group that is said to be there"))?;
    Ok(Step::Group(index, group.name))
}
