//! The Lambda function `read_dashboard_task_run_counts`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&ui::dashboard_counts::ROUTE)
}
