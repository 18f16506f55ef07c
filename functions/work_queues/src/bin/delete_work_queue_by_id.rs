//! The Lambda function `delete_work_queue_by_id`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_queues::delete::ROUTE)
}
