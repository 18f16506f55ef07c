//! The Lambda function `read_artifact`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&artifacts::read::ROUTE)
}
