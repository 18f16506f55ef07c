//! The planner's machine: reads candidates in order, keeps those that match, and stops when the page is full.
//!
//! An aggregate's plan (`flow_run_query.rs` and its siblings) chooses a [`Source`] and gives a [`Matcher`]. The same
//! predicate serves every source: an index only narrows what is read, it never decides what matches.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap, HashSet},
    future::Future,
};

use serde::Deserialize;

use super::{
    Item, Key, Record, Store, cost,
    held::Held,
    query::{Direction, Range, Reader, Wanted},
    sought::Sought,
    table::{self, Index, Projection},
    unreadable, unstarted,
};
use domain::model::RunSummary;
use error::Result;

/// Where the records that may match are found.
#[derive(Clone, Debug)]
pub enum Source {
    /// Under these keys.
    Keys(Vec<Key>),
    /// In this range, in the order that is asked for.
    Ordered(Range),
    /// In this range, nearly in the order that is asked for: a record's place is at most [`AHEAD`] seconds before its time.
    Nearly(Range),
    /// In these ranges, in another order than is asked for, so that all of them are read and sorted.
    Unordered(Vec<Range>),
    /// In a narrow range, in another order than is asked for, and in a wide one that is in order.
    ///
    /// Which one is cheaper shows as they are read: the narrow one must come to its end, the wide one must hold many
    /// matches. Without an order, that is the one that comes to its end first.
    Race {
        /// The narrow range, all of which is to be sorted.
        narrow: Range,
        /// The wide range, in the order that is asked for.
        ordered: Box<Range>,
    },
}

impl Source {
    /// Returns the records under `keys`, each once.
    pub fn keys(keys: impl IntoIterator<Item = Key>) -> Self {
        let distinct: BTreeSet<Key> = keys.into_iter().collect();
        Self::Keys(distinct.into_iter().collect())
    }
}

/// How many seconds before its time a record of [`Source::Nearly`] may have its place.
///
/// A page reads as much more as there is within that time. A run that starts no later than that after it was to keeps its
/// place among those of its flow, which is two write units less; workers take some seconds to half a minute.
pub(crate) const AHEAD: f64 = 60.0;

/// How much the ranges of [`Source::Race`] may cost in turn, in entries of an index of keys.
///
/// Each turn costs twice as much as the one before, so that the range that was not needed costs no more than twice the
/// other. At the end of the last one the memory of a function bears no more of the narrow range.
const TURNS: [usize; 10] = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000];

/// How many of the turns are left out where each page of a range is a call of another machine.
const SHORT_TURNS: usize = 3;

/// How many records cost as much as an entry where the database [looks into rows](crate::sought) for what is sought.
///
/// Measured on SQLite: 1.2 microseconds each.
const LOOKS_AN_ENTRY: usize = 4;

/// How many items of the shorter of two ranges are looked at at once.
pub(super) const LOOKED_AT: usize = 1_000;

/// How much it costs to keep an entry of a range that is to be sorted, by what its index carries.
///
/// Measured on SQLite, as the cost of looking at a record is: an entry with the keys of the other orders takes 5
/// microseconds. What is whole takes no longer, but more memory until all of it is sorted.
const fn cost_of_entry(projection: Projection) -> usize {
    match projection {
        Projection::Orders => 1,
        Projection::Head => 2,
        Projection::All => 4,
        // A round trip more, and units of its own for each record.
        Projection::Keys | Projection::Fetched => 8,
    }
}

/// How much it costs to look at a record of a range that is in order, by what its index carries; none of it is kept.
const fn cost_of_look(projection: Projection) -> usize {
    match projection {
        Projection::All | Projection::Head => 1,
        // The record is fetched by its key.
        Projection::Keys | Projection::Orders | Projection::Fetched => 8,
    }
}

/// A predicate over records that may look at other records.
pub trait Matcher<R>: Send {
    /// Says whether every record matches, so that records need not be looked at.
    fn matches_all(&self) -> bool;

