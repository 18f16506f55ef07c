//! The Lambda function `update_server_default_result_storage`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&admin::update_storage::ROUTE)
}
