//! The Lambda function `read_task_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_runs::read::ROUTE)
}
