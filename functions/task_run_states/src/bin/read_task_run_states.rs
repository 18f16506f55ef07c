//! The Lambda function `read_task_run_states`.

fn main() -> std::process::ExitCode {
    common::lambda::run(&task_run_states::list::ROUTE)
}
