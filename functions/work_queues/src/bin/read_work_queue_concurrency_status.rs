//! The Lambda function `read_work_queue_concurrency_status`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_queues::concurrency_status::ROUTE)
}
