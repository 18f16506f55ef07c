//! The Lambda function `read_task_workers`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_workers::filter::ROUTE)
}
