//! The Lambda function `events_in_connect`.

fn main() -> std::process::ExitCode {
    common::lambda::run_events_in(common::lambda::SocketRoute::Connect)
}