    /// Returns lists of texts, none of them empty: the `head` of every match contains a text of each list.
    fn texts(&self) -> Vec<Vec<String>> {
        Vec::new()
    }

    /// Says whether each record whose `head` contains the [texts](Self::texts) matches.
    fn is_decided_by_texts(&self) -> bool {
        false
    }

    /// Returns what every match has besides the texts, and what may be [sought](crate::sought) in an item.
    fn sought(&self) -> Sought {
        Sought::default()
    }

    /// Says whether each record that has the [texts](Self::texts) and what is [sought](Self::sought) matches.
    fn is_decided_by_sought(&self) -> bool {
        false
    }

    /// Says whether the record of an item of an index may match, by the sort keys of other orders that it carries.
    fn may_match(&self, _item: &Item) -> bool {
        true
    }

    /// Returns those of `records` that match, in their order.
    fn keep(&mut self, store: &Store, records: Vec<R>) -> impl Future<Output = Result<Vec<R>>> + Send;
}

/// Which part of the matching records is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Window {
    /// How many matching records are left out first.
    pub offset: usize,
    /// How many are returned at most.
    pub limit: usize,
}

/// The fewest records that one step looks at, where a filter may turn many of them down.
const STEP: usize = 50;

impl Store {
    /// Returns the matching records of `source` within `window`, in the order of `compare`.
    pub async fn select<R: Record>(
        &self,
        source: Source,
        matcher: &mut impl Matcher<R>,
        compare: impl Fn(&R, &R) -> Ordering,
        window: Window,
    ) -> Result<Vec<R>> {
        let found = Box::pin(self.selected(source, matcher, compare, window)).await?;
        cost::add_returned(found.len());
        Ok(found)
    }

    async fn selected<R: Record>(
        &self,
        source: Source,
        matcher: &mut impl Matcher<R>,
        compare: impl Fn(&R, &R) -> Ordering,
        window: Window,
    ) -> Result<Vec<R>> {
        if window.limit == 0 {
            return Ok(Vec::new());
        }
        let mut found = match source {
            Source::Ordered(range) => {
                let mut ordered = Ordered::new(self, range, matcher, window);
                ordered.go_on(matcher, usize::MAX).await?;
                return Ok(ordered.found);
            }
            Source::Nearly(range) => {
                let mut nearly = Ordered::new(self, range, matcher, window);
                nearly.held = Some(Held::default());
                nearly.go_on(matcher, usize::MAX).await?;
                return Ok(nearly.found);
            }
            Source::Race { narrow, ordered } => {
                return self.select_either(narrow, *ordered, matcher, compare, window).await;
            }
            unordered => self.gather(unordered, matcher).await?,
        };
        found.sort_by(compare);
        Ok(found.into_iter().skip(window.offset).take(window.limit).collect())
    }

    /// Reads a narrow range to be sorted and a wide one in order by turns, until one of them has the answer.
    async fn select_either<R: Record>(
        &self,
        narrow: Range,
        ordered: Range,
        matcher: &mut impl Matcher<R>,
        compare: impl Fn(&R, &R) -> Ordering,
        window: Window,
    ) -> Result<Vec<R>> {
        // Texts are looked for in heads; without them, or where all of a row is at hand, sort keys are enough.
        let sorts_keys = matcher.texts().is_empty() || self.looks_into_rows();
        let wanted = if sorts_keys { Wanted::Orders } else { Wanted::Declared };
        let narrow = self.narrowed(narrow.wanting(wanted), matcher);
        let (projection, order) = (self.carried(&narrow), Order::of(&ordered));
        let turns = self.turns();
        let mut reader = self.read(narrow, turns.first().copied().unwrap_or_default());
        let mut ordered = Ordered::new(self, ordered, matcher, window);
        let mut items = Vec::new();
        for turn in turns {
            while (items.len() + reader.left_out()) * cost_of_entry(projection) < *turn {
                match reader.more_within(*turn).await? {
                    Some(more) => items.extend(more),
                    None => return self.sorted(items, projection, order, matcher, compare, window).await,
                }
            }
            let looks =
                if ordered.is_narrowed { turn * LOOKS_AN_ENTRY } else { turn / cost_of_look(ordered.projection) };
            if ordered.go_on(matcher, looks).await? {
                return Ok(ordered.found);
            }
        }
        ordered.go_on(matcher, usize::MAX).await?;
        Ok(ordered.found)
    }

