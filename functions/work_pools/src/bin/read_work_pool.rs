//! The Lambda function `read_work_pool`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::read::ROUTE)
}
