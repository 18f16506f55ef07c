//! What was recorded, as units a second of the partition keys that many runs share.

use std::{collections::BTreeMap, fmt::Write};

use common::store::{Shards, table::Index};
use uuid::Uuid;

use crate::{
    capacity::{PartitionKey, Units},
    lifetimes::Lifetimes,
};

/// Write units a second that one partition bears ("Best practices for designing and using partition keys effectively").
pub(crate) const MOST_WRITES: f64 = 1_000.0;

/// Read units a second that one partition bears (on the same page).
pub(crate) const MOST_READS: f64 = 3_000.0;

/// A partition key that many lifetimes share, or a group of records that is spread over as many keys as it has shards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shared {
    /// The index's name, or `table`.
    pub(crate) of: &'static str,
    /// The key with ids left out; `<shard>` at its end if it is spread.
    pub(crate) key: String,
    /// The units a second, on all shards together.
    pub(crate) units: Units,
    /// Over how many keys they are spread.
    pub(crate) keys: u8,
}

impl Shared {
    /// Returns the units a second on one key: ids are random, so the shards get the same in the long run.
    pub(crate) fn on_one_key(&self) -> Units {
        let keys = f64::from(self.keys.max(1));
        Units { read: self.units.read / keys, write: self.units.write / keys }
    }

    /// Says whether one key gets more than a partition bears.
    pub(crate) fn is_too_hot(&self) -> bool {
        let Units { read, write } = self.on_one_key();
        read > MOST_READS || write > MOST_WRITES
    }

    /// Returns over how many keys the units have to be spread at least, for none to get more than a partition bears.
    fn fewest_keys(&self) -> f64 {
        (self.units.read / MOST_READS).max(self.units.write / MOST_WRITES).ceil().max(1.0)
    }
}