    /// Sorts the items of a range and reads out the window of those that match.
    async fn sorted<R: Record>(
        &self,
        mut items: Vec<Item>,
        projection: Projection,
        order: Order,
        matcher: &mut impl Matcher<R>,
        compare: impl Fn(&R, &R) -> Ordering,
        window: Window,
    ) -> Result<Vec<R>> {
        if projection == Projection::Orders {
            items.retain(|item| matcher.may_match(item));
            items.sort_by(|one, other| order.compare(one, other));
        } else {
            let mut records = self.keep_carried(&items, projection, matcher).await?;
            records.sort_by(&compare);
            if projection != Projection::Head {
                return Ok(records.into_iter().skip(window.offset).take(window.limit).collect());
            }
            let mut index_keys: HashMap<Key, Item> = items.into_iter().map(|item| (item.key.clone(), item)).collect();
            items = records.iter().filter_map(|record| index_keys.remove(&record.key())).collect();
        }
        let mut sorted = Ordered {
            store: self,
            reader: None,
            of: None,
            then: None,
            ahead: items,
            projection: Projection::Keys,
            is_narrowed: false,
            matches_all: matcher.matches_all(),
            window,
            skip: window.offset,
            taken: 0,
            held: None,
            found: Vec::new(),
        };
        sorted.go_on(matcher, usize::MAX).await?;
        Ok(sorted.found)
    }

    /// Counts the matching records of `source`.
    pub async fn select_count<R: Record>(&self, source: Source, matcher: &mut impl Matcher<R>) -> Result<u64> {
        let ranges = match source {
            Source::Ordered(range) | Source::Nearly(range) if matcher.matches_all() => vec![range],
            Source::Unordered(ranges) if matcher.matches_all() => ranges,
            Source::Ordered(range) if self.is_decided(&range, matcher) => vec![self.narrowed(range, matcher)],
            source => {
                let mut count = 0;
                Box::pin(self.visit(source, matcher, |found| count += length(found.len()))).await?;
                return Ok(count);
            }
        };
        let mut count = 0;
        for range in ranges {
            count += self.count(range).await?;
        }
        Ok(count)
    }

    /// Reads the next items of `range`, about `limit`, which has one partition; returns the records that match.
    ///
    /// With them comes what is left of the range, or nothing at its end.
    pub(super) async fn page<R: Record>(
        &self,
        range: &Range,
        matcher: &mut impl Matcher<R>,
        limit: usize,
    ) -> Result<(Vec<R>, Option<Range>)> {
        let Some(items) = self.read(range.clone(), limit).more().await? else { return Ok((Vec::new(), None)) };
        let rest = items.last().map(|last| range.clone().after(last));
        Ok((self.keep_whole(&items, self.carried(range), matcher).await?, rest))
    }

    /// Hands the matching records of `source` to `visit`, each one as far as the index carries it.
    pub(super) async fn visit<R: Record>(
        &self,
        source: Source,
        matcher: &mut impl Matcher<R>,
        visit: impl FnMut(Vec<R>),
    ) -> Result<()> {
        self.visit_about(source, usize::MAX, matcher, visit).await
    }

