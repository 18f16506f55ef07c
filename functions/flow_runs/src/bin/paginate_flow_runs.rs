//! The Lambda function `paginate_flow_runs`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&flow_runs::paginate::ROUTE)
}
