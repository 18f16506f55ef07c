//! The Lambda function `set_task_run_state`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_runs::set_state::ROUTE)
}