    /// Hands the matching records of `source` to `visit` as [`Self::visit`] does, where `about` so many are expected.
    ///
    /// A database reads few of them on the thread of the request.
    pub(super) async fn visit_about<R: Record>(
        &self,
        source: Source,
        about: usize,
        matcher: &mut impl Matcher<R>,
        mut visit: impl FnMut(Vec<R>),
    ) -> Result<()> {
        let ranges = match source {
            Source::Keys(keys) => {
                let found = self.records(&keys).await?;
                visit(matcher.keep(self, found).await?);
                return Ok(());
            }
            Source::Race { narrow, ordered } => {
                if let Some((items, projection)) = self.read_shorter([&narrow, &ordered]).await? {
                    for some in items.chunks(LOOKED_AT) {
                        visit(self.keep_carried(some, projection, matcher).await?);
                    }
                    return Ok(());
                }
                vec![narrow]
            }
            Source::Ordered(range) | Source::Nearly(range) => vec![range],
            Source::Unordered(ranges) => ranges,
        };
        for range in ranges {
            // Of keys alone each record would be fetched by itself.
            let range = match self.carried(&range) {
                Projection::Keys | Projection::Orders => range.wanting(Wanted::Whole),
                Projection::All | Projection::Head | Projection::Fetched => range,
            };
            let projection = self.carried(&range);
            let mut reader = self.read(self.narrowed(range, matcher), about);
            while let Some(items) = reader.more().await? {
                visit(self.keep_carried(&items, projection, matcher).await?);
            }
        }
        Ok(())
    }

    /// Reads two ranges by turns, each of which holds every match, until one of them ends; returns what that one holds.
    ///
    /// Returns nothing if both are longer than the memory of a function bears.
    async fn read_shorter(&self, ranges: [&Range; 2]) -> Result<Option<(Vec<Item>, Projection)>> {
        // Nothing is left out by texts here: a turn ends by what was read, and what is left out is read all the same.
        let turns = self.turns();
        let first = turns.first().copied().unwrap_or_default();
        let mut racing = ranges.map(|range| (self.carried(range), self.read(range.clone(), first), Vec::new()));
        for turn in turns {
            for (projection, reader, items) in &mut racing {
                while items.len() * cost_of_entry(*projection) < *turn {
                    match reader.more().await? {
                        Some(more) => items.extend(more),
                        None => return Ok(Some((std::mem::take(items), *projection))),
                    }
                }
            }
        }
        Ok(None)
    }

    /// Keeps what matches of `items`, each one as far as the index carries it.
    async fn keep_carried<R: Record>(
        &self,
        items: &[Item],
        projection: Projection,
        matcher: &mut impl Matcher<R>,
    ) -> Result<Vec<R>> {
        let records = match projection {
            Projection::Keys | Projection::Orders => self.records(&keys_of(items, matcher)).await?,
            Projection::All | Projection::Head | Projection::Fetched => {
                items.iter().filter_map(Item::readable).collect()
            }
        };
        matcher.keep(self, records).await
    }

    /// Hands the summaries of the matching runs of `source` to `visit`, page by page, in no order.
    ///
    /// Where the index carries them and the matcher need not look, nothing else is read out.
    pub(super) async fn fold<R: Record>(
        &self,
        source: Source,
        matcher: &mut impl Matcher<R>,
        mut visit: impl FnMut(&RunSummary),
    ) -> Result<()>
    where
        RunSummary: for<'r> From<&'r R>,
    {
        let Source::Ordered(range) = source else {
            let each = |found: Vec<R>| found.iter().for_each(|run| visit(&RunSummary::from(run)));
            return self.visit(source, matcher, each).await;
        };
        for range in self.parts_of(range) {
            let is_head = self.carried(&range) == Projection::Head;
            if !range.standing.is_of_unstarted()
                && (is_head || self.looks_into_rows())
                && self.is_decided(&range, matcher)
            {
                let range = self.narrowed(range, matcher);
                self.read_briefs(&range, |brief| unreadable::summary(brief).iter().for_each(&mut visit)).await?;
            } else if is_head {
                let mut reader = self.read(self.narrowed(range, matcher), usize::MAX);
                while let Some(items) = reader.more().await? {
                    let heads = items.iter().filter_map(Item::readable).collect();
                    let kept: HashSet<Key> = matcher.keep(self, heads).await?.iter().map(R::key).collect();
                    for item in items.iter().filter(|item| kept.contains(&item.key)) {
                        unreadable::summary(item.brief.as_deref()).iter().for_each(&mut visit);
                    }
                }
            } else {
                let each = |found: Vec<R>| found.iter().for_each(|run| visit(&RunSummary::from(run)));
                self.visit(Source::Ordered(range), matcher, each).await?;
            }
        }
        Ok(())
    }

