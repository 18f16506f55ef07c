//! The Lambda function `worker_heartbeat`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::workers::heartbeat::ROUTE)
}
