//! The Lambda function `read_work_pool_concurrency_status`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::concurrency_status::ROUTE)
}
