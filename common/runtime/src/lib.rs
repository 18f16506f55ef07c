//! How a binary runs: the Lambda runtime, logging, and the connection to AWS.

pub mod connect;
pub mod lambda;
pub mod logging;
pub mod secrets;
pub mod tls;
