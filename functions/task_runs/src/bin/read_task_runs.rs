//! The Lambda function `read_task_runs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_runs::filter::ROUTE)
}
