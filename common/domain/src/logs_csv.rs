//! Logs as a CSV file, as Prefect's download writes them with Python's `csv` module.

use csv::{Terminator, Writer, WriterBuilder};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use error::{Error, Result};

use crate::model::{Log, Timestamp};

/// What Python's `quote` leaves as it is besides letters and digits.
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns the file's first line.
pub fn header() -> Result<Vec<u8>> {
    rendered(|writer| writer.write_record(["timestamp", "level", "flow_run_id", "task_run_id", "message"]))
}

/// Returns the lines of `logs`.
pub fn rows(logs: &[Log]) -> Result<Vec<u8>> {
    rendered(|writer| {
        logs.iter().try_for_each(|log| {
            let level = log.level.to_string();
            let flow_run_id = log.flow_run_id.map(|id| id.to_string()).unwrap_or_default();
            let task_run_id = log.task_run_id.map(|id| id.to_string()).unwrap_or_default();
            writer.write_record([&python_time(log.timestamp), &level, &flow_run_id, &task_run_id, &log.message])
        })
    })
}

/// Returns the value of the `Content-Disposition` header for the logs of the flow run called `name`.
pub fn content_disposition(name: &str) -> String {
    let file = format!("{name}-logs.csv");
    format!("attachment; filename=\"flow-run-logs.csv\"; filename*=UTF-8''{}", utf8_percent_encode(&file, QUOTED))
}

/// Writes `time` as Python's `str(datetime)` does.
fn python_time(time: Timestamp) -> String {
    let format = if time.as_micros() % 1_000_000 == 0 { "%Y-%m-%d %H:%M:%S%:z" } else { "%Y-%m-%d %H:%M:%S%.6f%:z" };
    time.as_chrono().format(format).to_string()
}

fn rendered(write: impl FnOnce(&mut Writer<Vec<u8>>) -> csv::Result<()>) -> Result<Vec<u8>> {
    let failed = |error: String| Error::Internal(format!("logs could not be written as CSV: {error}"));
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    write(&mut writer).map_err(|error| failed(error.to_string()))?;
    writer.into_inner().map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FlowRunId, LogId};

    fn row(time: &str, message: &str) -> String {
        let now = Timestamp::now();
        let log = Log {
            id: LogId::new(),
            created: now,
            updated: now,
            name: "prefect".into(),
            level: 20,
            message: message.into(),
            timestamp: time.parse().unwrap(),
            flow_run_id: Some(FlowRunId(uuid::Uuid::nil())),
            task_run_id: None,
        };
        String::from_utf8(rows(&[log]).unwrap()).unwrap()
    }

    #[test]
    fn quotes_only_what_needs_it() {
        let nil = uuid::Uuid::nil();
        let start = format!("2024-01-01 00:00:00+00:00,20,{nil},,");
        for (message, cell) in [
            ("plain", "plain"),
            (" space ", " space "),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\nb", "\"a\nb\""),
            ("a\rb", "\"a\rb\""),
            ("=1+1", "=1+1"),
        ] {
            assert_eq!(row("2024-01-01T00:00:00Z", message), format!("{start}{cell}\r\n"));
        }
    }

    #[test]
    fn writes_times_as_python_does() {
        assert!(row("2024-01-01T00:00:01.05Z", "").starts_with("2024-01-01 00:00:01.050000+00:00,"));
        assert!(row("0001-01-01T00:00:00Z", "").starts_with("0001-01-01 00:00:00+00:00,"));
    }

    #[test]
    fn names_the_file_after_the_run() {
        let value = content_disposition("a bü~!*'()");
        assert!(value.ends_with("filename*=UTF-8''a%20b%C3%BC~%21%2A%27%28%29-logs.csv"), "{value}");
    }
}
