//! The Lambda function `read_server_default_result_storage`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&admin::read_storage::ROUTE)
}
