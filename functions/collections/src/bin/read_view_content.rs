//! The Lambda function `read_view_content`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&collections::read_view::ROUTE)
}
