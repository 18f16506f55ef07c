//! The Lambda function `clear_server_default_result_storage`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&admin::clear_storage::ROUTE)
}
