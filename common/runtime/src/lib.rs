//! How a binary runs: the Lambda runtime, logging, and the connection to AWS.

mod aws_json;
pub mod connect;
pub mod gateway;
pub mod invoke;
pub mod key_file;
pub mod kms;
pub mod lambda;
pub mod logging;
pub mod outward;
pub mod secrets;
pub mod tally_consumer;
pub mod tls;
