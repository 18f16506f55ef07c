//! Ordered reads: partitions of the table or an index, merged by their sort keys.
//!
//! A range over all records of a kind has one partition per shard. Their pages are fetched in parallel and merged, so
//! a reader that stops early has read little more than it took.

use std::collections::{HashSet, VecDeque};

use super::{
    Item, Key, Store,
    backend::{Page, Position, Query, ReadOut},
    sought::Sought,
    table::{self, Collection, Index, Projection},
    unstarted::Standing,
};
pub use domain::filter::Direction;
use error::{Error, Result};
use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream, stream::FuturesUnordered};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The largest page that one query asks for.
const LARGEST_PAGE: usize = 1_000;

/// The most items that a reader's caller is taken to know that it needs.
const FAR: usize = 10_000;

/// How long an id is in a key.
const LENGTH_OF_ID: usize = 36;

/// How many partitions are asked at once; more would wait for connections instead.
const AT_ONCE: usize = 64;

/// How many items one query reads the `brief` of: about a megabyte of the index, where the real database stops.
const MOST_BRIEFS: usize = 1_400;

/// How many rows one query looks into, where the database does so: some milliseconds' worth, on a thread of its own.
const MOST_LOOKED_INTO: usize = 5_000;

/// How many items one query counts: about a megabyte of them, where the real database stops.
///
/// The embedded one reads all that is left otherwise, page after page.
fn most_counted(carried: Projection) -> usize {
    match carried {
        Projection::Keys | Projection::Fetched => 7_000,
        Projection::Orders => 3_000,
        Projection::All | Projection::Head => 1_400,
    }
}

/// Which items to read: some partitions, and a range of sort keys in them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Range {
    /// The index, or the table itself.
    pub index: Option<Index>,
    /// The partitions that are merged.
    pub partitions: Vec<String>,
    /// The smallest sort key wanted.
    pub from: Option<String>,
    /// The largest sort key wanted, with all that start with it.
    pub to: Option<String>,
    /// The order.
    pub direction: Direction,
    /// Lists of texts: an item is read out only if its `head` contains a text of each list.
    pub texts: Vec<Vec<String>>,
    /// What else an item has to say of a run to be read out, where the database
    /// [looks into rows](crate::Backend::looks_into_rows); nothing elsewhere.
    #[serde(default)]
    pub sought: Sought,
    /// What is wanted of each item, which a database that has it at hand reads out at once.
    #[serde(default)]
    pub wanted: Wanted,
    /// Which of the runs are read, where it is about [runs by start time](super::unstarted).
    #[serde(default)]
    pub standing: Standing,
}

/// What is wanted of the items of a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// What the index is declared to carry.
    #[default]
    Declared,
    /// All of them.
    Whole,
    /// All of them, also where that takes fetching each by its key.
    Record,
    /// The sort keys of the other orders, by which all of them are to be sorted.
    Orders,
    /// `head`, of items of the table itself.
    Heads,
}

impl Range {
    /// Reads one whole partition of the table, in ascending order.
    pub fn partition(pk: impl Into<String>) -> Self {
        Self {
            index: None,
            partitions: vec![pk.into()],
            from: None,
            to: None,
            direction: Direction::Ascending,
            texts: Vec::new(),
            sought: Sought::default(),
            wanted: Wanted::Declared,
            standing: Standing::Anywhere,
        }
    }

    /// Reads one whole partition of `index`, in ascending order.
    pub fn of_index(index: Index, pk: impl Into<String>) -> Self {
        Self { index: Some(index), ..Self::partition(pk) }
    }

    /// Reads all shards of `collection` in `index`, in ascending order.
    pub fn all(store: &Store, index: Index, collection: Collection) -> Self {
        Self { index: Some(index), partitions: store.shards().all(collection), ..Self::partition("") }
    }

    /// Reads all shards of a group of records in `index`, in ascending order.
    pub fn group(store: &Store, index: Index, group: &str) -> Self {
        let partitions = store.shards().of_groups_in(index).all_within(group);
        Self { index: Some(index), partitions, ..Self::partition("") }
    }

