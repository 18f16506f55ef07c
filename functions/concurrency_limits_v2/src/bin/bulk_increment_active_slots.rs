//! The Lambda function `bulk_increment_active_slots`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits_v2::increment::ROUTE)
}
