//! Reads of DynamoDB: items by key, pages of partitions, and a walk over everything.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity, Select},
};

use super::{
    DynamoDb, UNPROCESSED_RETRIES,
    attributes::{Attributes, position, read, start, units, written},
    bodies::{COUNT, HEAD_IN_PARTS, Image, TOKEN},
    failure, spelling, tallies,
};
use crate::{
    Item, Key,
    backend::{Consistency, MOST_KEYS, Metered, Page, Position, Query, ReadOut, Spent},
    query::{Direction, Range, Wanted},
    table::{self, Index, Projection},
};
use error::{Error, Result};

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
        self.whole(answer.item.into_iter().collect(), spent).await
    }

    pub(super) async fn get_batch(&self, keys: &[&Key], consistency: Consistency) -> Result<Metered<Vec<Item>>> {
        let keys = keys.iter().map(written).collect::<Result<Vec<_>>>()?;
        let (found, spent) = self.attributes_of(keys, consistency).await?;
        self.whole(found, spent).await
    }

    /// Reads items and their parts, after what was `spent` on them so far.
    async fn whole(&self, items: Vec<Attributes>, spent: Spent) -> Result<Metered<Vec<Item>>> {
        let images = items.into_iter().map(read).collect::<Result<Vec<_>>>()?;
        let (items, more) = self.completed(images).await?;
        Ok((items, spent.and(more)))
    }

    /// Reads what is under `pending` keys as it is written.
    pub(super) async fn attributes_of(
        &self,
        mut pending: Vec<Attributes>,
        consistency: Consistency,
    ) -> Result<Metered<Vec<Attributes>>> {
        let (mut items, mut spent) = (Vec::with_capacity(pending.len()), Spent::default());
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
            spent = spent.and(Spent::once(units(answer.consumed_capacity.as_deref().unwrap_or_default())));
            items.extend(answer.responses.unwrap_or_default().remove(&*self.table).unwrap_or_default());
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
        let to = range.to.as_ref().map(|to| Range::last_with(&spelling::bound(&sk, to)));
        let (partition, value) = spelling::spelled(&pk, wanted.partition);
        let sort_condition = match (&range.from, &to) {
            (Some(_), Some(_)) => " AND #sort BETWEEN :from AND :to",
            (Some(_), None) => " AND #sort >= :from",
            (None, Some(_)) => " AND #sort <= :to",
            (None, None) => "",
        };
        let mut query = self
            .client
            .query()
            .table_name(&*self.table)
            .key_condition_expression(format!("#partition = :pk{sort_condition}"))
            .expression_attribute_names("#partition", partition)
            .expression_attribute_values(":pk", AttributeValue::S(value.into_owned()))
            .scan_index_forward(range.direction == Direction::Ascending)
            .limit(i32::try_from(wanted.limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(wanted.start.clone().map(start))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if let Some(from) = &range.from {
            query =
                query.expression_attribute_values(":from", AttributeValue::S(spelling::bound(&sk, from).into_owned()));
        }
        if let Some(to) = to {
            query = query.expression_attribute_values(":to", AttributeValue::S(to));
        }
        for (place, text) in range.texts.iter().flatten().enumerate() {
            query = query.expression_attribute_values(format!(":text{place}"), AttributeValue::S(text.clone()));
        }
        if let Some(filter) = filter_expression(&range.texts) {
            query =
                query.filter_expression(filter).expression_attribute_values(":parts", AttributeValue::S("M".into()));
        }
        query = match range.index {
            Some(index) => query.index_name(index.name()),
            // There are many, and none ever changes.
            None => query.consistent_read(!table::is_of_timed_events(wanted.partition)),
        };
        let is_read_out = wanted.read_out != ReadOut::Nothing && range.index.is_some();
        if is_read_out || !sort_condition.is_empty() {
            query = query.expression_attribute_names("#sort", spelling::attribute_name(&sk));
        }
        query = match wanted.read_out {
            // No index has a `brief`.
            ReadOut::Items | ReadOut::Briefs => query.projection_expression(read_out(range)),
            ReadOut::Nothing if range.texts.is_empty() => query.select(Select::Count),
            // Of nearly all items this is nothing.
            ReadOut::Nothing => named(query.projection_expression(HEAD_IN_PARTS)),
        };
        let answer = query.send().await.map_err(|error| failure(&error))?;
        let spent = Spent::once(units(answer.consumed_capacity.as_slice()));
        let (page, images) = page(answer.count, answer.scanned_count, answer.items, answer.last_evaluated_key)?;
        match wanted.read_out {
            ReadOut::Items | ReadOut::Briefs => {
                let is_seen = !images.iter().any(Image::has_head_in_parts);
                let (mut page, spent) = self.whole_page((page, images), spent).await?;
                page.items.retain(|item| is_seen || contains(item, &range.texts));
                if carried(range) == Projection::Fetched {
                    return self.fetched(page, spent).await;
                }
                page.count = page.items.len();
                Ok((page, spent))
            }
            ReadOut::Nothing if images.iter().any(Image::has_head_in_parts) => {
                self.counted(page, images, wanted, spent).await
            }
            ReadOut::Nothing => Ok((page, spent)),
        }
    }

    /// Fetches the items that the entries of a page stand for, in their order; those that are gone are left out.
    async fn fetched(&self, page: Page, mut spent: Spent) -> Result<Metered<Page>> {
        let keys: Vec<&Key> = page.items.iter().map(|entry| &entry.key).collect();
        let batches = keys.chunks(MOST_KEYS).map(|batch| self.get_batch(batch, Consistency::Eventual));
        let mut found: HashMap<Key, Item> = HashMap::with_capacity(keys.len());
        for (items, took) in futures::future::try_join_all(batches).await? {
            spent = spent.and(took);
            found.extend(items.into_iter().map(|item| (item.key.clone(), item)));
        }
        let whole = |entry: Item| {
            let item = found.remove(&entry.key)?;
            // Its place in the order is that of the entry, which an item that has changed since may have left.
            Some(Item { index_keys: entry.index_keys, ..item })
        };
        let items: Vec<Item> = page.items.into_iter().filter_map(whole).collect();
        Ok((Page { count: items.len(), items, ..page }, spent))
    }

    /// Counts the items of the page of which only so much was read that those are left to look at whose `head` is in parts.
    ///
    /// One whose parts are gone counts: it is about to have another place in the index, or none.
    async fn counted(&self, page: Page, images: Vec<Image>, wanted: &Query<'_>, spent: Spent) -> Result<Metered<Page>> {
        let (contents, more) = self.contents(images.iter()).await?;
        let is_wanted = |image: Image| {
            let was_unseen = image.has_head_in_parts();
            let item = image.with(&contents).unwrap_or_else(|image| image.item);
            !was_unseen || item.head.is_none() || contains(&item, &wanted.range.texts)
        };
        let count = images.into_iter().map(is_wanted).filter(|is_wanted| *is_wanted).count();
        Ok((Page { count, ..page }, spent.and(more)))
    }

    pub(super) async fn page_of_all(&self, from: Option<Position>, limit: usize) -> Result<Metered<Page>> {
        let answer = self
            .client
            .scan()
            .table_name(&*self.table)
            .consistent_read(true)
            // They are no records.
            .filter_expression("NOT begins_with(pk, :tallies)")
            .expression_attribute_values(":tallies", AttributeValue::S(tallies::PREFIX.to_owned()))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from.map(start))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        let spent = Spent::once(units(answer.consumed_capacity.as_slice()));
        let page = page(answer.count, answer.scanned_count, answer.items, answer.last_evaluated_key)?;
        self.whole_page(page, spent).await
    }

    /// Reads the parts of a page's items, after what was `spent` on it so far.
    async fn whole_page(&self, (page, images): (Page, Vec<Image>), spent: Spent) -> Result<Metered<Page>> {
        let (items, more) = self.completed(images).await?;
        Ok((Page { items, ..page }, spent.and(more)))
    }
}

