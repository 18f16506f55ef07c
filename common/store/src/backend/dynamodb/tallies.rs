//! Tallies in DynamoDB: an item for each scope and period, changed by a consumer of the table's stream alone.
//!
//! The usual cells of a period share an item, with one number each for what is summed up. A cell with another name, of
//! which there may be any number, is an item of its own behind it. So the items of some periods are one range of sort
//! keys, and no item grows without end.
//!
//! **Nothing is counted twice.** An item has for each shard of the stream a watermark: the number of the last change
//! that is counted in it. One update adds numbers and moves the watermark, on the condition that the watermark is
//! before all changes that it adds. Where it is not, the watermark tells which changes are left. So each item by itself
//! holds exactly the changes up to its watermark, wherever batches are cut, whoever dies between two updates, and
//! whoever comes late. The watermark moves even where changes cancel each other out: a slower consumer that has only
//! the first of them must find that it is late.
//!
//! **Watermarks of closed shards are removed** when they are older than anything that the stream may still tell of.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    types::{AttributeValue, ReturnConsumedCapacity, ReturnValue},
};
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    DynamoDb,
    attributes::{Attributes, read, units, written},
    failure,
};
use crate::{
    Item, Key,
    backend::{Consistency, Metered, Spent},
    table,
    tallies::{
        CountedBatch, CountedChange, Length, Sums, Tallied, TallyKey, TallyRange, cut, fill::TallyFill, is_usual,
        tallied_fields,
    },
};
use error::Result;

/// What the partition keys of tallies begin with.
pub(super) const PREFIX: &str = "tally#";

/// The attribute that says that the stream counts an item, of type `S` where what is counted is not in the item itself.
pub(super) const COUNTED: &str = "counted";

/// Over how many partitions the tallies of all time are spread, of which each leaf has one.
const PARTITIONS: u8 = 4;

/// How many numbers one update changes at most: an expression has 4 KB.
const MOST_NUMBERS: usize = 150;

/// How many items are changed or ranges are read at once.
const AT_ONCE: usize = 16;

/// How many ranges are read for one answer at most; the planner looks at the records where it takes more.
const MOST_RANGES: usize = 200;

/// For how long a watermark that no longer moves is kept, in seconds.
///
/// The stream keeps a change for 24 hours and may take its time to drop it, and a consumer ends after 15 minutes.
const WATERMARK_KEPT: i64 = 48 * 3_600;

/// How many old watermarks may gather in an item before they are removed, which costs an update.
const MOST_OLD: usize = 8;

/// What the name of a watermark's attribute begins with.
const WATERMARK: &str = "w|";

/// Where a watermark has the number of the last change, and where its time.
const SEQUENCE: &str = "s";
const TIME: &str = "t";

/// The attribute with the cell of an item that has no other.
const CELL: &str = "cell";

/// For how long a process takes it that there are tallies, or that there are none.
const THERE: Duration = Duration::from_mins(1);
const NOT_THERE: Duration = Duration::from_secs(30);

/// DynamoDB's code for a condition that was not met.
const FAILED: &str = "ConditionalCheckFailedException";

/// Whether all that there is was counted, as it was found last.
#[derive(Clone, Debug, Default)]
pub(super) struct Completeness(Arc<Mutex<Option<(Instant, bool)>>>);

/// An item with tallies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bucket {
    key: Key,
    /// Its cell, if it has but one.
    cell: Option<String>,
}

/// How one change of the stream changes a bucket.
#[derive(Clone, Debug)]
struct Step {
    sequence: u128,
    time: i64,
    /// What is added, by the names of attributes.
    numbers: BTreeMap<String, i64>,
}

/// What became of steps.
enum Outcome {
    Added,
    /// Those up to this number were added before, if any were.
    CountedUpTo(Option<u128>),
}

impl Completeness {
    fn known(&self) -> Option<bool> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |(at, is_there): (Instant, bool)| at.elapsed() < if is_there { THERE } else { NOT_THERE };
        known.filter(|known| is_current(*known)).map(|(_, is_there)| is_there)
    }

    fn note(&self, is_there: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), is_there));
    }
}

impl Bucket {
    fn of(tally: &TallyKey) -> Self {
        let (pk, sk) = match tally.length {
            Length::Whole => (whole(tally.scope.last().copied().unwrap_or_default()), scope_text(&tally.scope)),
            length => (format!("{PREFIX}{}#{}", name(length), scope_text(&tally.scope)), period_text(tally.period)),
        };
        if is_usual(tally) {
            return Self { key: Key { pk, sk }, cell: None };
        }
        let sk = format!("{sk}#{}", table::bounded(&tally.cell));
        Self { key: Key { pk, sk }, cell: Some(cut(&tally.cell).to_owned()) }
    }

