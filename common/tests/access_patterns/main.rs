//! A probe of each access pattern: a method of the store runs, and its requests take the way that is declared.
//!
//! A pattern on the page of the table is a claim that nothing else depends on, so nothing else finds out when a plan
//! changes and the page does not. A probe adds what is asked for, asks, and compares the steps that an interceptor of
//! the SDK has recorded. Ways without a pattern are not looked for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod artifacts;
mod blocks;
mod events_and_logs;
mod flow_runs;
mod flows;
mod others;
mod probe;
mod recorder;
mod task_runs;
mod work_pools;
mod world;

use common::store::table::{ACCESS_PATTERNS, AccessPattern, Step};
use probe::{Probe, differences};

#[tokio::test]
async fn every_access_pattern_is_the_way_that_is_taken() {
    let probes = [
        Box::pin(flows::probes()).await,
        Box::pin(flow_runs::probes()).await,
        Box::pin(task_runs::probes()).await,
        Box::pin(events_and_logs::probes()).await,
        Box::pin(artifacts::probes()).await,
        Box::pin(work_pools::probes()).await,
        Box::pin(blocks::probes()).await,
        Box::pin(others::probes()).await,
    ];
    let differences = differences(ACCESS_PATTERNS, &probes.concat());
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

#[test]
fn a_pattern_that_is_false_or_not_probed_is_told() {
    let pattern = |asked, way| AccessPattern { asked, way };
    let patterns = [
        pattern("a true one", &[Step::Get("flow")]),
        pattern("a false one", &[Step::Get("flow")]),
        pattern("one without a probe", &[Step::Get("flow")]),
        pattern("one with two probes", &[Step::Get("flow")]),
    ];
    let probe = |asked, kind| Probe { asked, way: vec![Step::Get(kind)] };
    let probes = [
        probe("a true one", "flow"),
        probe("a false one", "flow_run"),
        probe("one without a pattern", "flow"),
        probe("one with two probes", "flow"),
        probe("one with two probes", "flow"),
    ];
    let told = differences(&patterns, &probes);
    let named = ["a false one", "one without a probe", "one with two probes", "one without a pattern"];
    assert_eq!(told.len(), named.len(), "{told:?}");
    assert!(told.iter().zip(named).all(|(told, named)| told.contains(named)), "{told:?}");
}
