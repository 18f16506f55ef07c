//! The Lambda function `set_flow_run_state`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::set_state::ROUTE)
}
