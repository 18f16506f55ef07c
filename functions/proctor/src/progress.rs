//! What a person sees of long work: a bar on a terminal, elsewhere a line every few seconds.
//!
//! All of it goes to standard error, because programs read standard output. What is shown is never an error: a terminal
//! that can't be written stops no work.

use std::{
    fmt,
    io::{self, Write},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// How often a bar is drawn where the work itself says nothing.
const TICK: Duration = Duration::from_millis(100);

/// How long nothing is said where there is no terminal.
const SILENCE: Duration = Duration::from_secs(5);

/// A bar of work whose extent is known.
const BAR: &str = "{msg} [{bar:30}] {human_pos}/{human_len} {prefix} ({rate}/s, {eta} left)";

/// A bar of work that counts, and ends nobody knows when.
const COUNT: &str = "{spinner} {msg}: {human_pos} {prefix} ({rate}/s, {elapsed})";

/// A bar of work that does not count.
const WAIT: &str = "{spinner} {msg} ({elapsed})";

/// What is drawn by turns. Not every terminal has more than ASCII.
const SPINNER: &str = "|/-\\ ";

/// What a bar consists of: what is done, where the work is, what is left.
const CELLS: &str = "=> ";

/// The progress of a command, which is shown until this value is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    lines: Option<Lines>,
    is_quiet: bool,
}

impl Progress {
    /// Shows nothing.
    pub fn none() -> Self {
        Self { bar: ProgressBar::hidden(), lines: None, is_quiet: true }
    }

    /// Shows work on standard error, unless the user wants quiet.
    pub fn start(is_quiet: bool) -> Self {
        if is_quiet {
            return Self::none();
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if bar.is_hidden() {
            let lines = Lines::start(bar.clone(), SILENCE, io::stderr());
            return Self { bar, lines: Some(lines), is_quiet };
        }
        Self { bar, lines: None, is_quiet }
    }

    /// Begins work that does not count.
    pub fn wait(&self, doing: &'static str) {
        self.begin(WAIT, doing, "", None);
    }

    /// Begins work on things of a kind, such as `files`; `total` is how many there are, or about how many.
    pub fn count(&self, doing: &'static str, things: &'static str, total: Option<u64>) {
        self.begin(if total.is_some() { BAR } else { COUNT }, doing, things, total);
    }

    fn begin(&self, template: &str, doing: &'static str, things: &'static str, total: Option<u64>) {
        self.bar.set_style(style(template));
        self.bar.set_message(doing);
        self.bar.set_prefix(things);
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        self.bar.reset();
        if !self.bar.is_hidden() {
            self.bar.enable_steady_tick(TICK);
        }
    }

    /// Counts `more` things as done.
    pub fn add(&self, more: u64) {
        self.bar.inc(more);
        // A total that was only about right grows with what there is.
        if let Some(total) = self.bar.length()
            && self.bar.position() > total
        {
            self.bar.set_length(self.bar.position());
        }
    }

    /// Says in a line of its own what the user may want to know of the way in which the work is done.
    pub fn note(&self, text: &str) {
        if !self.is_quiet {
            self.aside(|| drop(writeln!(io::stderr(), "{text}")));
        }
    }

    /// Runs `write`, which writes to the terminal, with the bar out of its way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.lines.take();
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and a test reads each.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        let _ = write!(out, "{:.0}", state.per_sec());
    };
    style.with_key("rate", rate).progress_chars(CELLS).tick_chars(SPINNER)
}

/// The thread that says every few seconds where the work is.
#[derive(Debug)]
struct Lines {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    fn start(bar: ProgressBar, silence: Duration, mut out: impl Write + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(silence) == Err(RecvTimeoutError::Timeout) {
                let _ = writeln!(out, "{}", line(&bar));
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns what a bar shows as a line of text.
fn line(bar: &ProgressBar) -> String {
    let (doing, things, done, elapsed) = (bar.message(), bar.prefix(), bar.position(), bar.elapsed());
    let seconds = elapsed.as_secs();
    if things.is_empty() || done == 0 {
        return format!("{doing}: {seconds} s");
    }
    // Whole seconds and things are exact enough for a rate.
    let a_second = done / seconds.max(1);
    let rate = format!("{} a second", HumanCount(a_second));
    let done_so_far = HumanCount(done);
    match bar.length() {
        Some(total) => {
            let left = HumanDuration(Duration::from_secs((total - done.min(total)) / a_second.max(1)));
            format!("{doing}: {done_so_far} of {} {things}, {rate}, {left} left", HumanCount(total))
        }
        None => format!("{doing}: {done_so_far} {things}, {rate}, {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_template_can_be_read() {
        for template in [BAR, COUNT, WAIT] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn a_line_has_count_rate_and_time_left() {
        let progress = Progress::none();
        progress.count("Checking", "items", Some(40_000));
        assert_eq!(line(&progress.bar), "Checking: 0 s");
        progress.add(30_000);
        assert_eq!(line(&progress.bar), "Checking: 30,000 of 40,000 items, 30,000 a second, 0 seconds left");
        progress.add(20_000);
        assert!(line(&progress.bar).contains("50,000 of 50,000"), "a total that was too small grows");
        progress.count("Sealing", "documents", None);
        progress.add(1_200);
        assert_eq!(line(&progress.bar), "Sealing: 1,200 documents, 1,200 a second, 0 s");
        progress.wait("Fetching");
        assert_eq!(line(&progress.bar), "Fetching: 0 s");
    }

    #[test]
    fn lines_come_while_the_work_goes_on_and_no_more() {
        let (paper, bar) = (Paper::default(), ProgressBar::hidden());
        bar.set_message("Waiting");
        let lines = Lines::start(bar, Duration::from_millis(50), paper.clone());
        while paper.text().lines().count() < 2 {
            thread::sleep(Duration::from_millis(5));
        }
        drop(lines);
        let told = paper.text();
        assert!(told.lines().all(|line| line == "Waiting: 0 s"), "{told}");
        thread::sleep(Duration::from_millis(150));
        assert_eq!(paper.text(), told);
    }

    #[test]
    fn quick_work_says_nothing() {
        let paper = Paper::default();
        drop(Lines::start(ProgressBar::hidden(), SILENCE, paper.clone()));
        assert_eq!(paper.text(), "");
    }
}
