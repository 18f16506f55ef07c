//! Index reads that lag behind the writes, as DynamoDB's global secondary indexes do, and the embedded ones never do.
//!
//! A second database is given every write some writes later, and answers the queries of indexes: an item as it was before
//! the latest writes, without a new one, or with one that is deleted by now. What is read by key is up to date.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use tokio::sync::Mutex;

use crate::{
    EmbeddedDatabase, EmbeddedError,
    connector::respond,
    dispatch::{Answer, Call},
};

/// A write as it was sent.
struct Sent {
    target: String,
    body: Vec<u8>,
}

/// A database whose indexes lag; clones share it.
#[derive(Clone)]
pub struct LaggingIndexes {
    fresh: EmbeddedDatabase,
    stale: EmbeddedDatabase,
    /// The writes that the indexes don't tell of yet, in the order in which they were carried out.
    behind: Arc<Mutex<VecDeque<Sent>>>,
    longest: u64,
    queries: Arc<AtomicU64>,
}

impl fmt::Debug for LaggingIndexes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("LaggingIndexes").field(&self.fresh.location).finish()
    }
}

impl LaggingIndexes {
    /// Lets the indexes of the empty `database` lag behind what is written through this, by `longest` writes at most.
    ///
    /// # Errors
    /// Those of another database in memory.
    pub fn of(database: &EmbeddedDatabase, longest: u64) -> Result<Self, EmbeddedError> {
        let stale = EmbeddedDatabase::in_memory()?;
        Ok(Self { fresh: database.clone(), stale, behind: Arc::default(), longest, queries: Arc::default() })
    }

    /// Returns an HTTP client for the AWS SDK; everything must be written through it.
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_settings, _components| connector.clone())
    }

    /// Brings the indexes up to date.
    pub async fn catch_up(&self) {
        self.catch_up_to(0).await;
    }

    /// Lets the indexes be behind by `count` writes at most.
    async fn catch_up_to(&self, count: u64) {
        let mut behind = self.behind.lock().await;
        while u64::try_from(behind.len()).is_ok_and(|length| length > count) {
            let Some(write) = behind.pop_front() else { return };
            // It was carried out before, on the same items: it is again.
            let turn = self.stale.engines.to_write().await;
            Call::new(&write.target, &write.body).run(&turn);
        }
    }

    async fn answer(&self, target: &str, body: &[u8]) -> Answer {
        let call = Call::new(target, body);
        if asks_index(target, body) {
            // Sometimes up to date, sometimes far behind, and as a rule in between.
            let query = self.queries.fetch_add(1, Ordering::Relaxed);
            self.catch_up_to(query.wrapping_mul(7) % (self.longest + 1)).await;
            let turn = self.stale.engines.to_read(call.is_long()).await;
            return call.run(&turn);
        }
        if call.only_reads() {
            let turn = self.fresh.engines.to_read(call.is_long()).await;
            return call.run(&turn);
        }
        // Held meanwhile, so that the writes are noted in the order in which they are carried out.
        let mut behind = self.behind.lock().await;
        let turn = self.fresh.engines.to_write().await;
        let answer = call.run(&turn);
        if answer.status == 200 {
            behind.push_back(Sent { target: target.to_owned(), body: body.to_owned() });
        }
        answer
    }
}

/// Says whether a request queries an index, without parsing it: within a text the quotation marks would be escaped.
fn asks_index(target: &str, body: &[u8]) -> bool {
    const NAME: &[u8] = b"\"IndexName\"";
    target.ends_with(".Query") && body.windows(NAME.len()).any(|part| part == NAME)
}

impl HttpConnector for LaggingIndexes {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let lagging = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let body = request
                .body()
                .bytes()
                .ok_or_else(|| ConnectorError::user("the embedded database takes no streamed bodies".into()))?;
            let answer = lagging.answer(target, body).await;
            if answer.wrote {
                lagging.fresh.written.notify_one();
            }
            respond(answer.status, answer.body)
        })
    }
}
