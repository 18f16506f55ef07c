//! The Lambda function `update_work_queue`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::queues::update::ROUTE)
}
