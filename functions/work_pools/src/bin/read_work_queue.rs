//! The Lambda function `read_work_queue`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::queues::read::ROUTE)
}
