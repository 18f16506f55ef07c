//! The Lambda function `read_task_run_counts_by_state`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&ui::count_by_state::ROUTE)
}
