//! Concurrency limits: names of which a bounded number of slots can be taken at a time, or at a rate.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{TaskRunId, Timestamp, id::typed_id, named};
use crate::events::Lifecycle;

typed_id! {
    /// The id of a concurrency limit, of a tag, of a deployment or global.
    ConcurrencyLimitId
}

/// Over how many releases, for each slot, the average occupancy is taken.
const SAMPLES_PER_SLOT: f64 = 2.0;

/// The shortest time that a slot is reckoned to be taken, in seconds.
const SHORTEST_OCCUPANCY: f64 = 0.1;

/// What a slot is thought to be taken for before one was given back, in seconds.
const FIRST_OCCUPANCY: f64 = 2.0;

/// Of how many limits slots are taken or given back together at most.
///
/// A transaction has 100 writes at most (AWS: "`TransactWriteItems`"), and a lease, a run and its state are among them.
pub const MOST_TOGETHER: usize = 90;

/// Of how many limits slots are taken or given back together at most, where a tag's limit is among them.
///
/// Each of them lists the lease, which is one more write a limit.
pub const MOST_TOGETHER_WITH_TAGS: usize = MOST_TOGETHER / 2;

/// How the name of a tag's limit starts; the tag follows.
pub const TAG_PREFIX: &str = "tag:";

/// Returns the name of the limit of `tag`.
pub fn name_of_tag(tag: &str) -> String {
    format!("{TAG_PREFIX}{tag}")
}

/// A concurrency limit (contract schema `ConcurrencyLimitV2`).
///
/// `active_slots` and `denied_slots` hold as of `updated`; both decay from then on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConcurrencyLimit {
    /// The limit's id.
    pub id: ConcurrencyLimitId,
    /// When the limit was created.
    pub created: Timestamp,
    /// When the limit was last changed, or a slot of it taken or given back.
    pub updated: Timestamp,
    /// Whether the limit applies.
    pub active: bool,
    /// The limit's name.
    pub name: String,
    /// How many slots there are.
    pub limit: i64,
    /// How many slots are taken.
    pub active_slots: i64,
    /// How many slots were asked for in vain.
    pub denied_slots: i64,
    /// How many slots become free by themselves each second; more than 0 makes it a limit of a rate.
    pub slot_decay_per_second: f64,
    /// How long a slot is taken on average, in seconds.
    pub avg_slot_occupancy_seconds: f64,
}

/// A concurrency limit as it is answered where it is read (contract schema `GlobalConcurrencyLimitResponse`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GlobalConcurrencyLimit<'l> {
    id: ConcurrencyLimitId,
    created: Timestamp,
    updated: Timestamp,
    active: bool,
    name: &'l str,
    limit: i64,
    active_slots: i64,
    slot_decay_per_second: f64,
}

/// A tag's limit as the first generation's operations answer it (contract schema `ConcurrencyLimit`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TagConcurrencyLimit {
    id: ConcurrencyLimitId,
    created: Timestamp,
    updated: Timestamp,
    tag: String,
    concurrency_limit: i64,
    active_slots: Vec<TaskRunId>,
}

/// How long a client is told to wait for a slot at most, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongestWaits {
    /// For the limit of a tag.
    pub of_tags: f64,
    /// For any other limit.
    pub of_others: f64,
}

impl Default for LongestWaits {
    fn default() -> Self {
        Self { of_tags: 10.0, of_others: 30.0 }
    }
}

impl ConcurrencyLimit {
    /// Makes an active limit called `name` with all of its slots free.
    pub fn new(id: ConcurrencyLimitId, name: impl Into<String>, limit: i64, now: Timestamp) -> Self {
        Self {
            id,
            created: now,
            updated: now,
            active: true,
            name: name.into(),
            limit,
            active_slots: 0,
            denied_slots: 0,
            slot_decay_per_second: 0.0,
            avg_slot_occupancy_seconds: FIRST_OCCUPANCY,
        }
    }

    /// Returns the tag whose limit it is, if it is a tag's.
    pub fn tag(&self) -> Option<&str> {
        self.name.strip_prefix(TAG_PREFIX)
    }

    /// Returns the limit as the first generation's operations answer it; nothing if it is no tag's.
    ///
    /// `holders` are the task runs that hold its slots.
    pub fn as_tag_limit(&self, holders: Vec<TaskRunId>) -> Option<TagConcurrencyLimit> {
        Some(TagConcurrencyLimit {
            id: self.id,
            created: self.created,
            updated: self.updated,
            tag: self.tag()?.to_owned(),
            concurrency_limit: self.limit,
            active_slots: holders,
        })
    }

