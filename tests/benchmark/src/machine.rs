//! What is known about this machine, this commit and running processes.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

/// The CPU time that this thread has used, which is all of the load generator's.
pub(crate) fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    Duration::from_secs(cpu_ticks(&stat).unwrap_or_default())
        / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100)
}

/// User and system ticks of a `/proc/PID/stat` line. Its second field is a name that may itself hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The resident memory of a process in bytes (`VmRSS`), none when it has ended.
pub(crate) fn resident(pid: u32) -> Option<u64> {
    kilobytes(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

/// The bytes behind a label of a `/proc` file that counts in kB.
fn kilobytes(text: &str, label: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(label))?;
    Some(value.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// The machine and the commit that a report is about.
pub(crate) fn describe() -> Value {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).map(|line| line.trim_matches([' ', '\t', ':']));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "cpu": model,
        "memory_bytes": kilobytes(&memory, "MemTotal:"),
        "load_average_before": load.split_ascii_whitespace().next(),
        "commit": commit(),
    })
}

/// The short hash of the checked-out commit, marked where the working tree differs from it.
fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"])
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_behind_a_name_with_spaces() {
        let stat = "42 (a (b) c) S 1 1 1 0 -1 4194560 900 0 0 0 130 20 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(150));
        assert_eq!(cpu_ticks("42 (cut"), None);
    }

    #[test]
    fn kilobytes_are_bytes() {
        assert_eq!(kilobytes("Name:\tlocal\nVmRSS:\t  231384 kB\n", "VmRSS:"), Some(231_384 * 1024));
        assert_eq!(kilobytes("Name:\tlocal\n", "VmRSS:"), None);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100_000));
    }
}
