//! An emulator of DynamoDB in this process, where DynamoDB itself is meant: for functions on this machine, and for tests.
//!
//! The store always speaks through `aws-sdk-dynamodb`. Here the SDK is given an HTTP client that hands each
//! request to [`dynoxide`] (SQLite) in this process: no socket, and the same code as in the cloud. The same
//! database can be served over HTTP ([`EmbeddedDatabase::serve`]) to functions that run as processes of their own.

mod connector;
pub mod decorators;
mod dispatch;
mod engines;
pub mod faults;
mod lag;
mod queue;
mod stream;
mod writability;

use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_smithy_runtime::client::auth::no_auth::NO_AUTH_SCHEME_ID;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::Notify;
use uuid::Uuid;

use engines::{Engines, Turn};
pub use lag::LaggingIndexes;
pub use queue::EmbeddedQueue;
pub use sqlite::ReceivedMessage;
pub use stream::{ChangeStream, StreamRecord};
use writability::Writability;

/// What went wrong with the database file or its stream.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The database engine refused a request.
    #[error("the embedded database failed: {0}")]
    Engine(#[from] dynoxide::DynoxideError),
    /// The database file could not be maintained.
    #[error("the embedded database's file failed: {0}")]
    File(#[from] rusqlite::Error),
    /// The queue beside the database failed.
    #[error(transparent)]
    Queue(#[from] sqlite::SqliteError),
    /// The database could not be served over HTTP.
    #[error("the embedded database's HTTP server failed: {0}")]
    Serve(String),
}

/// One embedded database; clones share it.
#[derive(Clone)]
pub struct EmbeddedDatabase {
    engines: Engines,
    /// Where SQLite finds the database: a path, or the URI of one in memory.
    location: Arc<str>,
    /// Wakes the reader of the stream after a write.
    written: Arc<Notify>,
    /// None for a database in memory.
    writability: Option<Writability>,
    /// None until somebody asks for it.
    queue: Arc<Mutex<Option<EmbeddedQueue>>>,
}

impl EmbeddedDatabase {
    /// Opens a database of its own in memory, which is gone with its last clone.
    pub fn in_memory() -> Result<Self, EmbeddedError> {
        Self::at(format!("file:/{}?vfs=memdb", Uuid::new_v4()), true)
    }

    /// Opens the database in the file `path`, and makes it if there is none, so that its owner alone may read it.
    pub fn open(path: &Path) -> Result<Self, EmbeddedError> {
        sqlite::files::make_private(path);
        Self::at(path.to_string_lossy().into_owned(), false)
    }

    fn at(location: String, is_in_memory: bool) -> Result<Self, EmbeddedError> {
        let engines = Engines::open(&location, is_in_memory)?;
        stream::prepare(&location)?;
        let location = location.into();
        // Memory always takes what is written.
        let writability = if is_in_memory { None } else { Some(Writability::new(&location)?) };
        Ok(Self { engines, location, written: Arc::default(), writability, queue: Arc::default() })
    }

    /// Says whether the database takes writes; the error says why it doesn't.
    async fn writability(&self) -> Result<(), String> {
        match &self.writability {
            None => Ok(()),
            Some(writability) => writability.check(&self.engines).await,
        }
    }

    /// Notes how a write ended: what went wrong with the database, or nothing.
    fn note_write(&self, outcome: Result<(), &str>) {
        if let Some(writability) = &self.writability {
            writability.note(outcome.map_err(ToOwned::to_owned));
        }
    }

    /// Opens the connection whose turn it is anew; returns whether that was possible.
    ///
    /// One that was opened on a read-only file stays read-only when the file no longer is.
    fn reopen(&self, turn: &mut Turn) -> bool {
        if self.writability.is_none() {
            return false;
        }
        sqlite::files::follow_mode(Path::new(&*self.location));
        match dynoxide::Database::new(&self.location) {
            Ok(opened) => {
                **turn = opened;
                true
            }
            Err(_) => false,
        }
    }

    /// Returns an HTTP client for the AWS SDK that answers from this database.
    pub fn http_client(&self) -> SharedHttpClient {
        connector::http_client(self.clone())
    }

    /// Returns an SDK configuration that reaches this database and needs no credentials of the user's.
    pub fn sdk_config(&self) -> aws_sdk_dynamodb::Config {
        Self::config_with(self.http_client())
    }

    /// Returns an SDK configuration that answers through `http_client`, such as one with [`faults`].
    pub fn config_with(http_client: SharedHttpClient) -> aws_sdk_dynamodb::Config {
        aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("local"))
            // Nobody is there to check a signature, and signing costs more than the database's answer.
            .allow_no_auth()
            .auth_scheme_preference([NO_AUTH_SCHEME_ID])
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .http_client(http_client)
            .build()
    }

    /// Returns the reader of the table's change stream, in the place of a Lambda event source mapping.
    pub fn change_stream(&self, table: &str) -> ChangeStream {
        ChangeStream::new(self.clone(), table)
    }

    /// Returns the queue that is kept beside the table, in a database of its own.
    pub fn queue(&self) -> Result<EmbeddedQueue, EmbeddedError> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = &*queue {
            return Ok(queue.clone());
        }
        let database = if self.writability.is_none() {
            sqlite::Database::in_memory()?
        } else {
            sqlite::Database::open(Path::new(&format!("{}-queue", self.location)), sqlite::Mode::Serving)?
        };
        Ok(queue.insert(EmbeddedQueue::new(database.queue())).clone())
    }

    /// Serves the database over HTTP on `listener`, as DynamoDB's endpoint, until `shutdown` resolves.
    pub async fn serve(
        &self,
        listener: tokio::net::TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), EmbeddedError> {
        let engine = self.engines.to_write().await.clone();
        dynoxide::server::serve_with_shutdown(listener, engine, shutdown).await.map_err(EmbeddedError::Serve)
    }

    /// Deletes the items whose time to live has passed, as DynamoDB does by itself; returns how many.
    pub async fn sweep_expired(&self) -> Result<usize, EmbeddedError> {
        Ok(self.engines.to_write().await.sweep_ttl()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags of `.cargo/config.toml` are easily lost, for instance to an environment variable of the same name.
    #[test]
    fn the_engine_is_built_with_our_defaults() {
        let path = std::env::temp_dir().join(format!("{}.db", Uuid::new_v4()));
        let _database = EmbeddedDatabase::open(&path).unwrap();
        let connection = rusqlite::Connection::open(&path).unwrap();
        let value = |pragma: &str| connection.pragma_query_value::<i64, _>(None, pragma, |row| row.get(0)).unwrap();
        assert_eq!((value("synchronous"), value("wal_autocheckpoint"), value("cache_size")), (1, 4_000, -12_000));
        std::fs::remove_file(&path).unwrap();
    }
}
