//! The Lambda function `websocket_connect`.

fn main() -> std::process::ExitCode {
    common::lambda::run_websocket(common::lambda::SocketRoute::Connect)
}
