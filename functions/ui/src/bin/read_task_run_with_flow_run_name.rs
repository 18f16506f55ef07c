//! The Lambda function `read_task_run_with_flow_run_name`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&ui::read_task_run::ROUTE)
}
