//! The Lambda function `bulk_decrement_active_slots_with_lease`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&concurrency_limits_v2::decrement_with_lease::ROUTE)
}
