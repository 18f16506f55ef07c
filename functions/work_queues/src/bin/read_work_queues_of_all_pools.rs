//! The Lambda function `read_work_queues_of_all_pools`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_queues::filter::ROUTE)
}
