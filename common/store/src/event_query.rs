//! The planner of event queries.
//!
//! An event's place in every index is the time of its occurrence followed by its id, so the pages of any plan are
//! read in the order of the answer, and a page goes on after the place of the last event before it. Events whose ids
//! tell their times stand in the table by their ids; they are read a little further than they are handed out. Those of
//! a flow run's transitions stand beside them, and the run's states tell where.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::Hash,
};

use futures::future::{try_join, try_join_all};
use serde_json::json;

use super::{
    Item, Key, Store, TableAccess,
    events::{DISTANCE, FLOW_RUN_RESOURCE, SEVERAL_FLOW_RUNS, TimedPlace, TransitionNote, key_of_transition},
    held::Held,
    query::{Direction, Range, Reader, Wanted},
    states,
    table::{self, Collection, Index, Projection, Shards, Subject},
};
use domain::{
    filter::{self, EventFilter, EventOrder, TimeBounds},
    model::{EventId, FlowRunId, ReceivedEvent, Timestamp},
};
use error::Result;

/// How many events are looked at for nothing but the total.
///
/// The real server counts every match, at a cost that grows with the table. Here the total is exact as long as no more
/// than this many candidates follow the first page, and a lower bound beyond that.
const COUNTED_AHEAD: usize = 2_000;

/// How many events one step looks at.
const STEP: usize = 100;

/// How many events one step looks at, where the first one is mostly the one that is wanted.
const FEW: usize = 20;

/// Up to how many ids a filter may name for each of them to be looked up by itself.
const LOOKED_UP_IDS: usize = 25;

/// The matching events of one page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventsRead {
    /// The events, in the filter's order.
    pub events: Vec<ReceivedEvent>,
    /// How many events match that were seen on the way, those of the page included; see [`Store::read_events`].
    pub counted: u64,
    /// Whether a matching event follows.
    pub has_more: bool,
}

/// Returns an event's place in the order of occurrence, from which the next page goes on.
pub fn place(event: &ReceivedEvent) -> String {
    table::sort_with_id(&event.occurred.sortable(), event.id)
}

/// How much of the count is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// All matches, as far as `COUNTED_AHEAD` reaches.
    Ahead,
    /// Only enough to say whether more follow.
    PageOnly,
}

/// What [`Store::read_events`], [`Store::times_of_events`] and [`Store::heads_of_events`] touch.
pub const READ: TableAccess = TableAccess::READS.via(&[Index::ByTime, Index::Lookup, Index::Related]);

impl Store {
    /// Reads the `limit` first events that match `filter` after the place `after`.
    ///
    /// The filter's window is to be filled in before ([`EventFilter::resolve`]), so that pages agree on it.
    pub async fn read_events(
        &self,
        filter: &EventFilter,
        after: Option<&str>,
        limit: usize,
        counting: Counting,
    ) -> Result<EventsRead> {
        match filter.ids() {
            Some(ids) => {
                let mut found = self.events_by_id(&distinct(ids.iter().copied())).await?;
                found.retain(|event| filter.matches(event));
                found.sort_by(|left, right| filter.order.compare(left, right));
                filter.retain_distinct(&mut found);
                let counted = found.len();
                found.retain(|event| after.is_none_or(|after| is_after(filter, &place(event), after)));
                let has_more = found.len() > limit;
                found.truncate(limit);
                Ok(EventsRead { events: found, counted: length(counted), has_more })
            }
            None => self.scan_events(filter, after, limit, counting).await,
        }
    }

