//! The Lambda function `read_saved_search`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&saved_searches::read::ROUTE)
}
