//! The Lambda function `create_saved_search`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&saved_searches::create::ROUTE)
}