/// Returns what `lifetimes` that begin at `rate` a second make of the shared keys, the hottest of each index first.
///
/// A key that belongs to one run alone gets the same however many others there are, and is left out: those are the
/// kinds of keys of which there are about as many as lifetimes. Of a kind with several keys the hottest is kept.
pub(crate) fn shared(lifetimes: &Lifetimes, shards: Shards, rate: f64) -> Vec<Shared> {
    #[expect(clippy::cast_precision_loss, reason = "so few lifetimes are counted exactly")]
    let each = rate / lifetimes.count.max(1) as f64;
    let mut groups: BTreeMap<(&'static str, &str, bool), Units> = BTreeMap::new();
    for (PartitionKey { of, value }, units) in &lifetimes.units {
        let (group, is_spread) = group(value, shards_of(of, shards));
        groups.entry((of, group, is_spread)).or_default().add(*units, each);
    }
    let mut kinds: BTreeMap<(&'static str, String), Vec<Shared>> = BTreeMap::new();
    for ((of, group, is_spread), units) in groups {
        let (key, keys) =
            if is_spread { (format!("{}#<shard>", kind(group)), shards_of(of, shards).0) } else { (kind(group), 1) };
        kinds.entry((of, key.clone())).or_default().push(Shared { of, key, units, keys });
    }
    let hottest = |found: Vec<Shared>| found.into_iter().max_by(|one, other| heat(one).total_cmp(&heat(other)));
    let is_shared = |found: &Vec<Shared>| 2 * found.len() <= lifetimes.count;
    let mut shared: Vec<Shared> = kinds.into_values().filter(is_shared).filter_map(hottest).collect();
    shared.sort_by(|one, other| one.of.cmp(other.of).then(heat(other).total_cmp(&heat(one))));
    shared
}

/// Returns the shards of a group in the index called `name`; of the table itself, all.
fn shards_of(name: &str, shards: Shards) -> Shards {
    Index::ALL.into_iter().find(|index| index.name() == name).map_or(shards, |index| shards.of_groups_in(index))
}

/// Returns how much of what a partition bears the key gets.
fn heat(shared: &Shared) -> f64 {
    let Units { read, write } = shared.on_one_key();
    (read / MOST_READS).max(write / MOST_WRITES)
}

/// Cuts the shard off the end of a partition key; says whether there was one.
fn group(key: &str, shards: Shards) -> (&str, bool) {
    match key.rsplit_once('#') {
        Some((group, shard)) if shard.parse().is_ok_and(|shard: u8| shard < shards.0) => (group, true),
        _ => (key, false),
    }
}

/// Leaves the ids out of a partition key, and the numbers and names that tell one of several from the others.
fn kind(key: &str) -> String {
    let part = |part: &str| {
        let is_id = Uuid::parse_str(part).is_ok() || part.starts_with("processworker-") || part.contains(' ');
        if is_id { "<id>".to_owned() } else { part.to_owned() }
    };
    let parts: Vec<String> =
        key.split('#').map(|text| text.split('.').map(part).collect::<Vec<_>>().join(".")).collect();
    parts.join("#")
}

/// Returns what two loads at the same time make of the keys of both.
pub(crate) fn together(one: &[Shared], other: &[Shared]) -> Vec<Shared> {
    let is_same = |a: &Shared, b: &Shared| (a.of, &a.key) == (b.of, &b.key);
    let mut both = one.to_vec();
    for found in other {
        match both.iter_mut().find(|known| is_same(known, found)) {
            Some(known) => known.units.add(found.units, 1.0),
            None => both.push(found.clone()),
        }
    }
    both
}

/// Writes the keys that get at least the part `least` of what a partition bears as a table.
///
/// With them goes over how many shards they have to be spread at least; for one record alone, among how many such.
pub(crate) fn table(shared: &[Shared], least: f64) -> String {
    let mut table = String::from(
        "| of | partition key | write units | on one key | read units | on one key | at least |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for found in shared.iter().filter(|found| heat(found) >= least) {
        let Units { read, write } = found.units;
        let (one, fewest) = (found.on_one_key(), found.fewest_keys());
        let fewest = match (found.keys, found.is_too_hot()) {
            (2.., _) => format!("{fewest} shards"),
            (_, true) => format!("{fewest} such"),
            (_, false) => String::new(),
        };
        // Writing to a text can't fail.
        let _ = writeln!(
            table,
            "| `{}` | `{}` | {write:.0} | {:.0} | {read:.0} | {:.0} | {fewest} |",
            found.of, found.key, one.write, one.read
        );
    }
    table
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "units are wholes and halves, which are exact")]
mod tests {
    use super::*;

    fn recorded(count: usize, units: &[(&'static str, &str, f64)]) -> Lifetimes {
        let units = units.iter().map(|(of, value, write)| {
            (PartitionKey { of, value: (*value).to_owned() }, Units { read: 0.0, write: *write })
        });
        Lifetimes { steps: Vec::new(), count, units: units.collect() }
    }

    #[test]
    fn shards_are_added_up_and_what_belongs_to_one_run_is_left_out() {
        let (one, other) = (format!("run#{}", Uuid::new_v4()), format!("run#{}", Uuid::new_v4()));
        let found = recorded(
            2,
            &[("by_time", "runs#0", 3.0), ("by_time", "runs#1", 1.0), ("table", &one, 9.0), ("table", &other, 9.0)],
        );
        let shared = shared(&found, Shards(2), 1_000.0);
        let units = Units { read: 0.0, write: 2_000.0 };
        assert_eq!(shared, [Shared { of: "by_time", key: "runs#<shard>".into(), units, keys: 2 }]);
        assert_eq!((shared[0].on_one_key().write, shared[0].is_too_hot()), (1_000.0, false));
        assert!(table(&shared, 1.0).ends_with("| `by_time` | `runs#<shard>` | 2000 | 1000 | 0 | 0 | 2 shards |\n"));
        assert_eq!(together(&shared, &shared)[0].units.write, 4_000.0);
    }

    #[test]
    fn of_several_keys_of_a_kind_the_hottest_is_told() {
        let worker = |number: u8| format!("resource#prefect.worker.process.processworker-{number}");
        let found = recorded(10, &[("lookup", &worker(1), 5.0), ("lookup", &worker(2), 15.0)]);
        let shared = shared(&found, Shards(2), 1_000.0);
        assert_eq!(shared.len(), 1);
        assert!(shared[0].is_too_hot());
        assert!(
            table(&shared, 1.0)
                .ends_with("| `resource#prefect.worker.process.<id>` | 1500 | 1500 | 0 | 0 | 2 such |\n")
        );
    }
}
