//! The Lambda function `queue_worker`.

fn main() -> std::process::ExitCode {
    common::lambda::run_queue_worker()
}
