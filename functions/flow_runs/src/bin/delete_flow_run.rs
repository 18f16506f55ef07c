//! The Lambda function `delete_flow_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::delete::ROUTE)
}