    async fn scan_events(
        &self,
        filter: &EventFilter,
        after: Option<&str>,
        limit: usize,
        counting: Counting,
    ) -> Result<EventsRead> {
        let is_distinct = filter.resource.as_ref().is_some_and(|resource| resource.distinct);
        // Which events of a resource are left out depends on all that come before, so these start over.
        let start = if is_distinct { None } else { after };
        let mut sifter = Sifter::new(self, filter, is_distinct);
        let mut candidates = Merge::new(self, ranges(self, filter, start), filter.order.direction(), STEP);
        let (mut page, mut counted, mut ahead) = (Vec::new(), 0, 0);
        let mut has_more = false;
        loop {
            let is_full = page.len() >= limit;
            if is_full && (ahead >= COUNTED_AHEAD || (counting == Counting::PageOnly && has_more)) {
                // Whether one more of the candidates that follow matches is left to the next page.
                has_more = true;
                break;
            }
            let step = candidates.next(STEP).await?;
            if step.is_empty() {
                break;
            }
            if is_full {
                ahead += step.len();
            }
            for matching in sifter.matching(step).await? {
                counted += 1;
                if after.is_some_and(|after| !is_after(filter, &matching.place, after)) {
                    continue;
                }
                if page.len() < limit {
                    page.push(matching);
                } else {
                    has_more = true;
                }
            }
        }
        Ok(EventsRead { events: self.whole(page).await?, counted, has_more })
    }

    /// Hands the times of the events that match `filter` to `visit`, distinct resources or not.
    pub async fn times_of_events(&self, filter: &EventFilter, mut visit: impl FnMut(Timestamp)) -> Result<()> {
        if filter.ids().is_some() || !takes_all(filter) {
            return self.heads_of_events(filter, |event| visit(event.occurred)).await;
        }
        let mut candidates = Merge::new(self, ranges(self, filter, None), filter.order.direction(), STEP);
        loop {
            let step = candidates.next(STEP).await?;
            if step.is_empty() {
                return Ok(());
            }
            step.iter().filter_map(|candidate| table::time_of(&candidate.place)).for_each(&mut visit);
        }
    }

    /// Hands the events that match `filter` to `visit`, distinct resources or not, perhaps without their payloads.
    pub async fn heads_of_events(&self, filter: &EventFilter, mut visit: impl FnMut(&ReceivedEvent)) -> Result<()> {
        if let Some(ids) = filter.ids() {
            let found = self.events_by_id(&distinct(ids.iter().copied())).await?;
            found.iter().filter(|event| filter.matches(event)).for_each(visit);
            return Ok(());
        }
        let sifter = Sifter::new(self, filter, false);
        let mut candidates = Merge::new(self, ranges(self, filter, None), filter.order.direction(), STEP);
        loop {
            let step = candidates.next(STEP).await?;
            if step.is_empty() {
                return Ok(());
            }
            sifter.heads(step).await?.iter().for_each(&mut visit);
        }
    }

    /// Returns when the first event of a name in a direction occurred within `bounds`.
    pub(super) async fn first_time_of_event(
        &self,
        name: &str,
        bounds: TimeBounds,
        direction: Direction,
    ) -> Result<Option<Timestamp>> {
        let order = match direction {
            Direction::Ascending => EventOrder::Asc,
            Direction::Descending => EventOrder::Desc,
        };
        let mut filter = EventFilter { order, ..EventFilter::default() };
        (filter.occurred.since, filter.occurred.until) = (bounds.not_before, bounds.not_after);
        let mut ranges = ranges(self, &filter, None);
        if self.looks_into_rows() {
            let named = vec![vec![format!("\"event\":{}", json!(name))]];
            ranges = ranges.into_iter().map(|range| range.containing(named.clone())).collect();
        }
        let sifter = Sifter::new(self, &filter, false);
        let mut candidates = Merge::new(self, ranges, filter.order.direction(), FEW);
        loop {
            let step = candidates.next(FEW).await?;
            if step.is_empty() {
                return Ok(None);
            }
            if let Some(event) = sifter.heads(step).await?.into_iter().find(|event| event.event == name) {
                return Ok(Some(event.occurred));
            }
        }
    }

