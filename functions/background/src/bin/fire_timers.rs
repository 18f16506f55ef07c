//! The Lambda function `fire_timers`.

fn main() -> std::process::ExitCode {
    common::lambda::run_timers()
}