    /// Returns the limit as it is answered at `now`.
    pub fn as_of(&self, now: Timestamp) -> GlobalConcurrencyLimit<'_> {
        GlobalConcurrencyLimit {
            id: self.id,
            created: self.created,
            updated: self.updated,
            active: self.active,
            name: &self.name,
            limit: self.limit,
            active_slots: self.active_slots_at(now),
            slot_decay_per_second: self.slot_decay_per_second,
        }
    }

    /// Returns how many slots are taken at `now`, after decay.
    pub fn active_slots_at(&self, now: Timestamp) -> i64 {
        (self.active_slots - self.decayed(self.slot_decay_per_second, now)).max(0)
    }

    /// Takes `slots` at `now`, if so many are free; returns whether they were.
    pub fn take(&mut self, slots: i64, now: Timestamp, longest: LongestWaits) -> bool {
        let taken = self.active_slots_at(now).saturating_add(slots);
        if !self.active || taken > self.limit {
            return false;
        }
        self.settle(taken, now, longest);
        true
    }

    /// Gives `slots` back at `now`, which were taken for `occupancy` seconds together; nothing if the limit is inactive.
    pub fn give_back(&mut self, slots: i64, occupancy: Option<f64>, now: Timestamp, longest: LongestWaits) {
        if !self.active {
            return;
        }
        self.settle((self.active_slots_at(now) - slots).max(0), now, longest);
        if let Some(seconds) = occupancy.filter(|seconds| *seconds > 0.0 && self.limit > 0 && slots > 0) {
            let each = (seconds / float(slots)).max(SHORTEST_OCCUPANCY);
            let samples = float(self.limit) * SAMPLES_PER_SLOT;
            self.avg_slot_occupancy_seconds += (each - self.avg_slot_occupancy_seconds) / samples;
        }
    }

    /// Counts `slots` as taken at `now` and no others, however many there are; none if the limit is inactive.
    pub fn set_taken(&mut self, slots: i64, now: Timestamp, longest: LongestWaits) {
        self.settle(if self.active { slots } else { 0 }, now, longest);
    }

    /// Counts `slots` that were asked for in vain at `now`.
    pub fn deny(&mut self, slots: i64, now: Timestamp, longest: LongestWaits) {
        if self.active {
            self.settle(self.active_slots_at(now), now, longest);
            self.denied_slots = self.denied_slots.saturating_add(slots);
        }
    }

    /// Returns after how many seconds, on average, a client should ask again that wants `slots`.
    pub fn average_wait(&self, slots: i64, longest: LongestWaits) -> f64 {
        if self.slot_decay_per_second > 0.0 {
            return self.blocking_slots(slots) / self.slot_decay_per_second;
        }
        let longest = self.longest_wait(longest);
        (self.avg_slot_occupancy_seconds.min(longest) * self.blocking_slots(slots)).min(longest)
    }

    /// Returns how much stands between a client that wants `slots` and its turn: the more, the longer it waits.
    pub fn blocking_slots(&self, slots: i64) -> f64 {
        let waiting = float(slots.saturating_add(self.denied_slots));
        if self.slot_decay_per_second > 0.0 { waiting } else { waiting / float(self.limit) }
    }

    /// Writes down what is left of both counts at `now`.
    ///
    /// A part of a slot that has decayed is not lost: else clients that ask often enough would keep a rate's slots from
    /// ever becoming free, as they do Prefect.
    fn settle(&mut self, active_slots: i64, now: Timestamp, longest: LongestWaits) {
        let rate = self.decay_of_denials(longest);
        let decayed = (rate * now.seconds_since(self.updated)).max(0.0);
        let is_waiting = self.active_slots_at(now) > 0 || self.denied_slots > 0;
        self.denied_slots = (self.denied_slots - self.decayed(rate, now)).max(0);
        self.active_slots = active_slots;
        self.updated = if is_waiting { now.plus_seconds(-decayed.fract() / rate) } else { now };
    }

    /// Returns how many denials are forgotten each second: as many as slots become free.
    fn decay_of_denials(&self, longest: LongestWaits) -> f64 {
        if self.slot_decay_per_second > 0.0 {
            self.slot_decay_per_second
        } else {
            1.0 / self.avg_slot_occupancy_seconds.min(self.longest_wait(longest)).max(SHORTEST_OCCUPANCY)
        }
    }

    fn longest_wait(&self, longest: LongestWaits) -> f64 {
        if self.tag().is_some() { longest.of_tags } else { longest.of_others }
    }

    #[allow(clippy::cast_possible_truncation, reason = "the cast saturates")]
    fn decayed(&self, per_second: f64, now: Timestamp) -> i64 {
        (per_second * now.seconds_since(self.updated)).floor().max(0.0) as i64
    }
}