/// Reads a page, and its items as they are written: how many it has, how many were looked at, and where it ends.
fn page(
    count: i32,
    looked_at: i32,
    items: Option<Vec<Attributes>>,
    last: Option<Attributes>,
) -> Result<(Page, Vec<Image>)> {
    let page = Page {
        count: usize::try_from(count).unwrap_or_default(),
        looked_at: usize::try_from(looked_at).unwrap_or_default(),
        items: Vec::new(),
        next: last.map(position).transpose()?,
    };
    Ok((page, items.unwrap_or_default().into_iter().map(read).collect::<Result<_>>()?))
}

/// Gives the query the names in [`HEAD_IN_PARTS`].
fn named(query: QueryFluentBuilder) -> QueryFluentBuilder {
    query.expression_attribute_names("#token", TOKEN).expression_attribute_names("#count", COUNT)
}

/// Returns what is read out of an item of `range`: records that the index does not keep are fetched by key.
pub(super) fn carried(range: &Range) -> Projection {
    let all = |is: fn(&str) -> bool| range.partitions.iter().all(|partition| is(partition));
    match range.index.map(Index::projection) {
        None => Projection::All,
        Some(_) if range.wanted == Wanted::Record => Projection::Fetched,
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
        None => format!("{}, {}", table::READ_OUT, table::BODY),
        Some(_) if carried(range) == Projection::Head => "pk, sk, head, #sort".to_owned(),
        Some(_) => "pk, sk, #sort".to_owned(),
    }
}

/// Returns the condition for items whose `head` contains a text of each list.
///
/// One that is in parts is read out whatever it contains, and looked at here ([`contains`]).
fn filter_expression(texts: &[Vec<String>]) -> Option<String> {
    let mut index_keys = 0..;
    let lists: Vec<String> = texts
        .iter()
        .map(|list| {
            let contains = list.iter().zip(&mut index_keys).map(|(_, place)| format!("contains(head, :text{place})"));
            format!("({})", contains.collect::<Vec<_>>().join(" OR "))
        })
        .collect();
    if lists.is_empty() {
        return None;
    }
    let lists = lists.join(" AND ");
    Some(format!("attribute_type(head, :parts) OR {lists}"))
}

/// Says whether the `head` of `item` contains a text of each list.
fn contains(item: &Item, texts: &[Vec<String>]) -> bool {
    let head = item.head.as_deref().unwrap_or_default();
    texts.iter().all(|list| list.iter().any(|text| head.contains(text)))
}
