//! A database of its own for a test, and functions that use it.

use std::{collections::HashMap, fs, path::Path, process::Stdio, time::Duration};

use aws_sdk_dynamodb::Client;
use bytes::Bytes;
use common::{Api, Settings, Store, settings::Variables, store::Key};
use embedded::{EmbeddedDatabase, StreamRecord};
use runtime_api::{Function, Invocation, Outcome, binaries_beside_the_test};
use serde_json::Value;
use tokio::net::TcpListener;

/// How long an invocation may take, the start of the process included.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The items of a table by their keys.
pub(crate) type Items = HashMap<Key, HashMap<String, Value>>;

/// A database and the API over it; functions reach it at `url`.
pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) url: String,
    database: EmbeddedDatabase,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let settings = Settings::local(Variables::default()).unwrap();
        let client = Client::from_conf(database.sdk_config());
        let store = Store::new(client, &settings.table, settings.shards);
        store.create_table().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = database.clone();
        tokio::spawn(async move { served.serve(listener, std::future::pending()).await.unwrap() });
        Self { api: Api::new(store, settings), url, database }
    }

    /// Starts the function `name` on the database behind `url`.
    pub(crate) async fn start(name: &str, url: &str) -> Function {
        let variables = [("AWS_ENDPOINT_URL_DYNAMODB", url), ("PROCTOR_SHARDS", "1"), ("PROCTOR_AUTH_MODE", "none")];
        let binaries = binaries_beside_the_test().unwrap();
        Function::start(&binaries, name, variables, Stdio::inherit()).await.unwrap()
    }

    /// Starts the function `name` on this database, and returns its answer to `event`.
    pub(crate) async fn ask(&self, name: &str, event: &Value) -> Value {
        answer_of(name, &mut Self::start(name, &self.url).await, event).await
    }

    /// Returns every change so far, in the order of the writes.
    pub(crate) async fn changes(&self) -> Vec<StreamRecord> {
        let mut stream = self.database.change_stream(&self.api.settings.table);
        tokio::time::timeout(PATIENCE, stream.next(usize::MAX)).await.unwrap().unwrap()
    }

    /// Returns what is in the table.
    pub(crate) async fn items(&self) -> Items {
        let mut items = Items::new();
        for record in self.changes().await {
            let text = |name: &str| record.keys[name]["S"].as_str().unwrap().to_owned();
            let key = Key { pk: text("pk"), sk: text("sk") };
            match record.new_image {
                Some(image) => items.insert(key, image),
                None => items.remove(&key),
            };
        }
        items
    }
}

/// Returns the answer of a running function to `event`.
pub(crate) async fn answer_of(name: &str, function: &mut Function, event: &Value) -> Value {
    let invoked = tokio::time::timeout(PATIENCE, function.invoke(Bytes::from(event.to_string())));
    match invoked.await.unwrap_or_else(|_| panic!("{name} gave no answer in time")) {
        Invocation { outcome: Outcome::Answered(answer), .. } => answer,
        Invocation { outcome, .. } => panic!("{name}: {outcome:?}"),
    }
}

/// Returns the sample event of the function `name`.
pub(crate) fn sample(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events").join(format!("{name}.json"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap()
}
