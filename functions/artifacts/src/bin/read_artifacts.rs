//! The Lambda function `read_artifacts`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&artifacts::filter::ROUTE)
}
