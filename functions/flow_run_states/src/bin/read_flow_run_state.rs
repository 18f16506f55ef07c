//! The Lambda function `read_flow_run_state`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_run_states::read::ROUTE)
}
