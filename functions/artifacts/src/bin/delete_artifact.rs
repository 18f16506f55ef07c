//! The Lambda function `delete_artifact`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&artifacts::delete::ROUTE)
}
