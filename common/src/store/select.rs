//! The planner's machine: reads candidates in order, keeps those that match, and stops when the page is full.
//!
//! An aggregate's plan (`flow_run_query.rs` and its siblings) chooses a [`Source`] and gives a [`Matcher`]. The same
//! predicate serves every source: an index only narrows what is read, it never decides what matches.

use std::{cmp::Ordering, collections::HashSet, future::Future};

use serde::Deserialize;

use super::{
    Item, Key, Record, Store, cost,
    query::{Range, Reader},
    table::Carries,
};
use crate::{
    error::{Error, Result},
    model::{RunSummary, run_summary::NotASummary},
};

/// Where the records that may match are found.
#[derive(Clone, Debug)]
pub enum Source {
    /// Under these keys.
    Keys(Vec<Key>),
    /// In this range, in the order that is asked for.
    Ordered(Range),
    /// In these ranges, in another order than is asked for, so that all of them are read and sorted.
    Gathered(Vec<Range>),
    /// In a range that is read and sorted if it is short, and in another one that is in order.
    Either {
        /// The narrow range, in another order than is asked for.
        narrow: Range,
        /// The wide range, in the order that is asked for.
        ordered: Range,
    },
}

/// The longest range that is read whole to be sorted, where there is another one that is in order.
///
/// Where the narrow range holds n of N records, sorting costs n, and a page of 200 out of the wide one about 200 N / n:
/// both are the same at 14,000 of a million.
const LONGEST_SORTED: usize = 10_000;

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
            Source::Ordered(range) => return self.select_ordered(range, matcher, window).await,
            Source::Either { narrow, ordered } => {
                let carries = carries(&narrow);
                match self.read_few(narrow, LONGEST_SORTED).await? {
                    Some(items) => self.keep_whole(&items, carries, matcher).await?,
                    None => return self.select_ordered(ordered, matcher, window).await,
                }
            }
            unordered => self.gather(unordered, matcher).await?,
        };
        found.sort_by(compare);
        Ok(found.into_iter().skip(window.offset).take(window.limit).collect())
    }

    /// Counts the matching records of `source`.
    pub async fn select_count<R: Record>(&self, source: Source, matcher: &mut impl Matcher<R>) -> Result<u64> {
        let ranges = match source {
            Source::Ordered(range) if matcher.matches_all() => vec![range],
            Source::Gathered(ranges) if matcher.matches_all() => ranges,
            Source::Ordered(range) if matcher.is_decided_by_texts() && carries(&range) != Carries::Keys => {
                vec![range.containing(matcher.texts())]
            }
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
        let Some(items) = self.read(range.clone(), limit).next().await? else { return Ok((Vec::new(), None)) };
        let rest = items.last().map(|last| range.clone().after(last));
        Ok((self.keep_whole(&items, carries(range), matcher).await?, rest))
    }

    /// Hands the matching records of `source` to `visit`, each one as far as the index carries it.
    pub(super) async fn visit<R: Record>(
        &self,
        source: Source,
        matcher: &mut impl Matcher<R>,
        mut visit: impl FnMut(Vec<R>),
    ) -> Result<()> {
        let ranges = match source {
            Source::Keys(keys) => {
                let found = self.records(&keys).await?;
                visit(matcher.keep(self, found).await?);
                return Ok(());
            }
            Source::Ordered(range) | Source::Either { narrow: range, .. } => vec![range],
            Source::Gathered(ranges) => ranges,
        };
        for range in ranges {
            let carries = carries(&range);
            let texts = if carries == Carries::Keys { Vec::new() } else { matcher.texts() };
            let mut reader = self.read(range.containing(texts), usize::MAX);
            while let Some(items) = reader.next().await? {
                let records = match carries {
                    Carries::Keys => self.records(&keys_of(&items)).await?,
                    Carries::All | Carries::Head => items.iter().map(Item::record).collect::<Result<_>>()?,
                };
                visit(matcher.keep(self, records).await?);
            }
        }
        Ok(())
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
        let is_decided = matcher.matches_all() || matcher.is_decided_by_texts();
        let summary = |brief: &str| brief.parse().map_err(|error: NotASummary| Error::Internal(error.to_string()));
        match source {
            Source::Ordered(range) if carries(&range) == Carries::Head => {
                if is_decided {
                    let range = range.containing(matcher.texts());
                    return self.read_briefs(&range, |brief| summary(brief).map(|run| visit(&run))).await;
                }
                let mut reader = self.read(range.containing(matcher.texts()), usize::MAX);
                while let Some(items) = reader.next().await? {
                    let heads = items.iter().map(Item::record).collect::<Result<_>>()?;
                    let kept: HashSet<Key> = matcher.keep(self, heads).await?.iter().map(R::key).collect();
                    for item in items.iter().filter(|item| kept.contains(&item.key)) {
                        visit(&summary(item.brief.as_deref().unwrap_or_default())?);
                    }
                }
                Ok(())
            }
            source => {
                let each = |found: Vec<R>| found.iter().for_each(|run| visit(&RunSummary::from(run)));
                self.visit(source, matcher, each).await
            }
        }
    }

    async fn gather<R: Record>(&self, source: Source, matcher: &mut impl Matcher<R>) -> Result<Vec<R>> {
        let ranges = match source {
            Source::Keys(keys) => {
                let found = self.records(&keys).await?;
                return matcher.keep(self, found).await;
            }
            Source::Ordered(range) | Source::Either { narrow: range, .. } => vec![range],
            Source::Gathered(ranges) => ranges,
        };
        let mut found = Vec::new();
        for range in ranges {
            let carries = carries(&range);
            let items = self.read_all(range).await?;
            found.extend(self.keep_whole(&items, carries, matcher).await?);
        }
        Ok(found)
    }

    async fn select_ordered<R: Record>(
        &self,
        range: Range,
        matcher: &mut impl Matcher<R>,
        window: Window,
    ) -> Result<Vec<R>> {
        let carries = carries(&range);
        let (mut skip, mut found) = (window.offset, Vec::new());
        let wanted = window.offset.saturating_add(window.limit);
        let mut reader = self.read(range, if matcher.matches_all() { wanted } else { wanted.max(STEP) });
        let mut ahead = Vec::new();
        while found.len() < window.limit {
            if !refill(&mut reader, &mut ahead).await? {
                break;
            }
            if matcher.matches_all() && skip > 0 {
                let skipped = skip.min(ahead.len());
                ahead.drain(..skipped);
                skip -= skipped;
                continue;
            }
            let missing = window.limit - found.len();
            let step = if matcher.matches_all() { missing } else { missing.saturating_add(skip).max(STEP) };
            let items: Vec<Item> = ahead.drain(..step.min(ahead.len())).collect();
            let kept = self.keep_whole(&items, carries, matcher).await?;
            let skipped = skip.min(kept.len());
            skip -= skipped;
            found.extend(kept.into_iter().skip(skipped).take(missing));
        }
        Ok(found)
    }

    /// Keeps what matches of `items`, and reads the whole records of it.
    async fn keep_whole<R: Record>(
        &self,
        items: &[Item],
        carries: Carries,
        matcher: &mut impl Matcher<R>,
    ) -> Result<Vec<R>> {
        let records = match carries {
            Carries::All => items.iter().map(Item::record).collect::<Result<_>>()?,
            Carries::Keys => self.records(&keys_of(items)).await?,
            Carries::Head => {
                let heads = items.iter().map(Item::record).collect::<Result<_>>()?;
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

async fn refill(reader: &mut Reader<'_>, ahead: &mut Vec<Item>) -> Result<bool> {
    if ahead.is_empty() {
        match reader.next().await? {
            Some(items) => ahead.extend(items),
            None => return Ok(false),
        }
    }
    Ok(true)
}

fn keys_of(items: &[Item]) -> Vec<Key> {
    items.iter().map(|item| item.key.clone()).collect()
}

fn carries(range: &Range) -> Carries {
    range.index.map_or(Carries::All, super::table::Index::carries)
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
