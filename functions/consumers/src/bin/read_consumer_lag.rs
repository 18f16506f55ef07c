//! The Lambda function `read_consumer_lag`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&consumers::read_lag::ROUTE)
}
