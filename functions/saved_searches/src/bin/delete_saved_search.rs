//! The Lambda function `delete_saved_search`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&saved_searches::delete::ROUTE)
}
