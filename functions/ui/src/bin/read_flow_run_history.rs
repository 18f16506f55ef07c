//! The Lambda function `read_flow_run_history`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&ui::flow_run_history::ROUTE)
}
