//! The Lambda function `download_logs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::download_logs::ROUTE)
}