    /// Returns how much the ranges of a race may cost in turn.
    fn turns(&self) -> &'static [usize] {
        if self.looks_into_rows() { &TURNS } else { TURNS.split_at(SHORT_TURNS).1 }
    }

    /// Says whether what is sought is looked for in rows, before anything is read out of them.
    pub(super) fn looks_into_rows(&self) -> bool {
        self.backend.looks_into_rows()
    }

    /// Narrows a range to what its items have to say to match, as far as the database looks at that.
    fn narrowed<R: Record>(&self, range: Range, matcher: &impl Matcher<R>) -> Range {
        if self.looks_into_rows() {
            range.containing(matcher.texts()).seeking(matcher.sought())
        } else if has_head(self.carried(&range)) {
            range.containing(matcher.texts())
        } else {
            range
        }
    }

    /// Says whether all that a [narrowed](Self::narrowed) range reads out matches.
    fn is_decided<R: Record>(&self, range: &Range, matcher: &impl Matcher<R>) -> bool {
        let looks_into_rows = self.looks_into_rows();
        matcher.matches_all()
            || (matcher.is_decided_by_texts() && (looks_into_rows || has_head(self.carried(range))))
            || (matcher.is_decided_by_sought() && looks_into_rows)
    }

    async fn gather<R: Record>(&self, source: Source, matcher: &mut impl Matcher<R>) -> Result<Vec<R>> {
        let ranges = match source {
            Source::Keys(keys) => {
                let found = self.records(&keys).await?;
                return matcher.keep(self, found).await;
            }
            Source::Ordered(range) | Source::Nearly(range) | Source::Race { narrow: range, .. } => vec![range],
            Source::Unordered(ranges) => ranges,
        };
        let mut found = Vec::new();
        for range in ranges {
            let projection = self.carried(&range);
            let items = self.read_all(range).await?;
            found.extend(self.keep_whole(&items, projection, matcher).await?);
        }
        Ok(found)
    }

    /// Keeps what matches of `items`, and reads the whole records of it.
    async fn keep_whole<R: Record>(
        &self,
        items: &[Item],
        projection: Projection,
        matcher: &mut impl Matcher<R>,
    ) -> Result<Vec<R>> {
        let records = match projection {
            Projection::All | Projection::Fetched => items.iter().filter_map(Item::readable).collect(),
            Projection::Keys | Projection::Orders => self.records(&keys_of(items, matcher)).await?,
            Projection::Head => {
                let heads = items.iter().filter_map(Item::readable).collect();
                let keys: Vec<Key> = matcher.keep(self, heads).await?.iter().map(R::key).collect();
                // An index may lag behind the table, so what is read from there has to match as well.
                self.records(&keys).await?
            }
        };
        matcher.keep(self, records).await
    }

    async fn records<R: Record>(&self, keys: &[Key]) -> Result<Vec<R>> {
        Ok(self.get_many(keys).await?.into_iter().map(|found| found.record).collect())
    }
}

/// The records of a whole collection in the order of an index in which some have no place.
///
/// What is missing sorts before everything, and among themselves those that lack it are sorted by id.
fn in_two_parts(range: Range) -> (Part, Option<Part>) {
    let index = range.index.filter(|index| {
        let is_whole = range.from.is_none() && range.to.is_none();
        is_whole && range.partitions.iter().any(|partition| table::is_left_out(*index, partition))
    });
    let Some(index) = index else { return (Part { range, of: None }, None) };
    let by_id = Part { range: Range { index: Some(Index::Lookup), ..range.clone() }, of: Some(Place::None(index)) };
    let by_index = Part { range, of: Some(Place::In(index)) };
    match by_index.range.direction {
        Direction::Ascending => (by_id, Some(by_index)),
        Direction::Descending => (by_index, Some(by_id)),
    }
}