named!(ConcurrencyLimit);

impl Lifecycle for ConcurrencyLimit {
    const RESOURCE: &'static str = "concurrency-limit";

    fn payload(&self) -> Value {
        json!({
            "name": self.name,
            "limit": self.limit,
            "active": self.active,
            "slot_decay_per_second": self.slot_decay_per_second,
        })
    }
}

#[allow(clippy::cast_precision_loss, reason = "nobody sets a limit beyond 2^52")]
fn float(slots: i64) -> f64 {
    slots as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: LongestWaits = LongestWaits { of_tags: 30.0, of_others: 30.0 };

    fn limit(slots: i64) -> (ConcurrencyLimit, Timestamp) {
        let now = Timestamp::now();
        (ConcurrencyLimit::new(ConcurrencyLimitId::new(), "limit", slots, now), now)
    }

    #[test]
    fn never_more_slots_are_taken_than_there_are() {
        let (mut limit, now) = limit(2);
        assert!(limit.take(1, now, LONGEST) && limit.take(1, now, LONGEST));
        assert!(!limit.take(1, now, LONGEST));
        limit.give_back(1, None, now, LONGEST);
        assert!(!limit.take(2, now, LONGEST) && limit.take(1, now, LONGEST));
        limit.give_back(9, None, now, LONGEST);
        assert_eq!(limit.active_slots, 0);
    }

    #[test]
    fn an_inactive_limit_keeps_its_slots() {
        let (mut limit, now) = limit(2);
        limit.take(1, now, LONGEST);
        limit.active = false;
        limit.give_back(1, None, now, LONGEST);
        assert!(!limit.take(1, now, LONGEST));
        assert_eq!(limit.active_slots, 1);
    }

    #[test]
    fn slots_of_a_rate_decay_in_whole_ones() {
        let (mut limit, now) = limit(10);
        limit.slot_decay_per_second = 0.5;
        limit.take(10, now, LONGEST);
        assert_eq!(limit.active_slots_at(now.plus_seconds(3.9)), 9);
        assert!(!limit.take(1, now.plus_seconds(1.9), LONGEST));
        assert!(limit.take(1, now.plus_seconds(2.0), LONGEST));
        assert_eq!(limit.active_slots_at(now.plus_seconds(1_000.0)), 0);
    }

    #[test]
    fn the_wait_follows_the_occupancy_up_to_a_limit() {
        let (mut limit, now) = limit(2);
        assert!((limit.average_wait(1, LONGEST) - 1.0).abs() < 1e-9, "half of the two seconds that one slot takes");
        limit.deny(1, now, LONGEST);
        assert!((limit.average_wait(1, LONGEST) - 2.0).abs() < 1e-9, "one other waits as well");
        limit.take(1, now, LONGEST);
        limit.give_back(1, Some(4_000.0), now, LONGEST);
        assert!((limit.avg_slot_occupancy_seconds - 1_001.5).abs() < 1e-9);
        assert!((limit.average_wait(5, LONGEST) - 30.0).abs() < 1e-9);
        limit.slot_decay_per_second = 0.1;
        assert!((limit.average_wait(1, LONGEST) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn clients_that_ask_often_get_their_turn() {
        let (mut limit, now) = limit(1);
        limit.slot_decay_per_second = 0.1;
        assert!(limit.take(1, now, LONGEST));
        let seconds = (1..=20).find(|second| {
            let now = now.plus_seconds(f64::from(*second));
            limit.deny(1, now, LONGEST);
            limit.take(1, now, LONGEST)
        });
        assert_eq!(seconds, Some(10));
    }

    #[test]
    fn denials_are_forgotten() {
        let (mut limit, now) = limit(1);
        limit.deny(3, now, LONGEST);
        limit.deny(1, now.plus_seconds(4.0), LONGEST);
        assert_eq!(limit.denied_slots, 2, "two seconds of occupancy each");
    }
}