    async fn whole(&self, page: Vec<Matching>) -> Result<Vec<ReceivedEvent>> {
        let missing = page.iter().filter(|matching| matches!(matching.known, Known::Nothing));
        let missing: Vec<Key> = missing.map(|matching| matching.key.clone()).collect();
        let fetched = if missing.is_empty() { Vec::new() } else { self.get_items(&missing).await? };
        let mut fetched: HashMap<Key, Item> = fetched.into_iter().map(|item| (item.key.clone(), item)).collect();
        let whole = |Matching { known, key, .. }: Matching| match known {
            Known::Event(event) => Some(*event),
            Known::Item(item) => item.readable(),
            // A deleted event may still be in an index; then the page is shorter by it.
            Known::Nothing => fetched.remove(&key)?.readable(),
        };
        Ok(page.into_iter().filter_map(whole).collect())
    }
}

fn is_after(filter: &EventFilter, place: &str, after: &str) -> bool {
    match filter.order.direction() {
        filter::Direction::Ascending => place > after,
        filter::Direction::Descending => place < after,
    }
}

/// Chooses where to look: the partitions of resources that every match involves, else all events by time.
///
/// What a range of the table is held to are the places of its events.
fn ranges(store: &Store, filter: &EventFilter, after: Option<&str>) -> Vec<Range> {
    let partitions = |index, partitions| Range { partitions, ..Range::of_index(index, "") };
    let lookup = |ids: &[String]| {
        let flow_runs = ids.iter().filter_map(|id| id.strip_prefix(FLOW_RUN_RESOURCE)?.parse::<FlowRunId>().ok());
        let of_run = |run| [table::events_of_flow_run(run), table::flow_run(run).pk].map(Range::partition);
        let others = partitions(Index::Lookup, distinct(ids.iter().map(|id| table::resource_lookup(id))));
        distinct(flow_runs).into_iter().flat_map(of_run).chain([others]).collect::<Vec<_>>()
    };
    // The payload of most events is not looked at, and may be long.
    let wanted = if filter.text.is_none() { Wanted::Heads } else { Wanted::Declared };
    let ranges = match (filter.resource_ids(), filter.involved_resource_ids()) {
        (Some(ids), _) if ids.len() <= LOOKED_UP_IDS => lookup(ids),
        (None, Some(ids)) if ids.len() <= LOOKED_UP_IDS && ids.iter().all(|id| id.starts_with(FLOW_RUN_RESOURCE)) => {
            let related = ids.iter().map(String::as_str).chain([SEVERAL_FLOW_RUNS]).map(table::related_lookup);
            let shards = related.flat_map(|group| store.shards().all_within(&group));
            lookup(ids).into_iter().chain([partitions(Index::Related, distinct(shards))]).collect()
        }
        _ => vec![
            Range::all(store, Index::ByTime, Collection::Events),
            Range { partitions: table::timed_events(store.shards()), wanted, ..Range::partition("") },
        ],
    };
    let bounds = filter.occurred_bounds();
    let since = bounds.and_then(|bounds| bounds.not_before).map(domain::model::Timestamp::sortable);
    let until = bounds.and_then(|bounds| bounds.not_after).map(domain::model::Timestamp::sortable);
    let (from, to, direction) = match filter.order.direction() {
        filter::Direction::Ascending => (after.map(str::to_owned).or(since), until, Direction::Ascending),
        filter::Direction::Descending => (since, after.map(str::to_owned).or(until), Direction::Descending),
    };
    if from.as_ref().zip(to.as_ref()).is_some_and(|(from, to)| !starts_before_end(from, to)) {
        return Vec::new();
    }
    ranges.into_iter().map(|range| range.between(from.clone(), to.clone()).in_direction(direction)).collect()
}

/// Says whether a range holds anything: DynamoDB refuses one whose end, with all that starts with it, lies before its start.
fn starts_before_end(from: &str, to: &str) -> bool {
    from <= to || from.starts_with(to)
}

fn distinct<T: Clone + Eq + Hash>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = HashSet::new();
    all.filter(|one| seen.insert(one.clone())).collect()
}

/// An event that matches.
#[derive(Debug)]
struct Matching {
    place: String,
    key: Key,
    known: Known,
}

