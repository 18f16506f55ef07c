//! The Lambda function `task_run_history`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_runs::history::ROUTE)
}
