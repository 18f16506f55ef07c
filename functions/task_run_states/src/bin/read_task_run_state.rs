//! The Lambda function `read_task_run_state`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_run_states::read::ROUTE)
}