/// What is known of an event.
#[derive(Debug)]
enum Known {
    /// All of it.
    Event(Box<ReceivedEvent>),
    /// All of it, as it is written.
    Item(Item),
    /// Nothing but its key.
    Nothing,
}

/// A candidate that matches, and the event, without its payload if it is not whole.
struct Found {
    candidate: Candidate,
    event: ReceivedEvent,
    is_whole: bool,
}

impl Found {
    fn into_matching(self) -> Matching {
        let Self { candidate, event, is_whole } = self;
        let known = if is_whole { Known::Event(Box::new(event)) } else { Known::Nothing };
        Matching { place: candidate.place, key: candidate.item.key, known }
    }
}

/// Decides which candidates match, from as little of them as it takes.
struct Sifter<'s> {
    store: &'s Store,
    filter: &'s EventFilter,
    /// The filter without what only a whole event can answer.
    of_heads: EventFilter,
    is_distinct: bool,
    /// Whether everything in the chosen ranges matches, so that keys are enough.
    takes_all: bool,
    seen: HashSet<String>,
}

impl<'s> Sifter<'s> {
    fn new(store: &'s Store, filter: &'s EventFilter, is_distinct: bool) -> Self {
        let of_heads = EventFilter { text: None, ..filter.clone() };
        Self { store, filter, of_heads, is_distinct, takes_all: takes_all(filter), seen: HashSet::new() }
    }

    async fn matching(&mut self, candidates: Vec<Candidate>) -> Result<Vec<Matching>> {
        if self.takes_all {
            let by_key = |Candidate { place, item, projection }| {
                if projection == Projection::All {
                    Matching { place, key: item.key.clone(), known: Known::Item(item) }
                } else {
                    Matching { place, key: item.key, known: Known::Nothing }
                }
            };
            return Ok(candidates.into_iter().map(by_key).collect());
        }
        let found = self.found(candidates).await?;
        let first = found.into_iter().filter(|found| self.is_first(&found.event));
        Ok(first.map(Found::into_matching).collect())
    }

    /// Returns the candidates that match, without their payloads where an index carries the rest.
    async fn heads(&self, candidates: Vec<Candidate>) -> Result<Vec<ReceivedEvent>> {
        Ok(self.found(candidates).await?.into_iter().map(|found| found.event).collect())
    }

    /// Returns the candidates that match, in their order, read as far as it takes to decide.
    async fn found(&self, candidates: Vec<Candidate>) -> Result<Vec<Found>> {
        let (mut likely, mut to_read) = (Vec::with_capacity(candidates.len()), Vec::new());
        for candidate in candidates {
            let seen = match candidate.projection {
                Projection::All | Projection::Head => {
                    let Some(event) = candidate.event().filter(|event| self.of_heads.matches(event)) else { continue };
                    Some(event).filter(|_| candidate.projection == Projection::All || self.filter.text.is_none())
                }
                Projection::Keys | Projection::Orders | Projection::Fetched => None,
            };
            if seen.is_none() {
                to_read.push(candidate.item.key.clone());
            }
            likely.push((candidate, seen));
        }
        let read = self.store.get_items(&to_read).await?.into_iter();
        let mut read: HashMap<Key, ReceivedEvent> =
            read.filter_map(|item| Some((item.key.clone(), item.readable()?))).collect();
        let found = |(candidate, seen): (Candidate, Option<ReceivedEvent>)| {
            let is_whole = seen.is_none() || candidate.projection == Projection::All;
            let event = seen.or_else(|| read.remove(&candidate.item.key))?;
            (!is_whole || self.filter.matches(&event)).then_some(Found { candidate, event, is_whole })
        };
        Ok(likely.into_iter().filter_map(found).collect())
    }

    /// Says whether no event of the same resource was kept before, where the filter asks for one event a resource.
    fn is_first(&mut self, event: &ReceivedEvent) -> bool {
        !self.is_distinct || self.seen.insert(event.resource.id().to_owned())
    }
}

