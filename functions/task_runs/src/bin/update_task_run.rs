//! The Lambda function `update_task_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_runs::update::ROUTE)
}
