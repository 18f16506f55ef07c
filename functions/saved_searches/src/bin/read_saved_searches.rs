//! The Lambda function `read_saved_searches`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&saved_searches::filter::ROUTE)
}
