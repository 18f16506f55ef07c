//! A partition that is counted from both of its ends: each item once, whatever the pages.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use common::{
    Store,
    store::{
        Item, Key, Record, Shards, cost,
        query::Range,
        table::{self, Index, IndexKey},
    },
};
use embedded::EmbeddedDatabase;
use serde::{Deserialize, Serialize};

/// How many items there are: more than four pages of an index that carries as much.
const ITEMS: usize = 6_000;

/// What one page of a count holds.
const PAGE: usize = 1_400;

/// The least that can be counted.
#[derive(Serialize, Deserialize)]
struct Numbered {
    number: usize,
}

common::store::json_record!(Numbered);

impl Record for Numbered {
    const HEAD: &'static [&'static str] = &["number"];

    fn key(&self) -> Key {
        table::csrf_token(&self.number.to_string())
    }

    fn index_keys(&self, _shards: Shards) -> Vec<IndexKey> {
        vec![IndexKey { index: Index::ByTime, pk: "numbers".to_owned(), sk: place(self.number) }]
    }
}

/// Returns a sort key that ends with digits of both kinds of notation, as times with ids do.
fn place(number: usize) -> String {
    format!("{number:04}#{:x}", number % 16)
}

#[tokio::test]
async fn each_item_is_counted_once() {
    let store = Store::new(
        aws_sdk_dynamodb::Client::from_conf(EmbeddedDatabase::in_memory().unwrap().sdk_config()),
        "table",
        Shards(1),
    );
    store.create_table().await.unwrap();
    let items = (0..ITEMS).map(|number| Item::of(&Numbered { number }, 1, Shards(1)).unwrap()).collect();
    store.insert_missing(items).await.unwrap();
    let sizes =
        [0, 1, 2, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE - 1, 3 * PAGE + 1, 4 * PAGE, 4 * PAGE + 7, ITEMS];
    for size in sizes {
        let first = ITEMS - size;
        let range = Range::of_index(Index::ByTime, "numbers").between(Some(place(first)), Some("9".into()));
        let (count, cost) = cost::measured(store.count(range)).await;
        assert_eq!(count.unwrap(), size as u64, "of {size}");
        assert!(cost.items_read <= (size + 2 * PAGE) as u64, "of {size}: {cost:?}");
    }
}
