//! The same calls on SQLite and on DynamoDB's emulator have the same answers, pages, errors and changes.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use embedded::{ChangeStream, EmbeddedDatabase, StreamRecord};
use proptest::{collection::vec, option, prelude::*, sample::select};
use sqlite::{Change, Changes, Database, Mode};
use store::{
    CommitError, Item, Key, Write,
    backend::{Backend, Consistency, DynamoDb, Image, Page, Position, Query, ReadOut},
    query::{Direction, Range},
    table::{Index, Projection, SHARD, Subject},
};
use tempfile::TempDir;

/// More pages of one item than there are items.
const MOST_PAGES: usize = 100;

const TABLE: &str = "proctor-records";

/// The sort keys that items have in the table: of kinds that are followed, and of one that is not.
const SORTS: [&str; 6] = ["run", "state#1", "state#2", "deleted", "ü", "unique"];

/// The sort key of a part of a text.
const PART: &str = "body_part";

/// The texts that heads hold, and that queries look for.
const TEXTS: [&str; 4] = ["\"a\"", "\"b\"", "ab", "ü"];

/// A call of the database.
#[derive(Clone, Debug)]
enum Call {
    Write(Vec<Wish>),
    WriteMany(Vec<Wish>),
    Get(Vec<(usize, usize)>, Consistency),
    Query(Wanted),
    Walk(usize),
    Sweep,
    Consume(usize),
}

/// A write of the item at a place.
#[derive(Clone, Debug)]
struct Wish {
    partition: usize,
    sort: usize,
    kind: Kind,
    content: Content,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Insert,
    Replace,
    Put,
    Delete,
    DeleteVersion,
}

/// What is in an item besides its key.
#[derive(Clone, Debug)]
struct Content {
    version: u64,
    is_announced: bool,
    /// When it expires, in minutes from now.
    expires: Option<i64>,
    brief: Option<u8>,
    head: Option<Vec<usize>>,
    /// How many bytes of the head say nothing.
    padding: usize,
    tail: Option<usize>,
    /// The partitions of the indexes that it is in.
    places: BTreeMap<usize, u8>,
    /// What the sort keys begin with.
    sorts: u8,
}

/// A query, followed to its end.
#[derive(Clone, Debug)]
struct Wanted {
    index: Option<usize>,
    partition: usize,
    from: Option<u8>,
    to: Option<u8>,
    direction: Direction,
    texts: Vec<Vec<usize>>,
    read_out: ReadOut,
    limit: usize,
}

fn partition(number: usize) -> String {
    // Flow runs and their states are followed, claims are not.
    let id = format!("00000000-0000-4000-8000-00000000000{number}");
    if number == 3 { format!("unique#flow#{number}") } else { format!("flow_run#{id}") }
}

fn key(partition_number: usize, sort: usize) -> Key {
    Key { pk: partition(partition_number), sk: SORTS[sort].to_owned() }
}

