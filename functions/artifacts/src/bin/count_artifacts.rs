//! The Lambda function `count_artifacts`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&artifacts::count::ROUTE)
}
