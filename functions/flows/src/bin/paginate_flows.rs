//! The Lambda function `paginate_flows`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flows::paginate::ROUTE)
}
