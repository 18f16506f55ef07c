//! The Lambda function `bulk_increment_active_slots_with_lease`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits_v2::increment_with_lease::ROUTE)
}
