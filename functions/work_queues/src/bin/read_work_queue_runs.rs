//! The Lambda function `read_work_queue_runs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_queues::get_runs::ROUTE)
}
