//! The Lambda function `read_latest_artifact`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&artifacts::read_latest::ROUTE)
}