/// Says whether the filter asks for no more than a window of time and the id of the resource.
fn takes_all(filter: &EventFilter) -> bool {
    let plain = EventFilter { occurred: filter.occurred.clone(), order: filter.order, ..EventFilter::default() };
    let of_resource = filter.resource.as_ref().and_then(|resource| resource.id.clone()).map(|id| {
        let resource = filter::event::EventResourceFilter { id: Some(id), ..Default::default() };
        EventFilter { resource: Some(resource), ..plain.clone() }
    });
    *filter == plain
        || (of_resource.as_ref() == Some(filter) && filter.resource_ids().is_some_and(|ids| ids.len() <= LOOKED_UP_IDS))
}

/// An item of an index and its place in the order of all.
#[derive(Debug)]
struct Candidate {
    place: String,
    item: Item,
    projection: Projection,
}

impl Candidate {
    /// Returns the event as far as the item carries it.
    fn event(&self) -> Option<ReceivedEvent> {
        self.item.readable()
    }
}

/// Merges ranges of several indexes, and of the table, in the order of occurrence, each event once.
struct Merge<'s> {
    sources: Vec<Source<'s>>,
    direction: filter::Direction,
    last: Option<String>,
}

struct Source<'s> {
    store: &'s Store,
    reader: Reader<'s>,
    /// What is read, by the places of the events.
    range: Range,
    order: Order,
    projection: Projection,
    items: VecDeque<(String, Item)>,
    /// Events that were read, before which others may come that were not, by their places.
    held: Held<Item>,
    /// Transitions of a flow run that occurred, by the places of their events.
    transitions: VecDeque<(String, Transition)>,
    is_over: bool,
}

/// The event of a transition, as far as it is known.
enum Transition {
    /// It was read.
    Read(Item),
    /// It is under this key, if it is there.
    Under(Key),
}

/// In which order a range has its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// By their places.
    Places(Index),
    /// By times that are nearly those of their occurrence.
    Times,
    /// In none: what is known of a flow run's transitions by itself.
    Run(FlowRunId),
    /// By the states of a flow run that have items of their own.
    States,
}

impl Order {
    fn of(range: &Range) -> Self {
        match range.index {
            Some(index) => Self::Places(index),
            None => match range.partitions.first() {
                Some(partition) if table::is_of_flow_run(partition) => Self::States,
                Some(partition) => table::flow_run_of_events(partition).map_or(Self::Times, Self::Run),
                None => Self::Times,
            },
        }
    }
}

impl<'s> Merge<'s> {
    fn new(store: &'s Store, ranges: Vec<Range>, direction: filter::Direction, step: usize) -> Self {
        let source = |range: Range| {
            let (projection, order) = (store.carried(&range), Order::of(&range));
            let read = match order {
                Order::Places(_) => range.clone(),
                Order::Times => by_times(range.clone()),
                Order::Run(_) => range.clone().between(None, None),
                Order::States => by_states(range.clone()),
            };
            let (reader, items, held) = (store.read(read, step), VecDeque::new(), Held::default());
            let transitions = VecDeque::new();
            Source { store, reader, range, order, projection, items, held, transitions, is_over: false }
        };
        Self { sources: ranges.into_iter().map(source).collect(), direction, last: None }
    }

    /// Returns the next candidates, about `count`; none at the end.
    async fn next(&mut self, count: usize) -> Result<Vec<Candidate>> {
        let mut candidates = Vec::with_capacity(count);
        while candidates.len() < count {
            // A state moves out of its run's item, so the item is read before the states that have items of their own.
            let runs = self.sources.iter_mut().filter(|source| matches!(source.order, Order::Run(_)));
            try_join_all(runs.map(Source::fill)).await?;
            try_join_all(self.sources.iter_mut().map(Source::fill)).await?;
            let heads = self.sources.iter().enumerate().filter_map(|(number, source)| Some((source.place()?, number)));
            let first = match self.direction {
                filter::Direction::Ascending => heads.min(),
                filter::Direction::Descending => heads.max(),
            };
            let Some(number) = first.map(|(_, number)| number) else { break };
            let Some(source) = self.sources.get_mut(number) else { break };
            let Some((place, item)) = source.items.pop_front() else { break };
            if self.last.as_ref() != Some(&place) {
                self.last = Some(place.clone());
                candidates.push(Candidate { place, item, projection: source.projection });
            }
        }
        Ok(candidates)
    }
}

