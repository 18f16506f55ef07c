//! The Lambda function `stream_consumer`.

fn main() -> std::process::ExitCode {
    common::lambda::run_stream_consumer()
}
