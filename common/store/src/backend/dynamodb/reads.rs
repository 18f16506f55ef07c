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
    backend::{Consistency, Metered, Page, Position, Query, ReadOut, Spent},
    query::Direction,
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
        query = query.set_filter_expression(filter_expression(&range.texts));
        query = match range.index {
            Some(index) => query.index_name(index.name()),
            None => query.consistent_read(true),
        };
        query = match wanted.read_out {
            ReadOut::Items => query.projection_expression(read_out(range.index)),
            ReadOut::Briefs => query.projection_expression(table::BRIEF),
            ReadOut::Nothing => query.select(Select::Count),
        };
        let answer = query.send().await.map_err(|error| failure(&error))?;
        let page = page(answer.count, answer.scanned_count, answer.items, answer.last_evaluated_key)?;
        Ok((page, Spent::once(units(answer.consumed_capacity.as_slice()))))
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

/// Returns the attributes that are read out of an item of `index`.
fn read_out(index: Option<Index>) -> String {
    match index {
        None => table::READ_OUT.to_owned(),
        Some(index) if index.projection() == Projection::Head => {
            format!("{}, {}, {}", table::READ_OUT, table::BRIEF, index.sort())
        }
        Some(index) if index.projection() == Projection::Orders => {
            let orders = table::ORDERS.map(Index::sort).join(", ");
            format!("{}, {}, {orders}", table::READ_OUT, index.sort())
        }
        Some(index) => format!("{}, {}", table::READ_OUT, index.sort()),
    }
}

fn filter_expression(texts: &[Vec<String>]) -> Option<String> {
    let mut index_keys = 0..;
    let lists: Vec<String> = texts
        .iter()
        .map(|list| {
            let contains = list.iter().zip(&mut index_keys).map(|(_, place)| format!("contains(head, :text{place})"));
            format!("({})", contains.collect::<Vec<_>>().join(" OR "))
        })
        .collect();
    if lists.is_empty() { None } else { Some(lists.join(" AND ")) }
}
