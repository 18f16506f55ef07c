//! The Lambda function `read_work_pools`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::filter::ROUTE)
}
