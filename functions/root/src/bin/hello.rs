//! The Lambda function `hello`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&root::hello::ROUTE)
}