impl Source<'_> {
    async fn fill(&mut self) -> Result<()> {
        if !self.items.is_empty() || self.is_over {
            return Ok(());
        }
        let index = match self.order {
            Order::Places(index) => index,
            Order::Times => return self.fill_with_timed().await,
            Order::Run(run) => return self.fill_with_transitions_of(run).await,
            Order::States => return self.fill_with_states().await,
        };
        match self.reader.more().await? {
            Some(items) => {
                let place = |item: &Item| item.index_keys.get(&index.sort()).cloned().unwrap_or_default();
                self.items.extend(items.into_iter().map(|item| (place(&item), item)));
            }
            None => self.is_over = true,
        }
        Ok(())
    }

    /// Reads events in the order of the times at which they stand, until the place of one is known to be the next.
    async fn fill_with_timed(&mut self) -> Result<()> {
        while self.items.is_empty() && !self.is_over {
            let Some(items) = self.reader.more().await? else {
                self.is_over = true;
                self.release(None);
                return Ok(());
            };
            let last = items.last().and_then(|item| TimedPlace::of(&item.key));
            for item in items {
                let Some((stands, occurred)) = TimedPlace::of(&item.key).zip(occurred(&item)) else { continue };
                let place = table::sort_with_id(&occurred.sortable(), stands.id());
                // What stands farther from its time is in the index.
                if stands.is_in_order(occurred) && self.is_within(&place) {
                    self.held.hold(place, item);
                }
            }
            if let Some(last) = last.and_then(TimedPlace::time) {
                self.release(Some(last));
            }
        }
        Ok(())
    }

    /// Hands out what was read up to the time `last`, but for what others may come before: all of it at the end.
    fn release(&mut self, last: Option<Timestamp>) {
        let direction = self.range.direction;
        let apart = match direction {
            Direction::Ascending => -DISTANCE,
            Direction::Descending => DISTANCE,
        };
        self.items.extend(match last {
            Some(last) => self.held.take_before(moved(last, apart), direction),
            None => self.held.take_all(direction),
        });
    }

    fn is_within(&self, place: &str) -> bool {
        self.range.from.as_ref().is_none_or(|from| place >= from.as_str())
            && self.range.last().is_none_or(|last| place <= last.as_str())
    }

    /// Reads what tells of transitions of `run` but its states that have items of their own: the run's item, notes, and
    /// what older versions wrote, which are few.
    async fn fill_with_transitions_of(&mut self, run: FlowRunId) -> Result<()> {
        if self.transitions.is_empty() {
            let (store, reader) = (self.store, &mut self.reader);
            let key = table::flow_run(run);
            let by_itself = async {
                let mut found = Vec::new();
                while let Some(items) = reader.more().await? {
                    found.extend(items);
                }
                Ok(found)
            };
            let (found, run) = try_join(by_itself, store.get_item(&key)).await?;
            let mut transitions: BTreeMap<String, Transition> = told_by(run.iter(), store.shards()).collect();
            for item in found {
                if Subject::of(&item.key).is_some_and(Subject::is_event) {
                    let Some(event) = item.readable() else { continue };
                    transitions.insert(place(&event), Transition::Read(item));
                } else if let Some(note) = item.readable::<TransitionNote>()
                    && let Some(key) = note.key_of_event(store.shards())
                {
                    let place = table::sort_with_id(&note.occurred.sortable(), note.id);
                    transitions.entry(place).or_insert(Transition::Under(key));
                }
            }
            transitions.retain(|place, _| self.is_within(place));
            self.transitions = match self.range.direction {
                Direction::Ascending => transitions.into_iter().collect(),
                Direction::Descending => transitions.into_iter().rev().collect(),
            };
        }
        self.read_transitions().await?;
        self.is_over = self.transitions.is_empty();
        Ok(())
    }

    /// Reads the states of a run that have items of their own, page by page, and the events of these transitions.
    async fn fill_with_states(&mut self) -> Result<()> {
        while self.items.is_empty() {
            if self.transitions.is_empty() {
                let Some(items) = self.reader.more().await? else {
                    self.is_over = true;
                    return Ok(());
                };
                let told = told_by(items.iter(), self.store.shards());
                self.transitions = told.filter(|(place, _)| self.is_within(place)).collect();
            }
            self.read_transitions().await?;
        }
        Ok(())
    }

    /// Reads the events of the next transitions, until there is one.
    async fn read_transitions(&mut self) -> Result<()> {
        while self.items.is_empty() && !self.transitions.is_empty() {
            let next: Vec<_> = self.transitions.drain(..self.transitions.len().min(STEP)).collect();
            let key = |(_, transition): &(String, Transition)| match transition {
                Transition::Read(_) => None,
                Transition::Under(key) => Some(key.clone()),
            };
            let found = self.store.get_items(&next.iter().filter_map(key).collect::<Vec<_>>()).await?;
            let mut found: HashMap<Key, Item> = found.into_iter().map(|item| (item.key.clone(), item)).collect();
            let read = |(place, transition)| match transition {
                Transition::Read(item) => Some((place, item)),
                // It has expired, or is yet to come.
                Transition::Under(key) => Some((place, found.remove(&key)?)),
            };
            self.items.extend(next.into_iter().filter_map(read));
        }
        Ok(())
    }

    fn place(&self) -> Option<&str> {
        self.items.front().map(|(place, _)| place.as_str())
    }
}

