//! The Lambda function `bulk_delete_flow_runs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::bulk_delete::ROUTE)
}
