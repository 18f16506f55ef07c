//! The Lambda function `events_in_disconnect`.

fn main() -> std::process::ExitCode {
    common::lambda::run_events_in(common::lambda::SocketRoute::Disconnect)
}
