//! The Lambda function `count_latest_artifacts`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&artifacts::count_latest::ROUTE)
}
