//! Parts of texts, which are items of their own ([`super::bodies`]): read for the items that name them, and written before
//! them.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::{
    operation::{delete_item::builders::DeleteItemFluentBuilder, put_item::builders::PutItemFluentBuilder},
    types::ReturnConsumedCapacity,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    DynamoDb,
    attributes::{Attributes, content, read, units, written},
    bodies::{Image, PARTS_AT_ONCE},
    failure,
};
use crate::{
    Item, Key,
    backend::{Consistency, MOST_KEYS, Metered, Spent},
    table,
};
use error::Result;

/// How often an item is read again whose parts are gone, because another write has replaced it.
const READ_AGAIN: usize = 4;

/// How many calls for parts are under way at once.
const CALLS_AT_ONCE: usize = 8;

impl DynamoDb {
    /// Returns the items of `images` with all of their texts, in their order and without those that are deleted.
    ///
    /// An index tells of an item as it was a moment ago. Where its parts are gone, it is read as it is.
    pub(super) async fn completed(&self, images: Vec<Image>) -> Result<Metered<Vec<Item>>> {
        if images.iter().all(Image::is_whole) {
            return Ok((images.into_iter().filter_map(Image::whole).collect(), Spent::default()));
        }
        let mut spent = Spent::default();
        let mut images: Vec<Option<Image>> = images.into_iter().map(Some).collect();
        let mut items: Vec<Option<Item>> = vec![None; images.len()];
        for attempt in 0..=READ_AGAIN {
            let (contents, took) = self.contents(images.iter().flatten()).await?;
            spent = spent.and(took);
            let mut incomplete = Vec::new();
            for (place, image) in images.iter_mut().enumerate() {
                match image.take().map(|image| image.with(&contents)) {
                    Some(Ok(item)) => items[place] = Some(item),
                    Some(Err(image)) if attempt == READ_AGAIN => items[place] = Some(image.lost()),
                    Some(Err(image)) => incomplete.push((place, *image)),
                    None => {}
                }
            }
            if incomplete.is_empty() {
                break;
            }
            let mut found = HashMap::with_capacity(incomplete.len());
            for some in incomplete.chunks(MOST_KEYS) {
                let keys = some.iter().map(|(_, old)| written(&old.item.key)).collect::<Result<Vec<_>>>()?;
                let (read_again, took) = self.attributes_of(keys, Consistency::Strong).await?;
                spent = spent.and(took);
                for item in read_again {
                    let image = read(item)?;
                    found.insert(image.item.key.clone(), image);
                }
            }
            for (place, old) in incomplete {
                images[place] = found.remove(&old.item.key).map(|new| new.in_place_of(old));
            }
        }
        Ok((items.into_iter().flatten().collect(), spent))
    }

    /// Returns the items of `images` as they were told of, in their order; none for one of which a part is gone.
    pub(super) async fn stream_images(&self, images: Vec<Image>) -> Result<Metered<Vec<Option<Item>>>> {
        let (contents, spent) = self.contents(images.iter()).await?;
        Ok((images.into_iter().map(|image| image.with(&contents).ok()).collect(), spent))
    }

    /// Reads the parts that `images` name, as far as they are there.
    pub(super) async fn contents(
        &self,
        images: impl Iterator<Item = &Image>,
    ) -> Result<Metered<HashMap<Key, Vec<u8>>>> {
        // What one change has written, the next one has replaced.
        let keys: Vec<Key> = images.flat_map(Image::part_keys).collect::<BTreeSet<_>>().into_iter().collect();
        let calls: Vec<_> = keys.chunks(PARTS_AT_ONCE).map(<[Key]>::to_vec).collect();
        let answers: Vec<Metered<Vec<Attributes>>> = stream::iter(calls)
            .map(|keys| async move {
                let keys = keys.iter().map(written).collect::<Result<Vec<_>>>()?;
                self.attributes_of(keys, Consistency::Strong).await
            })
            .buffer_unordered(CALLS_AT_ONCE)
            .try_collect()
            .await?;
        let (mut contents, mut spent) = (HashMap::with_capacity(keys.len()), Spent::default());
        for (found, took) in answers {
            spent = spent.and(took);
            for part in found {
                let (key, content) = content(part)?;
                contents.insert(key, content);
            }
        }
        Ok((contents, spent))
    }

