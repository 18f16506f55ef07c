//! The Lambda function `read_work_queue_status`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_queues::status::ROUTE)
}
