//! The Lambda function `paginate_task_runs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_runs::paginate::ROUTE)
}