    /// Writes parts, which nobody names yet: all, or as good as none.
    pub(super) async fn put_parts(&self, parts: &[Attributes]) -> Result<Spent> {
        let outcome = self.put_all(parts).await;
        if outcome.is_err() {
            self.discard(parts).await;
        }
        outcome
    }

    async fn put_all(&self, parts: &[Attributes]) -> Result<Spent> {
        let calls: Vec<_> = parts
            .iter()
            .map(|part| {
                let put = self.client.put_item().table_name(&*self.table).set_item(Some(part.clone()));
                put.return_consumed_capacity(ReturnConsumedCapacity::Total)
            })
            .collect();
        let mut answers = stream::iter(calls).map(PutItemFluentBuilder::send).buffer_unordered(CALLS_AT_ONCE);
        let mut spent = Ok(Spent::default());
        // Each is waited for, so that none is written after it was deleted.
        while let Some(answer) = answers.next().await {
            spent = match (spent, answer) {
                (Ok(spent), Ok(answer)) => Ok(spent.and(Spent::once(units(answer.consumed_capacity.as_slice())))),
                (Ok(_), Err(error)) => Err(failure(&error)),
                (Err(error), _) => Err(error),
            };
        }
        spent
    }

    /// Deletes parts that nobody names, and nobody will.
    ///
    /// What can't be deleted stays for nobody, and is found by `proctor check`.
    pub(super) async fn discard(&self, parts: &[Attributes]) {
        let calls: Vec<_> = parts
            .iter()
            .map(|part| {
                let key = [table::PARTITION, table::SORT].map(|name| Some((name.to_owned(), part.get(name)?.clone())));
                self.client.delete_item().table_name(&*self.table).set_key(Some(key.into_iter().flatten().collect()))
            })
            .collect();
        let mut answers = stream::iter(calls).map(DeleteItemFluentBuilder::send).buffer_unordered(CALLS_AT_ONCE);
        while let Some(answer) = answers.next().await {
            if let Err(error) = answer {
                tracing::warn!(error = %failure(&error), "a part that no item names stays");
            }
        }
    }

