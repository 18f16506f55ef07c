//! The Lambda function `create_task_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_runs::create::ROUTE)
}
