//! The Lambda function `bulk_delete_flows`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flows::bulk_delete::ROUTE)
}
