//! The Lambda function `create_work_queue`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::queues::create::ROUTE)
}
