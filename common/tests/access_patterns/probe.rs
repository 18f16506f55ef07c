//! What a probe finds out, and how it is held against the page of the table.

use std::collections::HashMap;

use common::store::table::{AccessPattern, Step};

/// The way that a question really took.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// What was asked, in the words of the pattern.
    pub(crate) asked: &'static str,
    /// The steps in the order of their first requests.
    pub(crate) way: Vec<Step>,
}

/// What a method answers; a question that finds nothing takes only the beginning of its way.
pub(crate) trait Answer {
    fn is_found(&self) -> bool;
}

impl<T> Answer for Option<T> {
    fn is_found(&self) -> bool {
        self.is_some()
    }
}

impl<T> Answer for Vec<T> {
    fn is_found(&self) -> bool {
        !self.is_empty()
    }
}

impl<K, V> Answer for HashMap<K, V> {
    fn is_found(&self) -> bool {
        !self.is_empty()
    }
}

/// Whether there was what should be changed.
impl Answer for bool {
    fn is_found(&self) -> bool {
        *self
    }
}

/// Returns what is wrong with the patterns, or with the probes of them.
pub(crate) fn differences(patterns: &[AccessPattern], probes: &[Probe]) -> Vec<String> {
    let of_patterns = patterns.iter().filter_map(|pattern| {
        let asked = pattern.asked;
        match &probes.iter().filter(|probe| probe.asked == asked).collect::<Vec<_>>()[..] {
            [] => Some(format!("{asked}: no probe")),
            [probe] if probe.way == pattern.way => None,
            [probe] => Some(format!("{asked}:\n  declared {:?}\n  taken    {:?}", pattern.way, probe.way)),
            _ => Some(format!("{asked}: several probes")),
        }
    });
    let is_unknown = |probe: &&Probe| patterns.iter().all(|pattern| pattern.asked != probe.asked);
    let without_pattern = probes.iter().filter(is_unknown);
    of_patterns.chain(without_pattern.map(|probe| format!("{}: no pattern", probe.asked))).collect()
}
