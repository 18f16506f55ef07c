//! The Lambda function `read_workers`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&work_pools::workers::filter::ROUTE)
}
