//! The Lambda function `delete_worker`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::workers::delete::ROUTE)
}
