//! The Lambda function `count_work_pools`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::count::ROUTE)
}
