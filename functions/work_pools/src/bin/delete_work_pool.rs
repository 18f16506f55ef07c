//! The Lambda function `delete_work_pool`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::delete::ROUTE)
}
