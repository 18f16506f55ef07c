//! The Lambda function `resume_flow_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::resume::ROUTE)
}
