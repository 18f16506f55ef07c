//! The Lambda function `update_work_pool`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::update::ROUTE)
}
