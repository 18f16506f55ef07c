//! The Lambda function `next_runs_by_flow`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&ui::next_runs::ROUTE)
}
