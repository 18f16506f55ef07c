//! The Lambda function `read_latest_artifacts`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&artifacts::filter_latest::ROUTE)
}