    /// Narrows a range that is sorted by names to those that are `name`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.starting_with(table::sort_with_id(name, ""))
    }

    /// Narrows the range to sort keys that start with `prefix`.
    #[must_use]
    pub fn starting_with(mut self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        self.to = Some(prefix.clone());
        self.from = Some(prefix);
        self
    }

    /// Narrows the range to sort keys from `from` to `to`, where given.
    #[must_use]
    pub fn between(mut self, from: Option<String>, to: Option<String>) -> Self {
        self.from = from;
        self.to = to;
        self
    }

    /// Leaves out, before anything is sent, the items whose `head` lacks a text of one of these lists.
    ///
    /// What is left out is read all the same, and paid for.
    #[must_use]
    pub fn containing(mut self, texts: Vec<Vec<String>>) -> Self {
        self.texts.extend(texts);
        self
    }

    /// Leaves out, before anything is read out, the items that lack what is sought.
    #[must_use]
    pub fn seeking(mut self, sought: Sought) -> Self {
        self.sought = sought;
        self
    }

    /// Says what is wanted of each item.
    #[must_use]
    pub fn wanting(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }

    /// Cuts the range into one for each partition.
    pub fn split(self) -> Vec<Self> {
        self.partitions.iter().map(|partition| Self { partitions: vec![partition.clone()], ..self.clone() }).collect()
    }

    /// Leaves out `item`, which was read from this range in ascending order, and all before it.
    #[must_use]
    pub fn after(mut self, item: &Item) -> Self {
        // No sort key is in between: those that share a start differ in an id behind it.
        self.from = Some(just_after(sort_key(item, self.index.map(Index::sort).as_deref())));
        self
    }

    /// Returns the largest sort key that can start with `to`: followed by the largest character.
    pub fn last(&self) -> Option<String> {
        self.to.as_deref().map(Self::last_with)
    }

    /// Returns the largest sort key that can start with `start`.
    pub(crate) fn last_with(start: &str) -> String {
        format!("{start}\u{10FFFF}")
    }

    /// Returns the partitions that can hold anything: none if the range ends before it starts, which DynamoDB refuses.
    fn partitions(&self) -> &[String] {
        match (&self.from, self.last()) {
            (Some(from), Some(last)) if *from > last => &[],
            _ => &self.partitions,
        }
    }

    /// Sets the order.
    #[must_use]
    pub fn in_direction(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }
}

#[derive(Debug, Default)]
struct Cursor {
    /// Which of the reader's ranges it is in.
    part: usize,
    partition: String,
    /// How many items its first page has, and later ones are measured by.
    first: usize,
    items: VecDeque<Item>,
    next: Option<Position>,
    pages: u32,
    /// How many items were looked at.
    looked_at: usize,
    /// How many items were handed out.
    taken: usize,
}

impl Cursor {
    fn is_dry(&self) -> bool {
        self.items.is_empty() && (self.pages == 0 || self.next.is_some())
    }

    /// Returns how many items to fetch next of one of `shards`, when `missing` are expected to be taken.
    ///
    /// Beyond what was announced a reader mostly lacks a few items, of a shard the fewer; one that keeps coming back reads
    /// far, in ever larger pages.
    fn page_size(&self, shards: usize, missing: usize) -> usize {
        let first = self.first;
        let second = if shards == 1 { first / 2 } else { first / 4 };
        match self.pages.checked_sub(1) {
            None => first,
            Some(_) if missing > 0 => (missing + missing / 4 + 1).min(LARGEST_PAGE),
            Some(again) => (second.max(4) << again.min(8)).min(LARGEST_PAGE),
        }
    }
}

/// How many items a reader's caller is still expected to take, and how many it has taken.
#[derive(Clone, Copy, Debug)]
struct Progress {
    left: usize,
    taken: usize,
}

impl Progress {
    /// Returns how many items `cursor` lacks, if it goes on to have the share that it had so far.
    fn missing(self, cursor: &Cursor) -> usize {
        let share = self.left.saturating_mul(cursor.taken).checked_div(self.taken).unwrap_or_default();
        let missing = share.saturating_sub(cursor.items.len());
        // Where many are left out, as many more are to be looked at.
        let found = cursor.taken + cursor.items.len();
        missing.saturating_mul(cursor.looked_at).checked_div(found).map_or(missing, |more| more.max(missing))
    }
}

