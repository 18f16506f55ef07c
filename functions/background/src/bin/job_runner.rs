//! The Lambda function `job_runner`.

fn main() -> std::process::ExitCode {
    common::lambda::run_job_runner()
}