    /// Returns the keys of the parts that the item under `key` names.
    pub(super) async fn parts_named_by(&self, key: &Key) -> Result<Vec<Key>> {
        let (found, _) = self.attributes_of(vec![written(key)?], Consistency::Strong).await?;
        let image = found.into_iter().next().map(read).transpose()?;
        Ok(image.map(|image| image.part_keys()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use embedded::{
        EmbeddedDatabase,
        faults::{Fault, Faults},
    };
    use error::Error;
    use uuid::Uuid;

    use super::*;
    use crate::{
        CommitError, Write,
        backend::{Backend, Query, ReadOut},
        query::Range,
        table::Index,
    };

    async fn table(faults: &Faults) -> DynamoDb {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let client = Client::from_conf(EmbeddedDatabase::config_with(faults.before(database.http_client())));
        let table = DynamoDb::new(client, "proctor-records");
        table.create().await.unwrap();
        table
    }

    /// Returns a text that is too long for an item, however it is compressed.
    fn noise() -> String {
        (0..4_000).map(|_| Uuid::new_v4().simple().to_string()).collect()
    }

    fn item(version: u64) -> Item {
        let place = [(Index::ByParent.partition(), "p".to_owned()), (Index::ByParent.sort(), "s".to_owned())];
        Item {
            version,
            head: Some("{}".into()),
            tail: Some(noise()),
            index_keys: place.into(),
            ..Item::under(crate::table::csrf_token("client"))
        }
    }

    async fn image(table: &DynamoDb) -> Image {
        let keys = vec![written(crate::table::csrf_token("client")).unwrap()];
        read(table.attributes_of(keys, Consistency::Strong).await.unwrap().0.pop().unwrap()).unwrap()
    }

    async fn find(table: &DynamoDb) -> Option<Item> {
        table.get(&[&crate::table::csrf_token("client")], Consistency::Strong).await.unwrap().0.pop()
    }

    async fn count(table: &DynamoDb) -> usize {
        table.walk(None, 1_000).await.unwrap().0.items.len()
    }

    async fn delete(table: &DynamoDb, image: &Image) {
        table.write_many(image.part_keys().into_iter().map(Write::Delete).collect()).await.unwrap();
    }

    #[tokio::test]
    async fn a_write_whose_condition_fails_leaves_no_part() {
        let table = table(&Faults::default()).await;
        let first = item(1);
        table.write(vec![Write::Insert(first.clone())]).await.unwrap();
        let parts = image(&table).await.part_keys().len();
        assert_eq!(count(&table).await, 1 + parts);
        let beside = Write::Put(Item { key: crate::table::csrf_token("other"), ..item(1) });
        for writes in [
            vec![Write::Insert(item(1))],
            vec![Write::Insert(item(1)), beside.clone()],
            vec![beside, Write::Replace(item(3))],
        ] {
            let refused = table.write(writes).await;
            assert!(matches!(refused, Err(CommitError::ConditionFailed(_))), "{refused:?}");
        }
        assert_eq!(count(&table).await, 1 + parts);
        assert_eq!(find(&table).await, Some(first));
    }

    #[tokio::test]
    async fn a_write_whose_answer_is_lost_keeps_its_parts() {
        let faults = Faults::on("PutItem");
        let table = table(&faults).await;
        let written = item(1);
        // The part, and then the item, whose write the SDK repeats.
        faults.then_pass().then(Fault::AnswerLost);
        let repeated = table.write(vec![Write::Insert(written.clone())]).await;
        assert!(matches!(repeated, Err(CommitError::ConditionFailed(0))), "{repeated:?}");
        assert_eq!((faults.left(), find(&table).await), (0, Some(written)));
    }

    #[tokio::test]
    async fn parts_that_can_not_all_be_written_are_none() {
        let faults = Faults::on("PutItem");
        let table = table(&faults).await;
        let large = Item { tail: Some((0..8).map(|_| noise()).collect()), ..item(1) };
        faults.then_pass();
        for _ in 0..20 {
            faults.then(Fault::InternalError);
        }
        let failed = table.write(vec![Write::Insert(large)]).await;
        assert!(matches!(failed, Err(CommitError::Failed(Error::Unavailable(_)))), "{failed:?}");
        assert_eq!(count(&table).await, 0);
    }

    #[tokio::test]
    async fn who_has_read_an_item_before_it_was_replaced_reads_it_again() {
        let table = table(&Faults::default()).await;
        table.write(vec![Write::Insert(item(1))]).await.unwrap();
        let old = image(&table).await;
        let new = item(2);
        table.write(vec![Write::Replace(new.clone())]).await.unwrap();
        assert_eq!(table.completed(vec![old.clone()]).await.unwrap().0[0].version, 1, "its parts are still there");
        delete(&table, &old).await;
        assert_eq!(table.completed(vec![old.clone()]).await.unwrap().0, [new]);
        assert_eq!(table.stream_images(vec![old.clone()]).await.unwrap().0, [None]);
        table.write(vec![Write::Delete(crate::table::csrf_token("client"))]).await.unwrap();
        assert_eq!(table.completed(vec![old]).await.unwrap().0, []);
    }

    #[tokio::test]
    async fn an_item_whose_parts_are_lost_can_not_be_read_and_its_page_can() {
        let table = table(&Faults::default()).await;
        table.write(vec![Write::Insert(item(1))]).await.unwrap();
        let range = Range::of_index(Index::ByParent, "p");
        let query = Query { range: &range, partition: "p", read_out: ReadOut::Items, limit: 10, start: None };
        let page = table.query(&query).await.unwrap().0;
        assert!(page.items[0].tail.as_ref().unwrap().len() > 100_000);
        delete(&table, &image(&table).await).await;
        for item in [find(&table).await.unwrap(), table.query(&query).await.unwrap().0.items.remove(0)] {
            assert!(matches!(item.record::<crate::backend::BodyPart>(), Err(Error::Unreadable(_))));
        }
    }
}