/// A range, and which of its records are wanted; all of them if nothing is said.
struct Part {
    range: Range,
    of: Option<Place>,
}

/// Whether a record has a place in an index.
///
/// An index may lag behind, so the record decides: in two parts of an order it is once only.
#[derive(Clone, Copy)]
enum Place {
    In(Index),
    None(Index),
}

impl Place {
    fn is_of<R: Record>(self, record: &R, store: &Store) -> bool {
        let is_in = |index| record.index_keys(store.shards()).iter().any(|key| key.index == index);
        match self {
            Self::In(index) => is_in(index),
            Self::None(index) => !is_in(index),
        }
    }
}

/// A range that is read in order until a window of matching records is full.
struct Ordered<'s, R> {
    store: &'s Store,
    /// What is left of the range.
    reader: Option<Reader<'s>>,
    /// What is asked of the records besides.
    of: Option<Place>,
    /// What comes behind the range.
    then: Option<Part>,
    /// What was read of it and not yet looked at.
    ahead: Vec<Item>,
    projection: Projection,
    /// Whether the database leaves out what can't match.
    is_narrowed: bool,
    matches_all: bool,
    window: Window,
    /// How many matching records are still to be left out.
    skip: usize,
    /// How many items were looked at here.
    taken: usize,
    /// What matches and may come behind something that was not read yet, where the range is only nearly in order.
    held: Option<Held<R>>,
    found: Vec<R>,
}

impl<'s, R: Record> Ordered<'s, R> {
    fn new(store: &'s Store, range: Range, matcher: &impl Matcher<R>, window: Window) -> Self {
        let matches_all = matcher.matches_all();
        let wanted = window.offset.saturating_add(window.limit);
        // Elsewhere each record is fetched anyway.
        let range = if store.looks_into_rows() { store.narrowed(range, matcher) } else { range };
        let is_narrowed = !range.texts.is_empty() || !range.sought.is_nothing();
        let (first, then) = in_two_parts(range);
        let projection = store.carried(&first.range);
        let reader = store.read(first.range, if matches_all { wanted } else { wanted.max(STEP) });
        let (ahead, found) = (Vec::new(), Vec::new());
        Self {
            store,
            reader: Some(reader),
            of: first.of,
            then,
            ahead,
            projection,
            is_narrowed,
            matches_all,
            window,
            skip: window.offset,
            taken: 0,
            held: None,
            found,
        }
    }

    /// Looks at the next items, `most` of them since the beginning; returns whether the window is full or the range at its end.
    async fn go_on(&mut self, matcher: &mut impl Matcher<R>, most: usize) -> Result<bool> {
        while self.found.len() < self.window.limit {
            let left = most.saturating_sub(self.looked_at());
            if left == 0 {
                return Ok(false);
            }
            if !self.refill(left).await? {
                if let (Some(held), Some(reader)) = (&mut self.held, &self.reader) {
                    let rest = held.take_all(reader.direction());
                    self.keep(rest.into_iter().map(|(_, record)| record).collect());
                }
                break;
            }
            let decides_by_record = self.held.is_some() || matches!(self.of, Some(Place::None(_)));
            let matches_all = self.matches_all && !decides_by_record;
            if matches_all && self.skip > 0 {
                let skipped = self.skip.min(self.ahead.len());
                self.ahead.drain(..skipped);
                self.skip -= skipped;
                continue;
            }
            let missing = self.window.limit - self.found.len();
            let step = if matches_all { missing } else { missing.saturating_add(self.skip).max(STEP) };
            let items: Vec<Item> = self.ahead.drain(..step.min(self.ahead.len())).collect();
            self.taken += items.len();
            let mut kept = self.store.keep_whole(&items, self.projection, matcher).await?;
            if let Some(of) = self.of {
                kept.retain(|record: &R| of.is_of(record, self.store));
            }
            kept = self.settled(kept, items.last());
            self.keep(kept);
        }
        Ok(true)
    }

