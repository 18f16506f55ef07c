//! The store's database on one machine: SQLite, with a change stream and a queue in the same file.
//!
//! [`Database`] answers what [`Backend`](store::backend::Backend) asks as DynamoDB does, so the store and everything
//! above it are the same as in the cloud. [`Changes`] is in the place of DynamoDB Streams, [`LocalQueue`] in that of
//! SQS.
//!
//! Tallies are kept beside the items, and change with them.
//!
//! One connection writes, and what waits for it shares a commit. Others read beside it. A thread of its own moves the
//! write-ahead log into the file.

mod backend;
mod backup;
mod changes;
mod checkpoint;
mod connection;
mod database;
mod expiry;
mod failure;
pub mod files;
mod index;
mod item;
mod lock;
mod queue;
mod readers;
mod reading;
mod schema;
mod tallies;
mod transaction;
mod writability;
mod writer;

pub use changes::{Change, Changes};
pub use database::{Database, Durability, Mode};
pub use failure::SqliteError;
pub use files::make_directory;
pub use queue::{Depth, LocalQueue, OutgoingMessage, ReceivedMessage};
