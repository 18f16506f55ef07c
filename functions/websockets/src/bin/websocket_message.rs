//! The Lambda function `websocket_message`.

fn main() -> std::process::ExitCode {
    common::lambda::run_websocket(common::lambda::SocketRoute::Message)
}
