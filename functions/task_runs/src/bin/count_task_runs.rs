//! The Lambda function `count_task_runs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_runs::count::ROUTE)
}