/// Returns the transitions that items of a flow run and of its states tell, by the places of their events.
///
/// Where the id of a state does not tell its run, the event is found as others are.
fn told_by<'i>(items: impl Iterator<Item = &'i Item>, shards: Shards) -> impl Iterator<Item = (String, Transition)> {
    items.flat_map(states::told_states).filter_map(move |state| {
        let (id, occurred) = (EventId(state.id.0), state.timestamp);
        let key = key_of_transition(id, occurred, shards)?;
        Some((table::sort_with_id(&occurred.sortable(), id), Transition::Under(key)))
    })
}

fn moved(time: Timestamp, micros: i64) -> Timestamp {
    Timestamp::nearest_to_micros(time.as_micros().saturating_add(micros))
}

/// Returns where the events may stand in the order of time that have their places in `range`.
fn by_times(range: Range) -> Range {
    let time = |place: &String| table::without_id(place).parse::<Timestamp>().ok();
    let start = |time| format!("{}{}", table::TIMED_EVENTS, TimedPlace::start(time));
    let from = range.from.as_ref().and_then(time).map(|from| start(moved(from, -DISTANCE)));
    let to = range.to.as_ref().and_then(time).map(|to| start(moved(to, DISTANCE)));
    range.between(from, to)
}

/// Returns the states whose events may have their places in `range`: those that were entered at these times.
fn by_states(range: Range) -> Range {
    let entered = |place: &Option<String>| {
        Some(format!("{}{}", table::STATES, place.as_deref().map(table::without_id).unwrap_or_default()))
    };
    let (from, to) = (entered(&range.from), entered(&range.to));
    range.between(from, to)
}

/// Returns when an event occurred, without reading the rest of it.
fn occurred(item: &Item) -> Option<Timestamp> {
    // It is the first field, as a rule.
    let first = item.head.as_deref().and_then(|head| head.strip_prefix(r#"{"occurred":""#)?.split_once('"'));
    first.and_then(|(time, _)| time.parse().ok()).or_else(|| Some(item.readable::<ReceivedEvent>()?.occurred))
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