/// Returns the partition key of an index that `number` names; those of a whole collection share it.
fn index_partition(index: Index, number: u8) -> String {
    match number {
        // The heads of runs are in no index.
        0 if index.partition() == SHARD => "flow_runs#0".to_owned(),
        _ => format!("{}{number}", index.partition()),
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// Returns a text that is hard to compress, and in which none of [`TEXTS`] is.
fn noise(bytes: usize) -> String {
    let digits = "0123456789-+.:;_".as_bytes();
    let mut state = bytes as u64 + 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(digits[usize::try_from(state >> 60).unwrap()])
    };
    (0..bytes).map(next).collect()
}

fn item(key: Key, content: &Content) -> Item {
    let mut index_keys = BTreeMap::new();
    for (place, group) in &content.places {
        let index = Index::ALL[*place];
        index_keys.insert(index.partition(), index_partition(index, *group));
        // What is not unique ends with an id, so no two items have the same sort key in an index.
        index_keys.insert(index.sort(), format!("{}\u{1}{}{}", content.sorts, key.pk, key.sk));
    }
    let head = |texts: &Vec<usize>| {
        texts.iter().map(|text| TEXTS[*text]).collect::<Vec<_>>().join(",") + &noise(content.padding)
    };
    Item {
        key,
        version: content.version,
        announced: content.is_announced.then_some(content.version),
        // No text of a record is empty, so it doesn't matter whether it is there.
        head: content.head.as_ref().map(head).filter(|text| !text.is_empty()),
        tail: content.tail.map(noise).filter(|text| !text.is_empty()),
        brief: content.brief.map(|brief| brief.to_string()),
        expires: content.expires.map(|minutes| now() + 60 * minutes),
        index_keys,
    }
}

fn write(wish: &Wish, versions: &HashMap<Key, u64>) -> Write {
    let key = key(wish.partition, wish.sort);
    let there = versions.get(&key).copied().unwrap_or_default();
    let item = item(key.clone(), &wish.content);
    match wish.kind {
        Kind::Insert => Write::Insert(item),
        // Mostly the version that is there, and sometimes another.
        Kind::Replace => {
            let version = if wish.content.version == 1 { there + 2 } else { there + 1 };
            let announced = item.announced.map(|_| version);
            Write::Replace(Item { version, announced, ..item })
        }
        Kind::Put => Write::Put(item),
        Kind::Delete => Write::Delete(key),
        Kind::DeleteVersion => Write::DeleteVersion(key, there + u64::from(wish.content.version == 1)),
    }
}

fn contents() -> impl Strategy<Value = Content> {
    let places = proptest::collection::btree_map(0..Index::ALL.len(), 0..2_u8, 0..5);
    let sizes = prop_oneof![20 => 0..200_usize, 1 => Just(60_000), 1 => Just(200_000), 1 => Just(800_000)];
    let paddings = prop_oneof![20 => Just(0_usize), 1 => Just(20_000), 1 => Just(60_000), 1 => Just(800_000)];
    let texts = option::weighted(0.8, vec(0..TEXTS.len(), 0..3));
    let expires = option::weighted(0.3, select(vec![-100_i64, -2, 100]));
    let heads = (texts, paddings);
    (1..6_u64, any::<bool>(), expires, option::of(0..9_u8), heads, option::weighted(0.7, sizes), places, 0..3_u8)
        .prop_map(|(version, is_announced, expires, brief, (head, padding), tail, places, sorts)| Content {
            version,
            is_announced,
            expires,
            brief,
            head,
            padding,
            tail,
            places,
            sorts,
        })
}

fn wishes(kinds: Vec<Kind>, most: usize) -> impl Strategy<Value = Vec<Wish>> {
    vec((0..4_usize, 0..SORTS.len(), select(kinds), contents()), 1..most).prop_map(|wishes| {
        let mut seen = BTreeSet::new();
        let wish = |(partition, sort, kind, content)| Wish { partition, sort, kind, content };
        // Every item is touched once.
        wishes.into_iter().map(wish).filter(|wish| seen.insert((wish.partition, wish.sort))).collect()
    })
}

fn queries() -> impl Strategy<Value = Wanted> {
    let texts = prop_oneof![3 => Just(Vec::new()), 1 => vec(vec(0..TEXTS.len(), 1..3), 1..3)];
    let read_outs = select(vec![ReadOut::Items, ReadOut::Items, ReadOut::Briefs, ReadOut::Nothing]);
    let directions = select(vec![Direction::Ascending, Direction::Descending]);
    let limits = prop_oneof![1..5_usize, Just(1_000)];
    (
        option::weighted(0.8, 0..Index::ALL.len()),
        0..4_usize,
        option::weighted(0.3, 0..3_u8),
        option::weighted(0.3, 0..3_u8),
        directions,
        texts,
        read_outs,
        limits,
    )
        .prop_map(|(index, partition, from, to, direction, texts, read_out, limit)| Wanted {
            index,
            partition,
            from: from.min(to.or(from)),
            to,
            direction,
            texts,
            read_out,
            limit,
        })
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    use Kind::{Delete, DeleteVersion, Insert, Put, Replace};
    let any_kind = vec![Insert, Insert, Replace, Replace, Put, Delete, DeleteVersion];
    let keys = vec((0..4_usize, 0..SORTS.len()), 0..8).prop_map(|keys| {
        let distinct: BTreeSet<_> = keys.into_iter().collect();
        distinct.into_iter().collect::<Vec<_>>()
    });
    let consistencies = select(vec![Consistency::Strong, Consistency::Eventual]);
    let call = prop_oneof![
        3 => wishes(any_kind.clone(), 2).prop_map(Call::Write),
        4 => wishes(any_kind, 6).prop_map(Call::Write),
        2 => wishes(vec![Put, Put, Delete], 9).prop_map(Call::WriteMany),
        1 => (keys, consistencies).prop_map(|(keys, consistency)| Call::Get(keys, consistency)),
        4 => queries().prop_map(Call::Query),
        1 => (1..9_usize).prop_map(Call::Walk),
        1 => Just(Call::Sweep),
        1 => (1..9_usize).prop_map(Call::Consume),
    ];
    vec(call, 1..40)
}

/// The databases that are compared.
struct Compared {
    emulator: EmbeddedDatabase,
    dynamodb: DynamoDb,
    stream: ChangeStream,
    subjects: Vec<(Database, Changes)>,
    versions: HashMap<Key, u64>,
    _directory: TempDir,
}

/// A change, as both tell of it.
type Told = (Key, Option<Item>, Option<Item>);

impl Compared {
    async fn new() -> Self {
        let emulator = EmbeddedDatabase::in_memory().unwrap();
        let dynamodb = DynamoDb::new(Client::from_conf(emulator.sdk_config()), TABLE);
        dynamodb.create().await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = Database::open(&directory.path().join("proctor.db"), Mode::Serving).unwrap();
        let subjects = [Database::in_memory().unwrap(), file].map(|database| {
            let changes = database.changes();
            (database, changes)
        });
        let stream = emulator.change_stream(TABLE);
        let subjects = subjects.into();
        Self { emulator, dynamodb, stream, subjects, versions: HashMap::new(), _directory: directory }
    }

    async fn call(&mut self, call: &Call) {
        match call {
            Call::Write(wishes) => self.write(wishes).await,
            Call::WriteMany(wishes) => {
                let writes: Vec<Write> = wishes.iter().map(|wish| write(wish, &self.versions)).collect();
                let expected = self.dynamodb.write_many(writes.clone()).await;
                for (database, _) in &self.subjects {
                    let outcome = database.write_many(writes.clone()).await;
                    assert_eq!(kind_of(outcome.map(drop)), kind_of(expected.clone().map(drop)), "{writes:?}");
                }
                if expected.is_ok() {
                    self.note(&writes);
                }
            }
            Call::Get(places, consistency) => {
                let keys: Vec<Key> = places.iter().map(|(partition, sort)| key(*partition, *sort)).collect();
                let keys: Vec<&Key> = keys.iter().collect();
                // DynamoDB takes no empty batch, and the store asks for none.
                if keys.is_empty() {
                    return;
                }
                let expected = by_key(self.dynamodb.get(&keys, *consistency).await.unwrap().0);
                for (database, _) in &self.subjects {
                    assert_eq!(by_key(plain(database.get(&keys, *consistency).await.unwrap().0)), expected);
                }
            }
            Call::Query(wanted) => self.query(wanted).await,
            Call::Walk(limit) => {
                let expected = by_key(walked(&self.dynamodb, *limit).await);
                for (database, _) in &self.subjects {
                    assert_eq!(by_key(plain(walked(database, *limit).await)), expected);
                    let count = database.approximate_item_count().await;
                    assert_eq!(count, u64::try_from(expected.len()).ok());
                }
            }
            Call::Sweep => {
                let expected = self.emulator.sweep_expired().await.unwrap();
                for (database, _) in &self.subjects {
                    assert_eq!(database.sweep_expired().await.unwrap(), expected);
                }
                let is_expired = |item: &Item| item.expires.is_some_and(|time| time < now());
                let left = walked(&self.dynamodb, 100).await;
                assert!(!left.iter().any(is_expired));
                self.versions = left.into_iter().map(|item| (item.key, item.version)).collect();
            }
            Call::Consume(limit) => self.consume(*limit).await,
        }
    }

    async fn write(&mut self, wishes: &[Wish]) {
        let writes: Vec<Write> = wishes.iter().map(|wish| write(wish, &self.versions)).collect();
        let expected = self.dynamodb.write(writes.clone()).await.map(drop);
        for (database, _) in &self.subjects {
            let outcome = database.write(writes.clone()).await.map(drop);
            match (&outcome, &expected) {
                (Ok(()), Ok(())) => {}
                (Err(CommitError::ConditionFailed(here)), Err(CommitError::ConditionFailed(there))) => {
                    assert_eq!(here, there, "{writes:?}");
                }
                (Err(CommitError::Failed(here)), Err(CommitError::Failed(there))) => {
                    assert_eq!(std::mem::discriminant(here), std::mem::discriminant(there), "{here:?} {there:?}");
                }
                _ => panic!("{outcome:?}, and DynamoDB says {expected:?}, to {writes:?}"),
            }
        }
        if expected.is_ok() {
            self.note(&writes);
        }
    }

    /// Notes which versions are there.
    fn note(&mut self, writes: &[Write]) {
        for write in writes {
            match write {
                Write::Insert(item) | Write::Replace(item) | Write::Put(item) => {
                    self.versions.insert(item.key.clone(), item.version);
                }
                Write::Delete(key) | Write::DeleteVersion(key, _) => {
                    self.versions.remove(key);
                }
            }
        }
    }

    async fn query(&self, wanted: &Wanted) {
        let Wanted { index, partition: number, from, to, direction, texts, .. } = wanted;
        let index = index.map(|place| Index::ALL[place]);
        let group = u8::try_from(*number % 2).unwrap();
        let partition = index.map_or_else(|| partition(*number), |index| index_partition(index, group));
        let bound =
            |number: u8| if index.is_some() { number.to_string() } else { SORTS[usize::from(number)].to_owned() };
        let (mut from, to) = (from.map(bound), to.map(bound));
        if to.is_some() && from > to {
            from = None;
        }
        let range = match index {
            Some(index) => Range::of_index(index, partition.clone()),
            None => Range::partition(partition.clone()),
        };
        let texts = texts.iter().map(|list| list.iter().map(|text| TEXTS[*text].to_owned()).collect()).collect();
        let range = range.between(from, to).in_direction(*direction);
        let carried = self.dynamodb.carried(&range);
        // What looks into heads is asked only where they are.
        let has_head = carried == Projection::Head;
        let range = if has_head { range.containing(texts) } else { range };
        let read_out = if wanted.read_out == ReadOut::Briefs { ReadOut::Items } else { wanted.read_out };
        let wanted = &Wanted { read_out, ..wanted.clone() };
        let expected = pages(&self.dynamodb, &range, &partition, wanted).await;
        for (database, _) in &self.subjects {
            let pages = pages(database, &range, &partition, wanted).await;
            assert_eq!(summary(&pages), summary(&expected), "{range:?}");
            let items = |pages: &[Page]| {
                let items = pages.iter().flat_map(|page| page.items.clone());
                items.map(|item| known_to_both(item, index)).collect::<Vec<_>>()
            };
            assert_eq!(items(&pages), items(&expected), "{range:?}");
            assert!(pages.iter().all(|page| page.looked_at <= wanted.limit), "{pages:?}");
            // Only the page in which the partition is empty looks at nothing.
            assert!(pages.len() == 1 || pages.iter().all(|page| page.looked_at > 0), "{pages:?}");
        }
    }

    async fn consume(&mut self, limit: usize) {
        let mut expected = Vec::new();
        while let Ok(records) = tokio::time::timeout(SOON, self.stream.next(100)).await {
            let records = records.unwrap();
            expected.extend(self.told(&records).await);
            self.stream.acknowledge(&records).unwrap();
        }
        for (_, changes) in &mut self.subjects {
            let mut found: Vec<Told> = Vec::new();
            while found.len() < expected.len() {
                let first = changes.next(limit).await.unwrap();
                // What is not acknowledged comes again.
                let again = changes.next(limit).await.unwrap();
                assert_eq!(first, again);
                assert!((1..=limit).contains(&first.len()));
                let without_brief = |item: Option<Item>| item.map(|item| Item { brief: None, ..item });
                found.extend(
                    first
                        .into_iter()
                        .map(|Change { key, before, after, .. }| (key, without_brief(before), without_brief(after))),
                );
                changes.acknowledge();
            }
            assert_eq!(of_each_item(&found), of_each_item(&expected));
        }
    }

    /// Returns what records of the emulator tell of, where anybody follows the item and anything changed.
    ///
    /// As the consumer does, it deletes the parts that no item names any longer.
    async fn told(&self, records: &[StreamRecord]) -> Vec<Told> {
        let mut told = Vec::new();
        for record in records {
            let key = Key { pk: text(&record.keys, "pk"), sk: text(&record.keys, "sk") };
            let image = |image: &Option<HashMap<String, serde_json::Value>>| image.as_ref().map(image_of);
            let (before, after) = (image(&record.old_image), image(&record.new_image));
            let left: Vec<Write> = before.iter().flat_map(Image::part_keys).map(Write::Delete).collect();
            let whole = async |image: Option<Image>| match image {
                Some(image) => self.dynamodb.as_told(vec![image]).await.unwrap().0.pop().unwrap(),
                None => None,
            };
            let (before, after) = (whole(before).await, whole(after).await);
            for some in left.chunks(25) {
                self.dynamodb.write_many(some.to_vec()).await.unwrap();
            }
            if Subject::of(&key).is_some() && before != after {
                told.push((key, before, after));
            }
        }
        told
    }

    /// Says whether everything fits together in the end.
    async fn finish(mut self) {
        self.consume(7).await;
        self.call(&Call::Walk(100)).await;
        // Nothing is left that no item names.
        let keys: Vec<Key> = walked(&self.dynamodb, 100).await.into_iter().map(|item| item.key).collect();
        let mut named = 0;
        for key in &keys {
            named += self.dynamodb.named_parts(key).await.unwrap().len();
        }
        assert_eq!(parts_in(&self.dynamodb).await, named);
        for (database, changes) in &mut self.subjects {
            assert_eq!(database.integrity_check().await.unwrap(), Vec::<String>::new());
            assert!(tokio::time::timeout(SOON, changes.next(1)).await.is_err(), "everything is consumed");
        }
    }
}

/// Returns `items` as DynamoDB has them, which keeps no `brief`.
fn plain(items: Vec<Item>) -> Vec<Item> {
    items.into_iter().map(|item| Item { brief: None, ..item }).collect()
}

/// Returns of an item that a query has found what both databases read out of it: what DynamoDB fetches is whole, and what
/// SQLite has at hand may be more than what DynamoDB keeps in the index.
fn known_to_both(item: Item, index: Option<Index>) -> Item {
    let mut item = Item { announced: None, expires: None, brief: None, ..item };
    match index.map(Index::projection) {
        Some(Projection::Head) => (item.version, item.tail) = (0, None),
        Some(Projection::Keys) => (item.version, item.head, item.tail) = (0, None, None),
        _ => {}
    }
    if let Some(index) = index {
        item.index_keys.retain(|name, _| *name == index.sort());
    }
    item
}

/// How long nothing comes until nothing is taken to come.
const SOON: std::time::Duration = std::time::Duration::from_millis(10);

/// Returns the changes of each item in their order: that of different items is DynamoDB's own.
fn of_each_item(changes: &[Told]) -> BTreeMap<&Key, Vec<&Told>> {
    let mut items: BTreeMap<&Key, Vec<&Told>> = BTreeMap::new();
    for change in changes {
        items.entry(&change.0).or_default().push(change);
    }
    items
}

fn text(attributes: &HashMap<String, serde_json::Value>, name: &str) -> String {
    attributes[name]["S"].as_str().unwrap().to_owned()
}

/// Reads an item in DynamoDB's JSON.
fn image_of(attributes: &HashMap<String, serde_json::Value>) -> Image {
    let typed = attributes.iter().map(|(name, value)| (name.clone(), serde_json::from_value(value.clone()).unwrap()));
    Image::new(typed.collect::<HashMap<String, serde_dynamo::AttributeValue>>().into()).unwrap()
}

fn kind_of(outcome: Result<(), error::Error>) -> Option<std::mem::Discriminant<error::Error>> {
    outcome.err().map(|error| std::mem::discriminant(&error))
}

fn by_key(items: Vec<Item>) -> BTreeMap<Key, Item> {
    let count = items.len();
    let items: BTreeMap<Key, Item> = items.into_iter().map(|item| (item.key.clone(), item)).collect();
    assert_eq!(items.len(), count, "every item comes once");
    items
}

/// Counts the parts of texts, which DynamoDB alone has.
async fn parts_in(database: &DynamoDb) -> usize {
    let (mut count, mut start) = (0, None);
    loop {
        let (page, _) = database.walk(start, 100).await.unwrap();
        count += page.items.iter().filter(|item| item.key.sk == PART).count();
        start = page.next;
        if start.is_none() {
            return count;
        }
    }
}

async fn walked(database: &impl Backend, limit: usize) -> Vec<Item> {
    let (mut items, mut start) = (Vec::new(), None);
    loop {
        let (page, _) = database.walk(start, limit).await.unwrap();
        // The emulator has looked at the item that did not fit into a page, too.
        let is_cut = page.looked_at == page.items.len() + 1 && page.next.is_some();
        assert!(page.looked_at <= limit && (is_cut || page.items.len() == page.looked_at));
        items.extend(page.items.into_iter().filter(|item| item.key.sk != PART));
        assert!(items.len() <= MOST_PAGES, "the same items come again and again");
        start = page.next;
        if start.is_none() {
            return items;
        }
    }
}

async fn pages(database: &impl Backend, range: &Range, partition: &str, wanted: &Wanted) -> Vec<Page> {
    let (mut pages, mut start): (Vec<Page>, Option<Position>) = (Vec::new(), None);
    loop {
        let query = Query { range, partition, read_out: wanted.read_out, limit: wanted.limit, start: start.take() };
        let (page, _) = database.query(&query).await.unwrap();
        start.clone_from(&page.next);
        pages.push(page);
        assert!(pages.len() <= MOST_PAGES, "the same items come again and again");
        if start.is_none() {
            return pages;
        }
    }
}

/// Returns how many items were looked at, and how many were read out or counted.
fn summary(pages: &[Page]) -> (usize, usize) {
    (pages.iter().map(|page| page.looked_at).sum(), pages.iter().map(|page| page.count).sum())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_call_has_the_answer_of_dynamodb(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut compared = Compared::new().await;
            for call in &calls {
                compared.call(call).await;
            }
            compared.finish().await;
        });
    }
}
