//! The Lambda function `count_task_runs_by_flow_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&ui::count_task_runs::ROUTE)
}
