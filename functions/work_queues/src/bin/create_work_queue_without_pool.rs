//! The Lambda function `create_work_queue_without_pool`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_queues::create::ROUTE)
}
