//! The Lambda function `read_work_queues`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::queues::filter::ROUTE)
}
