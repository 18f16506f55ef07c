//! The Lambda function `create_artifact`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&artifacts::create::ROUTE)
}
