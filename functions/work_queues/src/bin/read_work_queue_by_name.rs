//! The Lambda function `read_work_queue_by_name`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_queues::read_by_name::ROUTE)
}
