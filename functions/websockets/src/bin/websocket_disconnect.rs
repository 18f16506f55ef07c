//! The Lambda function `websocket_disconnect`.

fn main() -> std::process::ExitCode {
    common::lambda::run_websocket(common::lambda::SocketRoute::Disconnect)
}
