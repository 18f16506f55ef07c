//! The Lambda function `update_artifact`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&artifacts::update::ROUTE)
}
