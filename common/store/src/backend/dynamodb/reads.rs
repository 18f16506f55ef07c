//! Reads of DynamoDB: items by key, pages of partitions, and a walk over everything.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity, Select};

use super::{
    DynamoDb, UNPROCESSED_RETRIES,
    attributes::{position, read, start, units, written},
    failure,
};
use crate::{
    Item, Key,
    backend::{Consistency, MOST_KEYS, Metered, Page, Position, Query, ReadOut, Spent},
    query::{Direction, Range},
    table::{self, Index, Projection},
};
use error::{Error, Result};

type Attributes = HashMap<String, AttributeValue>;

impl DynamoDb {
    pub(super) async fn get_one(&self, key: &Key) -> Result<Metered<Vec<Item>>> {
        let answer = self
            .client
            .get_item()
            .table_name(&*self.table)
            .set_key(Some(written(key)?))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        let spent = Spent::once(units(answer.consumed_capacity.as_slice()));
        Ok((answer.item.map(read).transpose()?.into_iter().collect(), spent))
    }

    pub(super) async fn get_batch(&self, keys: &[&Key], consistency: Consistency) -> Result<Metered<Vec<Item>>> {
        let (mut items, mut spent) = (Vec::with_capacity(keys.len()), Spent::default());
        let mut pending = keys.iter().map(written).collect::<Result<Vec<_>, _>>()?;
        for attempt in 0..=UNPROCESSED_RETRIES {
            if pending.is_empty() {
                return Ok((items, spent));
            }
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
            }
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut pending)))
                .consistent_read(consistency == Consistency::Strong)
                .build()
                .map_err(|error| Error::Internal(error.to_string()))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&*self.table, wanted)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| failure(&error))?;
            spent.round_trips += 1;
            spent.units += units(answer.consumed_capacity.as_deref().unwrap_or_default());
            for item in answer.responses.unwrap_or_default().remove(&*self.table).unwrap_or_default() {
                items.push(read(item)?);
            }
            let rest = answer.unprocessed_keys.unwrap_or_default().remove(&*self.table);
            pending = rest.map(|rest| rest.keys).unwrap_or_default();
        }
        if pending.is_empty() {
            Ok((items, spent))
        } else {
            Err(Error::Unavailable("keys were left unprocessed".into()))
        }
    }

    pub(super) async fn page_of(&self, wanted: &Query<'_>) -> Result<Metered<Page>> {
        let range = wanted.range;
        let (pk, sk) = match range.index {
            Some(index) => (index.partition(), index.sort()),
            None => (table::PARTITION.to_owned(), table::SORT.to_owned()),
        };
        let to = range.last();
        let sort_condition = match (&range.from, &to) {
            (Some(_), Some(_)) => format!(" AND {sk} BETWEEN :from AND :to"),
            (Some(_), None) => format!(" AND {sk} >= :from"),
            (None, Some(_)) => format!(" AND {sk} <= :to"),
            (None, None) => String::new(),
        };
        let mut query = self
            .client
            .query()
            .table_name(&*self.table)
            .key_condition_expression(format!("{pk} = :pk{sort_condition}"))
            .expression_attribute_values(":pk", AttributeValue::S(wanted.partition.to_owned()))
            .scan_index_forward(range.direction == Direction::Ascending)
            .limit(i32::try_from(wanted.limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(wanted.start.clone().map(start))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if let Some(from) = &range.from {
            query = query.expression_attribute_values(":from", AttributeValue::S(from.clone()));
        }
        if let Some(to) = to {
            query = query.expression_attribute_values(":to", AttributeValue::S(to));
        }
        for (place, text) in range.texts.iter().flatten().enumerate() {
            query = query.expression_attribute_values(format!(":text{place}"), AttributeValue::S(text.clone()));
        }
        query = query.set_filter_expression(filter_expression(&range.texts, range.index.is_none()));
        query = match range.index {
            Some(index) => query.index_name(index.name()),
            None => query.consistent_read(true),
        };
        query = match wanted.read_out {
            ReadOut::Nothing => query.select(Select::Count),
            // No index has a `brief`.
            ReadOut::Items | ReadOut::Briefs => query.projection_expression(read_out(range)),
        };
        let answer = query.send().await.map_err(|error| failure(&error))?;
        let mut page = page(answer.count, answer.scanned_count, answer.items, answer.last_evaluated_key)?;
        let mut spent = Spent::once(units(answer.consumed_capacity.as_slice()));
        if wanted.read_out != ReadOut::Nothing && carried(range) == Projection::Fetched {
            page.items = self.fetched(page.items, &mut spent).await?;
            page.count = page.items.len();
        }
        Ok((page, spent))
    }

    /// Fetches the items that entries of an index stand for, in their order; those that are gone are left out.
    async fn fetched(&self, entries: Vec<Item>, spent: &mut Spent) -> Result<Vec<Item>> {
        let keys: Vec<&Key> = entries.iter().map(|entry| &entry.key).collect();
        let batches = keys.chunks(MOST_KEYS).map(|batch| self.get_batch(batch, Consistency::Eventual));
        let mut found: HashMap<Key, Item> = HashMap::with_capacity(keys.len());
        for (items, took) in futures::future::try_join_all(batches).await? {
            spent.round_trips += took.round_trips;
            spent.units += took.units;
            found.extend(items.into_iter().map(|item| (item.key.clone(), item)));
        }
        let whole = |entry: Item| {
            let item = found.remove(&entry.key)?;
            // Its place in the order is that of the entry, which an item that has changed since may have left.
            Some(Item { index_keys: entry.index_keys, ..item })
        };
        Ok(entries.into_iter().filter_map(whole).collect())
    }

    pub(super) async fn page_of_all(&self, from: Option<Position>, limit: usize) -> Result<Metered<Page>> {
        let answer = self
            .client
            .scan()
            .table_name(&*self.table)
            .consistent_read(true)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from.map(start))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        let page = page(answer.count, answer.scanned_count, answer.items, answer.last_evaluated_key)?;
        Ok((page, Spent::once(units(answer.consumed_capacity.as_slice()))))
    }
}

