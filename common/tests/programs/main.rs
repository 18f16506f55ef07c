//! Whatever a user writes as a program is answered in little time, on a small stack, with little memory.
//!
//! `corpus.json` has the programs that once ended the process or kept it busy; each is refused by the bound that it
//! names. Beside it, random programs are made of grammars: templates, schemas, recurrence rules, cron expressions,
//! filters and bodies: the same in each run, so that a run says something of the change and not of its luck. To try
//! others, so many minutes of each kind:
//!
//! ```text
//! PROGRAMS_MINUTES=10 cargo test -p common --test programs -- --nocapture --test-threads=1 any_
//! ```
//!
//! With `PROGRAMS_LAST=last.txt` each program is written there before it runs, so that one that ends the process is known.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken test must fail")]

mod bodies;
mod corpus;
mod rules;
mod schemas;
mod templates;

use std::{
    cell::Cell,
    env,
    fmt::Debug,
    fs,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

/// What a program may take of a processor, in a build without optimisation.
const LIMIT: Duration = Duration::from_secs(2);

/// How much memory a program may take, in megabytes.
const MEMORY: u64 = 256;

/// How many random programs of each kind are tried where no time is set.
const CASES: u32 = 200;

/// The stacks on which programs are tried, in bytes: that of tokio's threads, and that of a function's only one.
const STACKS: [usize; 2] = [2 * 1024 * 1024, 8 * 1024 * 1024];

/// Has the process for itself, so that what is measured is what one program takes.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what tries programs on a thread with a stack of this size.
fn on_stack(size: usize, trying: impl FnOnce() + Send + 'static) {
    let _alone = alone();
    let thread = thread::Builder::new().stack_size(size).spawn(trying).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Returns what this thread has taken of a processor.
fn processor_time() -> Duration {
    let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(times.split(' ').next().unwrap().parse().unwrap())
}

/// What a program took.
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    time: Duration,
    /// How much more memory the process had meanwhile than before, in megabytes.
    memory: u64,
}

impl Took {
    fn is_little(self) -> bool {
        self.time < LIMIT && self.memory < MEMORY
    }

    fn or_more(self, other: Self) -> Self {
        Self { time: self.time.max(other.time), memory: self.memory.max(other.memory) }
    }
}

/// Runs a program, and tells what it took.
fn measured<T>(program: impl FnOnce() -> T) -> (T, Took) {
    // Forgets how much memory the process had before.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, began) = (memory("VmRSS:"), processor_time());
    let outcome = program();
    let time = processor_time().saturating_sub(began);
    (outcome, Took { time, memory: memory("VmHWM:").saturating_sub(before) })
}

/// Returns how much memory the process has, or has had at most, in megabytes.
fn memory(which: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Tries random programs on a small stack: the same few each time, or others for as many minutes as are set.
fn explore<S>(kind: &'static str, programs: impl Fn() -> S + Send + 'static, run: fn(&S::Value))
where
    S: Strategy,
    S::Value: Debug + 'static,
{
    let minutes: Option<u64> = env::var("PROGRAMS_MINUTES").ok().and_then(|minutes| minutes.parse().ok());
    on_stack(STACKS[0], move || {
        let until = minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
        let config = Config { cases: CASES, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
        let mut cases = 0_u64;
        let most = Cell::new(Took::default());
        loop {
            let mut runner = match until {
                Some(_) => TestRunner::new(config.clone()),
                None => TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
            };
            let ran = runner.run(&programs(), |program| {
                if let Ok(last) = env::var("PROGRAMS_LAST") {
                    fs::write(last, format!("{program:?}")).unwrap();
                }
                let ((), took) = measured(|| run(&program));
                most.set(most.get().or_more(took));
                if took.is_little() { Ok(()) } else { Err(TestCaseError::fail(format!("{took:?}"))) }
            });
            ran.unwrap_or_else(|failure| panic!("{kind}: {failure}"));
            cases += u64::from(CASES);
            if until.is_none_or(|until| Instant::now() > until) {
                break;
            }
        }
        eprintln!("{kind}: {cases} programs, of which none took more than {:?}", most.get());
    });
}