/// Reads a [`Range`] piece by piece, in order.
pub struct Reader<'s> {
    store: &'s Store,
    /// The range, and others in which records of it stand.
    parts: Vec<Range>,
    cursors: Vec<Cursor>,
    /// The items that were handed out, where several indexes may tell of one.
    seen: HashSet<Key>,
    /// How many items its caller announced, and how many it was given.
    wanted: usize,
    taken: usize,
}

impl Store {
    /// Starts to read `range` for a caller that will take about `wanted` items.
    pub fn read(&self, range: Range, wanted: usize) -> Reader<'_> {
        let parts = self.parts_of(range);
        let mut cursors = Vec::new();
        for (part, range) in parts.iter().enumerate() {
            let count = range.partitions().len().max(1);
            let first = match count {
                1 if part == 0 => wanted,
                // Mostly few of those that are wanted.
                1 => wanted / 4 + 1,
                // Ids spread evenly: a quarter more than the mean keeps most shards to one page.
                _ if count <= usize::from(self.shards().0) => wanted / count + wanted / (4 * count) + 1,
                // Groups don't: half of the mean shows how much each one has of what comes first.
                _ => wanted / (2 * count) + 1,
            };
            let first = first.clamp(1, LARGEST_PAGE);
            let cursor = |partition: &String| Cursor { part, partition: partition.clone(), first, ..Cursor::default() };
            cursors.extend(range.partitions().iter().map(cursor));
        }
        // Who reads on to the end takes pages as they come.
        let wanted = if wanted > FAR { 0 } else { wanted };
        Reader { store: self, parts, cursors, seen: HashSet::new(), wanted, taken: 0 }
    }

    /// Reads all items of `range`, in order.
    pub fn read_all(&self, range: Range) -> BoxFuture<'_, Result<Vec<Item>>> {
        Box::pin(async move {
            let mut reader = self.read(range, LARGEST_PAGE);
            let mut items = Vec::new();
            while let Some(more) = reader.more().await? {
                items.extend(more);
            }
            Ok(items)
        })
    }

    /// Reads the first item of `range`.
    pub fn read_first(&self, range: Range) -> BoxFuture<'_, Result<Option<Item>>> {
        Box::pin(async move { Ok(self.read(range, 1).more().await?.and_then(|items| items.into_iter().next())) })
    }

    /// Returns what is read out of an item of `range`.
    pub(super) fn carried(&self, range: &Range) -> Projection {
        self.backend.carried(range)
    }

    /// Counts the items of `range` without reading them out.
    pub fn count(&self, range: Range) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let mut count = 0_u64;
            let mut add = |items: usize| count += u64::try_from(items).unwrap_or_default();
            for part in self.parts_of(range) {
                if part.standing.is_of_unstarted() {
                    // Which of them count is in what is read out.
                    let mut reader = self.read(part, usize::MAX);
                    while let Some(items) = reader.more().await? {
                        add(items.len());
                    }
                } else {
                    let most = most_counted(self.carried(&part)).max(self.most_looked_into());
                    self.sweep(&part, ReadOut::Nothing, most, |page| add(page.count)).await?;
                }
            }
            Ok(count)
        })
    }

    /// Hands the `brief` of each item of `range` to `visit`, in no order.
    pub(super) async fn read_briefs(&self, range: &Range, mut visit: impl FnMut(Option<&str>)) -> Result<()> {
        let read = |page: Page| {
            for item in &page.items {
                visit(item.brief.as_deref());
            }
        };
        Box::pin(self.sweep(range, ReadOut::Briefs, MOST_BRIEFS.max(self.most_looked_into()), read)).await
    }

    /// Returns how many rows one query looks into, none where the database does not.
    fn most_looked_into(&self) -> usize {
        if self.looks_into_rows() { MOST_LOOKED_INTO } else { 0 }
    }

    /// Hands the pages of `range` to `visit`, in no order: several partitions at once, and a single one from both ends.
    async fn sweep(&self, range: &Range, read_out: ReadOut, limit: usize, mut visit: impl FnMut(Page)) -> Result<()> {
        if let [partition] = range.partitions() {
            return self.sweep_from_both_ends(range, partition, read_out, limit, visit).await;
        }
        let next = |partition, start| async move {
            Ok::<_, Error>((partition, self.page_of(Query { range, partition, read_out, limit, start }).await?))
        };
        let mut waiting = range.partitions().iter();
        let mut pages: FuturesUnordered<_> = waiting.by_ref().take(AT_ONCE).map(|one| next(one, None)).collect();
        while let Some(page) = pages.next().await {
            let (partition, mut page) = page?;
            let end = page.next.take();
            visit(page);
            match end {
                Some(start) => pages.push(next(partition, Some(start))),
                None => pages.extend(waiting.next().map(|one| next(one, None))),
            }
        }
        Ok(())
    }

    /// Hands the pages of the one partition of `range` to `visit`, until those from its start meet those from its end.
    ///
    /// No two items of a range that is swept have the same sort key: what is not unique ends with an id.
    async fn sweep_from_both_ends(
        &self,
        range: &Range,
        partition: &str,
        read_out: ReadOut,
        limit: usize,
        mut visit: impl FnMut(Page),
    ) -> Result<()> {
        let sort = range.index.map_or_else(|| table::SORT.to_owned(), Index::sort);
        let any = Query { range, partition, read_out, limit, start: None };
        let first = self.page_of(any.clone()).await?;
        let mut front = last_sort_key(&first, &sort);
        visit(first);
        let mut between = range.clone();
        while let Some(last) = front {
            between.from = Some(just_after(&last));
            let (forward, backward) = (
                between.clone().in_direction(Direction::Ascending),
                between.clone().in_direction(Direction::Descending),
            );
            let (forward, backward) =
                (Query { range: &forward, ..any.clone() }, Query { range: &backward, ..any.clone() });
            let (ahead, behind) = futures::try_join!(self.page_of(forward), self.page_of(backward))?;
            front = last_sort_key(&ahead, &sort);
            visit(ahead);
            match (&front, last_sort_key(&behind, &sort)) {
                (Some(front), Some(back)) if *front < back => {
                    visit(behind);
                    between.to = Some(just_before(&back));
                }
                // The two overlap, so what the one from the end has read comes again from the start.
                _ => {}
            }
        }
        Ok(())
    }

    async fn page_of(&self, query: Query<'_>) -> Result<Page> {
        Ok(self.backend.query(&query).await?.0)
    }
}