/// Reads a page: how many items it has and how many were looked at, the items, and the key of the last one.
fn page(count: i32, looked_at: i32, items: Option<Vec<Attributes>>, last: Option<Attributes>) -> Result<Page> {
    Ok(Page {
        count: usize::try_from(count).unwrap_or_default(),
        looked_at: usize::try_from(looked_at).unwrap_or_default(),
        items: items.unwrap_or_default().into_iter().map(read).collect::<Result<_>>()?,
        next: last.map(position).transpose()?,
    })
}

/// Returns what is read out of an item of `range`: records that the index does not keep are fetched by key.
pub(super) fn carried(range: &Range) -> Projection {
    let all = |is: fn(&str) -> bool| range.partitions.iter().all(|partition| is(partition));
    match range.index.map(Index::projection) {
        None => Projection::All,
        Some(Projection::Head) if all(table::is_head_kept) => Projection::Head,
        // Their queries fetch those that they need.
        Some(Projection::Head) if all(table::is_of_events) => Projection::Keys,
        Some(Projection::All | Projection::Head | Projection::Fetched) => Projection::Fetched,
        Some(Projection::Orders | Projection::Keys) => Projection::Keys,
    }
}

/// Returns the attributes that are read out of an item of `range`.
fn read_out(range: &Range) -> String {
    match range.index {
        None => format!("{}, {}", table::READ_OUT, table::OWN_HEAD),
        Some(index) if carried(range) == Projection::Head => format!("pk, sk, head, {}", index.sort()),
        Some(index) => format!("pk, sk, {}", index.sort()),
    }
}

/// Returns the expression by which only items are read out whose `head` contains a text of each list, under either name.
fn filter_expression(texts: &[Vec<String>], is_of_table: bool) -> Option<String> {
    let mut places = 0..;
    let contains = |place: usize| {
        let head = format!("contains(head, :text{place})");
        if is_of_table { format!("{head} OR contains({}, :text{place})", table::OWN_HEAD) } else { head }
    };
    let lists: Vec<String> = texts
        .iter()
        .map(|list| {
            let texts = list.iter().zip(&mut places).map(|(_, place)| contains(place));
            format!("({})", texts.collect::<Vec<_>>().join(" OR "))
        })
        .collect();
    if lists.is_empty() { None } else { Some(lists.join(" AND ")) }
}
