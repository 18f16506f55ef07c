//! The Lambda function `create_work_pool`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::create::ROUTE)
}