    /// Holds `records` if they are only nearly in order; returns those that nothing comes before which stands behind `last`.
    fn settled(&mut self, records: Vec<R>, last: Option<&Item>) -> Vec<R> {
        let (Some(held), Some(reader)) = (&mut self.held, &self.reader) else { return records };
        let (index, direction) = (reader.index(), reader.direction());
        for record in records {
            held.hold(index.and_then(|index| record.order_in(index)).unwrap_or_default(), record);
        }
        let Some(last) = last.and_then(|last| last.index_keys.get(&index?.sort())) else { return Vec::new() };
        let settled = match (table::time_of(last), direction) {
            // No time is before its place.
            (Some(last), Direction::Ascending) => held.take_before(last, direction),
            (Some(last), Direction::Descending) => held.take_before(last.plus_seconds(AHEAD), direction),
            // What has no time comes before all that has one.
            (None, Direction::Ascending) => Vec::new(),
            (None, Direction::Descending) => held.take_all(direction),
        };
        settled.into_iter().map(|(_, record)| record).collect()
    }

    /// Takes the next matching records, as far as they are within the window.
    fn keep(&mut self, records: Vec<R>) {
        let skipped = self.skip.min(records.len());
        self.skip -= skipped;
        let missing = self.window.limit.saturating_sub(self.found.len());
        self.found.extend(records.into_iter().skip(skipped).take(missing));
    }

    /// Returns how many items of the range were looked at, here or by the database.
    fn looked_at(&self) -> usize {
        self.taken + self.reader.as_ref().map_or(0, Reader::left_out)
    }

    /// Reads on, past about `most` items, if nothing is ahead; returns whether there may be more.
    async fn refill(&mut self, most: usize) -> Result<bool> {
        while self.ahead.is_empty() {
            let Some(reader) = &mut self.reader else { return Ok(false) };
            match (reader.more_within(most).await?, self.then.take()) {
                (Some(more), then) => {
                    self.ahead.extend(more);
                    self.then = then;
                    break;
                }
                (None, Some(Part { range, of })) => {
                    self.taken += reader.left_out();
                    self.projection = self.store.carried(&range);
                    self.of = of;
                    let missing = self.skip.saturating_add(self.window.limit - self.found.len());
                    self.reader = Some(self.store.read(range, missing.max(STEP)));
                }
                (None, None) => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// The order of an index, for items that carry its sort key.
struct Order {
    /// The attribute; nothing for the order of the records' own keys.
    attribute: Option<String>,
    /// The attribute that stands in for it in items that lack it.
    otherwise: Option<String>,
    direction: Direction,
}

impl Order {
    fn of(range: &Range) -> Self {
        let by_key = range.index == Some(Index::Lookup);
        Self {
            attribute: range.index.filter(|_| !by_key).map(Index::sort),
            otherwise: range.index.and_then(unstarted::stands_in).map(Index::sort),
            direction: range.direction,
        }
    }

    fn place<'i>(&self, attribute: &str, item: &'i Item) -> Option<&'i String> {
        item.index_keys.get(attribute).or_else(|| item.index_keys.get(self.otherwise.as_ref()?))
    }

    fn compare(&self, one: &Item, other: &Item) -> Ordering {
        let ascending = match &self.attribute {
            // Of those that have no place in the order the ids decide.
            Some(attribute) => {
                let places = [one, other].map(|item| self.place(attribute, item));
                places[0].cmp(&places[1]).then_with(|| one.key.cmp(&other.key))
            }
            None => one.key.cmp(&other.key),
        };
        match self.direction {
            Direction::Ascending => ascending,
            Direction::Descending => ascending.reverse(),
        }
    }
}

fn has_head(projection: Projection) -> bool {
    matches!(projection, Projection::All | Projection::Head)
}

/// Returns the keys of the items that may match.
fn keys_of<R>(items: &[Item], matcher: &impl Matcher<R>) -> Vec<Key> {
    items.iter().filter(|item| matcher.may_match(item)).map(|item| item.key.clone()).collect()
}

pub(super) fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