    /// Returns the name of the attribute with the sum at a place of [`Sums::to_array`].
    fn attribute(&self, place: usize, cell: &str) -> String {
        if self.cell.is_some() { place.to_string() } else { format!("{place}|{cell}") }
    }
}

/// Returns the partition with tallies of all time of the scopes that end with `last`.
fn whole(last: u8) -> String {
    format!("{PREFIX}whole#{}", last % PARTITIONS)
}

fn name(length: Length) -> &'static str {
    match length {
        Length::Whole => "whole",
        Length::Hour => "hour",
        Length::Minute => "minute",
        Length::Second => "second",
    }
}

/// Writes a scope; none begins as another does, for its first byte says how long it is.
fn scope_text(scope: &[u8]) -> String {
    if scope.is_empty() {
        return "all".to_owned();
    }
    scope.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn scope_of(text: &str) -> Option<Vec<u8>> {
    if text == "all" {
        return Some(Vec::new());
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Writes the number of a period so that text order is the order of numbers.
fn period_text(period: i64) -> String {
    format!("{:016x}", period.cast_unsigned() ^ (1 << 63))
}

fn period_of(text: &str) -> Option<i64> {
    let number = u64::from_str_radix(text.get(..16)?, 16).ok()?;
    Some((number ^ (1 << 63)).cast_signed())
}

/// Returns how many of `steps` one update takes, of which there is one at least.
fn fitting(steps: &[Step]) -> usize {
    let mut names = BTreeSet::new();
    for (place, step) in steps.iter().enumerate() {
        names.extend(step.numbers.keys());
        if names.len() > MOST_NUMBERS {
            return place.max(1);
        }
    }
    steps.len()
}

/// Cuts changes into those of each bucket, in their order.
fn steps_of(changes: &[CountedChange]) -> BTreeMap<Bucket, Vec<Step>> {
    let mut buckets = BTreeMap::<Bucket, Vec<Step>>::new();
    for CountedChange { sequence, time, deltas } in changes {
        let mut of_change = BTreeMap::<Bucket, BTreeMap<String, i64>>::new();
        for (tally, sums) in deltas {
            let bucket = Bucket::of(tally);
            let added = sums.to_array().into_iter().enumerate().filter(|(_, number)| *number != 0);
            let numbers: Vec<(String, i64)> =
                added.map(|(place, number)| (bucket.attribute(place, &tally.cell), number)).collect();
            of_change.entry(bucket).or_default().extend(numbers);
        }
        for (bucket, numbers) in of_change {
            buckets.entry(bucket).or_default().push(Step { sequence: *sequence, time: *time, numbers });
        }
    }
    for steps in buckets.values_mut() {
        steps.sort_by_key(|step| step.sequence);
    }
    buckets
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(format!("{value}"))
}

/// Reads the number and the time of a watermark.
fn watermark(value: &AttributeValue) -> Option<(u128, i64)> {
    let fields = value.as_m().ok()?;
    let text = |name: &str| fields.get(name)?.as_n().ok();
    Some((text(SEQUENCE)?.parse().ok()?, text(TIME)?.parse().ok()?))
}

/// Adds the numbers of an item to `tallied`; those of a period stand under `period`, unless each is told by itself.
fn take(mut item: Attributes, range: &TallyRange, tallied: &mut Tallied) -> Option<()> {
    tallied.rows += 1;
    let Some(AttributeValue::S(pk)) = item.remove(table::PARTITION) else { return None };
    let Some(AttributeValue::S(sk)) = item.remove(table::SORT) else { return None };
    let of_item = item.remove(CELL).and_then(|cell| cell.as_s().ok().cloned());
    let place = sk.split('#').next()?;
    let scope = scope_of(if range.length == Length::Whole { place } else { pk.rsplit('#').next()? })?;
    let period = if range.each && range.length != Length::Whole { period_of(place)? } else { range.first };
    for (name, value) in item {
        let AttributeValue::N(number) = value else { continue };
        let (place, cell) = match (name.split_once('|'), &of_item) {
            (None, Some(cell)) => (name.as_str(), cell.as_str()),
            (Some((place, cell)), None) => (place, cell),
            _ => continue,
        };
        let (Ok(place), Ok(number)) = (place.parse::<usize>(), number.parse::<i64>()) else { continue };
        let mut more = [0; 5];
        *more.get_mut(place)? = number;
        let (scope, cell) = (scope.clone(), cell.to_owned());
        domain::tallies::add(
            &mut tallied.sums,
            TallyKey { length: range.length, scope, period, cell },
            Sums::from_array(more),
        );
    }
    Some(())
}

impl DynamoDb {
    /// Adds a batch of the stream, or what of it was not added before.
    pub(super) async fn count_batch(&self, batch: &CountedBatch) -> Result<Spent> {
        let updates: Vec<_> = steps_of(&batch.changes)
            .into_iter()
            .map(|(bucket, steps)| self.count_in(&batch.shard, bucket, steps))
            .collect();
        let (mut updates, mut spent) = (stream::iter(updates).buffer_unordered(AT_ONCE), Spent::default());
        while let Some(more) = updates.try_next().await? {
            spent = spent.and(more);
        }
        Ok(spent)
    }

    async fn count_in(&self, shard: &str, bucket: Bucket, mut steps: Vec<Step>) -> Result<Spent> {
        let mut spent = Spent::default();
        while !steps.is_empty() {
            let count = fitting(&steps);
            let (outcome, more) = self.add_steps(shard, &bucket, &steps[..count]).await?;
            spent = spent.and(more);
            match outcome {
                Outcome::Added => drop(steps.drain(..count)),
                Outcome::CountedUpTo(last) => steps.retain(|step| last.is_none_or(|last| step.sequence > last)),
            }
        }
        Ok(spent)
    }

    /// Adds `steps` together, if none of them was added before.
    async fn add_steps(&self, shard: &str, bucket: &Bucket, steps: &[Step]) -> Result<Metered<Outcome>> {
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
            return Ok((Outcome::Added, Spent::default()));
        };
        let mut numbers = BTreeMap::<&str, i64>::new();
        for (name, number) in steps.iter().flat_map(|step| &step.numbers) {
            let sum = numbers.entry(name).or_default();
            *sum = sum.saturating_add(*number);
        }
        numbers.retain(|_, number| *number != 0);
        let mark = HashMap::from([(SEQUENCE.to_owned(), number(last.sequence)), (TIME.to_owned(), number(last.time))]);
        let mut update = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(written(&bucket.key)?))
            .condition_expression("attribute_not_exists(#w) OR #w.#s < :first")
            .expression_attribute_names("#w", format!("{WATERMARK}{shard}"))
            .expression_attribute_names("#s", SEQUENCE)
            .expression_attribute_values(":w", AttributeValue::M(mark))
            .expression_attribute_values(":first", number(first.sequence))
            .return_values(ReturnValue::AllNew)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut expression = "SET #w = :w".to_owned();
        if let Some(cell) = &bucket.cell {
            expression.push_str(", #c = :c");
            update = update
                .expression_attribute_names("#c", CELL)
                .expression_attribute_values(":c", AttributeValue::S(cell.clone()));
        }
        let additions: Vec<String> = (0..numbers.len()).map(|place| format!("#n{place} :n{place}")).collect();
        if !additions.is_empty() {
            expression.push_str(" ADD ");
            expression.push_str(&additions.join(", "));
        }
        for (place, (name, addend)) in numbers.into_iter().enumerate() {
            update = update
                .expression_attribute_names(format!("#n{place}"), name)
                .expression_attribute_values(format!(":n{place}"), number(addend));
        }
        match update.update_expression(expression).send().await {
            Ok(answer) => {
                let spent = Spent::once(units(answer.consumed_capacity.as_slice()));
                let item = answer.attributes.unwrap_or_default();
                let more = self.remove_old_watermarks(&bucket.key, &item, last.time).await?;
                Ok((Outcome::Added, spent.and(more)))
            }
            Err(error) if error.code() == Some(FAILED) => {
                let (last, spent) = self.watermark_of(shard, &bucket.key).await?;
                // A condition that fails is paid for as a write.
                Ok((Outcome::CountedUpTo(last), spent.and(Spent::once(1.0))))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    async fn watermark_of(&self, shard: &str, key: &Key) -> Result<Metered<Option<u128>>> {
        let (found, spent) = self.attributes_of(vec![written(key)?], Consistency::Strong).await?;
        let mark = found.first().and_then(|item| watermark(item.get(&format!("{WATERMARK}{shard}"))?));
        Ok((mark.map(|(sequence, _)| sequence), spent))
    }

    /// Removes the watermarks of `item` that are too old at the `time` of a change to keep anything from being counted
    /// twice.
    async fn remove_old_watermarks(&self, key: &Key, item: &Attributes, time: i64) -> Result<Spent> {
        let limit = time.saturating_sub(WATERMARK_KEPT);
        let is_old = |value| watermark(value).is_some_and(|(_, time)| time < limit);
        let old = item.iter().filter(|(name, value)| name.starts_with(WATERMARK) && is_old(value));
        let old: Vec<&String> = old.map(|(name, _)| name).take(MOST_NUMBERS).collect();
        if old.len() < MOST_OLD {
            return Ok(Spent::default());
        }
        let of_each = |text: fn(usize) -> String| (0..old.len()).map(text).collect::<Vec<_>>();
        let mut update = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(written(key)?))
            .update_expression(format!("REMOVE {}", of_each(|place| format!("#w{place}")).join(", ")))
            .condition_expression(of_each(|place| format!("#w{place}.#t < :limit")).join(" AND "))
            .expression_attribute_names("#t", TIME)
            .expression_attribute_values(":limit", number(limit))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        for (place, name) in old.into_iter().enumerate() {
            update = update.expression_attribute_names(format!("#w{place}"), name);
        }
        match update.send().await {
            Ok(answer) => Ok(Spent::once(units(answer.consumed_capacity.as_slice()))),
            // Another consumer has removed them.
            Err(error) if error.code() == Some(FAILED) => Ok(Spent::once(1.0)),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Adds up what is in `ranges`, if all that there is was counted.
    pub(super) async fn tallied(&self, ranges: &[TallyRange]) -> Result<Metered<Option<Tallied>>> {
        // Of the tallies of all scopes only those of all time are found.
        let is_found = |range: &TallyRange| range.scope.is_some() || range.length == Length::Whole;
        if ranges.len() > MOST_RANGES || !ranges.iter().all(is_found) {
            return Ok((None, Spent::default()));
        }
        let (is_complete, spent) = self.is_counted().await?;
        if !is_complete {
            return Ok((None, spent));
        }
        let mut reads = Vec::new();
        // Nothing is counted by the second here.
        for range in ranges.iter().filter(|range| range.length != Length::Second) {
            reads.extend(queries(range).into_iter().map(|(pk, bounds)| self.items_of(range, pk, bounds)));
        }
        let (mut tallied, mut spent) = (Tallied::default(), spent);
        let mut reads = stream::iter(reads).buffered(AT_ONCE);
        while let Some((range, (items, more))) = reads.try_next().await? {
            spent = spent.and(more);
            let Some(items) = items else { return Ok((None, spent)) };
            for item in items {
                if take(item, range, &mut tallied).is_none() {
                    tracing::error!("a tally can't be read");
                }
            }
        }
        Ok((Some(tallied), spent))
    }

    /// Reads the items of a range in a partition, with the range; nothing if these are too many leaves.
    async fn items_of<'r>(
        &self,
        range: &'r TallyRange,
        pk: String,
        bounds: Option<(String, String)>,
    ) -> Result<(&'r TallyRange, Metered<Option<Vec<Attributes>>>)> {
        // Who asks for each period by itself recounts, and wants all of them.
        let is_bounded = range.scope.is_none() && !range.each;
        Ok((range, self.all_of(pk, bounds, is_bounded).await?))
    }

    /// Reads the items of a partition whose sort keys lie within bounds; nothing if they are to fit into a page and
    /// don't.
    async fn all_of(
        &self,
        pk: String,
        bounds: Option<(String, String)>,
        is_page: bool,
    ) -> Result<Metered<Option<Vec<Attributes>>>> {
        let (mut items, mut spent, mut start) = (Vec::new(), Spent::default(), None);
        loop {
            let mut query = self
                .client
                .query()
                .table_name(&*self.table)
                .expression_attribute_values(":pk", AttributeValue::S(pk.clone()))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            query = match &bounds {
                None => query.key_condition_expression("pk = :pk"),
                Some((first, last)) => query
                    .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                    .expression_attribute_values(":first", AttributeValue::S(first.clone()))
                    .expression_attribute_values(":last", AttributeValue::S(last.clone())),
            };
            let answer = query.send().await.map_err(|error| failure(&error))?;
            spent = spent.and(Spent::once(units(answer.consumed_capacity.as_slice())));
            items.extend(answer.items.unwrap_or_default());
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok((Some(items), spent));
            }
            if is_page {
                return Ok((None, spent));
            }
        }
    }

    /// Says whether all that there is was counted.
    async fn is_counted(&self) -> Result<Metered<bool>> {
        if let Some(known) = self.completeness.known() {
            return Ok((known, Spent::default()));
        }
        let (found, spent) = self.get_one(&table::tally_fill()).await?;
        let fill = found.first().map(Item::record::<TallyFill>).transpose()?;
        let is_complete = fill.is_some_and(|fill| fill.completed.is_some());
        self.completeness.note(is_complete);
        Ok((is_complete, spent))
    }

    /// Marks the items under `keys` as counted that are not; returns how many were not.
    pub(super) async fn mark(&self, keys: &[Key]) -> Result<Metered<usize>> {
        let keys = keys.iter().map(written).collect::<Result<Vec<_>>>()?;
        let (found, mut spent) = self.attributes_of(keys, Consistency::Strong).await?;
        let unmarked: Vec<Attributes> = found.into_iter().filter(|item| !item.contains_key(COUNTED)).collect();
        let mut count = 0;
        for attributes in unmarked {
            count += 1;
            let image = read(attributes)?;
            let is_whole = image.is_whole();
            let (items, more) = self.completed(vec![image]).await?;
            spent = spent.and(more);
            for item in items {
                spent = spent.and(self.mark_one(&item, is_whole).await?);
            }
        }
        Ok((count, spent))
    }

    async fn mark_one(&self, item: &Item, is_whole: bool) -> Result<Spent> {
        let update = self
            .client
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(written(&item.key)?))
            .update_expression(format!("SET {COUNTED} = :counted"))
            .condition_expression(format!("version = :version AND attribute_not_exists({COUNTED})"))
            .expression_attribute_values(":counted", counted(item.head.as_deref(), is_whole))
            .expression_attribute_values(":version", number(item.version))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match update.send().await {
            Ok(answer) => Ok(Spent::once(units(answer.consumed_capacity.as_slice()))),
            // Whoever wrote it meanwhile has marked it.
            Err(error) if error.code() == Some(FAILED) => Ok(Spent::once(1.0)),
            Err(error) => Err(failure(&error)),
        }
    }
}

/// Returns the mark of an item: with what is counted of it, where that is in parts beside it.
///
/// The parts of an image before a change may be gone when the change is counted.
pub(super) fn counted(head: Option<&str>, is_whole: bool) -> AttributeValue {
    if is_whole { number(1) } else { AttributeValue::S(tallied_fields(head.unwrap_or_default())) }
}

/// Returns the queries that read a range: partitions, with the bounds of their sort keys.
fn queries(range: &TallyRange) -> Vec<(String, Option<(String, String)>)> {
    // Behind every period or scope, and before the next one.
    let within = |first: String, last: String| Some((first, last + "~"));
    match (&range.scope, range.length) {
        (None, _) => (0..PARTITIONS).map(|partition| (whole(partition), None)).collect(),
        (Some(scope), Length::Whole) => {
            let text = scope_text(scope);
            vec![(whole(scope.last().copied().unwrap_or_default()), within(text.clone(), text))]
        }
        (Some(scope), length) => {
            let pk = format!("{PREFIX}{}#{}", name(length), scope_text(scope));
            vec![(pk, within(period_text(range.first), period_text(range.last)))]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_sort_as_their_numbers_and_are_read_as_written() {
        let periods = [i64::MIN, -7, -1, 0, 1, 491_000, i64::MAX];
        let texts = periods.map(period_text);
        assert!(texts.is_sorted());
        assert_eq!(texts.map(|text| period_of(&text)), periods.map(Some));
    }

    #[test]
    fn scopes_are_read_as_written() {
        for scope in [vec![], vec![0xE0], vec![1, 0, 255]] {
            assert_eq!(scope_of(&scope_text(&scope)), Some(scope));
        }
    }

    #[test]
    fn an_update_takes_no_more_than_an_expression_has_room_for() {
        let step = |sequence: u128| {
            let numbers = (0..10).map(|name| (format!("{sequence}|{name}"), 1)).collect();
            Step { sequence, time: 0, numbers }
        };
        let steps: Vec<Step> = (0..40).map(step).collect();
        assert_eq!(fitting(&steps), MOST_NUMBERS / 10);
        let many = Step { numbers: (0..=MOST_NUMBERS).map(|name| (name.to_string(), 1)).collect(), ..step(0) };
        assert_eq!(fitting(&[many]), 1);
    }
}
