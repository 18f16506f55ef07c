//! The Lambda function `delete_work_queue`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::queues::delete::ROUTE)
}