impl Reader<'_> {
    /// Doubles the next pages, for a caller that takes more than it announced.
    pub fn widen(&mut self) {
        for cursor in &mut self.cursors {
            cursor.first = (2 * cursor.first).min(LARGEST_PAGE);
        }
    }

    /// Returns the attribute that the items are sorted by; none for the table's own order.
    fn sort(&self) -> Option<String> {
        self.index().map(Index::sort)
    }

    /// Returns the index that is read, with others where the range is in several parts.
    pub(super) fn index(&self) -> Option<Index> {
        self.parts.first().and_then(|range| range.index)
    }

    /// Returns the order in which items are read.
    pub(super) fn direction(&self) -> Direction {
        self.parts.first().map_or(Direction::Ascending, |range| range.direction)
    }

    /// Returns how many items were left out by what they lack.
    pub fn left_out(&self) -> usize {
        self.cursors.iter().map(|cursor| cursor.looked_at.saturating_sub(cursor.taken + cursor.items.len())).sum()
    }

    /// Returns the next items in order, at least one, or `None` at the end.
    pub fn more(&mut self) -> BoxFuture<'_, Result<Option<Vec<Item>>>> {
        self.more_within(usize::MAX)
    }

    /// Returns the next items in order, or `None` at the end; none if the next `most` of a partition are all left out.
    pub fn more_within(&mut self, most: usize) -> BoxFuture<'_, Result<Option<Vec<Item>>>> {
        Box::pin(async move {
            self.fill(most).await?;
            let sort = self.sort();
            let is_told_of_once = self.parts.len() == 1 || self.store.looks_into_rows();
            let (direction, mut items) = (self.direction(), Vec::new());
            // Until a shard runs dry its next item is unknown, and nothing after that may be handed out.
            while !self.cursors.iter().any(Cursor::is_dry) {
                let heads = self.cursors.iter().enumerate().filter_map(|(place, cursor)| {
                    cursor.items.front().map(|item| (sort_key(item, sort.as_deref()), place))
                });
                let first = match direction {
                    Direction::Ascending => heads.min(),
                    Direction::Descending => heads.max_by(|left, right| left.0.cmp(right.0)),
                };
                let Some(place) = first.map(|(_, place)| place) else { break };
                let Some(cursor) = self.cursors.get_mut(place) else { break };
                let item = cursor.items.pop_front();
                cursor.taken += 1;
                // An index that lags behind still has what another one has already.
                items.extend(item.filter(|item| is_told_of_once || self.seen.insert(item.key.clone())));
            }
            self.taken += items.len();
            let is_at_end = items.is_empty() && !self.cursors.iter().any(Cursor::is_dry);
            Ok((!is_at_end).then_some(items))
        })
    }

    /// Reads until no partition runs dry, or `most` of its items are looked at.
    async fn fill(&mut self, most: usize) -> Result<()> {
        if !self.cursors.iter().any(Cursor::is_dry) {
            return Ok(());
        }
        let (store, parts, sort) = (self.store, &self.parts, self.sort());
        let (shards, sort) = (self.cursors.len(), sort.as_deref());
        let progress = Progress { left: self.wanted.saturating_sub(self.taken), taken: self.taken };
        // Who is about to run dry is asked together with who has, so that they don't take turns.
        let is_short = |cursor: &Cursor| cursor.next.is_some() && progress.missing(cursor) > cursor.items.len();
        let lacking = self.cursors.iter_mut().filter(|cursor| cursor.is_dry() || is_short(cursor));
        let fetches = lacking.map(|cursor| async move {
            let Some(range) = parts.get(cursor.part) else { return Ok(()) };
            let most = cursor.looked_at.saturating_add(most);
            // A page can be empty before the end, when the 1 MB limit falls on filtered or deleted items.
            loop {
                let limit = cursor.page_size(shards, progress.missing(cursor));
                let start = cursor.next.take();
                let partition = &cursor.partition;
                let page = store.page_of(Query { range, partition, read_out: ReadOut::Items, limit, start }).await?;
                cursor.items.extend(store.standing(range, page.items, sort).await?);
                cursor.next = page.next;
                cursor.looked_at += page.looked_at;
                cursor.pages += 1;
                if !cursor.is_dry() || cursor.looked_at >= most {
                    return Ok::<_, Error>(());
                }
            }
        });
        let fetches: Vec<_> = fetches.collect();
        stream::iter(fetches).buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// Returns the sort key of the last item that `page` looked at, if there may be more.
fn last_sort_key(page: &Page, sort: &str) -> Option<String> {
    page.next.as_ref()?.get(sort).cloned()
}

/// Returns a text between the sort key `key` and all that come after it; those that share its start end with another id.
pub(super) fn just_after(key: &str) -> String {
    format!("{key}\u{1}")
}

/// Returns the end of a range of sort keys that leaves out `key` and all that come after it.
fn just_before(key: &str) -> String {
    // An id stays one: the one before.
    let (start, id) = key.split_at_checked(key.len().saturating_sub(LENGTH_OF_ID)).unwrap_or((key, ""));
    if let Some(before) = id.parse::<Uuid>().ok().and_then(|id| id.as_u128().checked_sub(1)) {
        return format!("{start}{}", Uuid::from_u128(before));
    }
    let mut characters = key.chars();
    let last = characters.next_back().and_then(|last| char::from_u32(u32::from(last).saturating_sub(1)));
    characters.chain(last).collect()
}

fn sort_key<'i>(item: &'i Item, attribute: Option<&str>) -> &'i str {
    match attribute {
        None => &item.key.sk,
        Some(attribute) => item.index_keys.get(attribute).map_or("", String::as_str),
    }
}
