//! The Lambda function `delete_task_run`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_runs::delete::ROUTE)
}
