//! The Lambda function `bulk_set_flow_run_state`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::bulk_set_state::ROUTE)
}
