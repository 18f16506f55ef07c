//! A database of its own for a test, and functions that use it.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use axum::{Router, extract::State};
use bytes::Bytes;
use common::{
    App, Settings, Store,
    http::Json,
    model::{FlowId, FlowRun, FlowRunId, Timestamp},
    orchestration::Client as ProposingClient,
    settings::Variables,
    store::{Item, Key},
    stream::Change,
    transitions::{Proposal, propose_flow_run_state},
};
use embedded::{EmbeddedDatabase, StreamRecord};
use runtime_api::{Function, Invocation, Outcome, binaries_beside_the_test};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// How long an invocation may take, the start of the process included.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The items of a table by their keys.
pub(crate) type Items = HashMap<Key, Item>;

/// A database and the API over it; functions reach it at `url`, and a queue beside it.
pub(crate) struct Stage {
    pub(crate) app: App,
    pub(crate) url: String,
    pub(crate) database: EmbeddedDatabase,
    queue_url: String,
    sent: Arc<Mutex<Vec<Value>>>,
}

/// How many messages wait in the queue, as it says itself.
pub(crate) const WAITING: u64 = 7;

/// Takes the messages of a request in SQS's place, or says how many there are.
async fn take_messages(State(sent): State<Arc<Mutex<Vec<Value>>>>, body: Bytes) -> Json<Value> {
    let request: Value = serde_json::from_slice(&body).unwrap();
    if request["AttributeNames"].is_array() {
        return Json(json!({"Attributes": {
            "ApproximateNumberOfMessages": WAITING.to_string(),
            "ApproximateNumberOfMessagesNotVisible": "0",
            "ApproximateNumberOfMessagesDelayed": "0",
        }}));
    }
    let mut responses = Vec::new();
    for entry in request["Entries"].as_array().unwrap() {
        sent.lock().unwrap().push(serde_json::from_str(entry["MessageBody"].as_str().unwrap()).unwrap());
        responses.push(json!({"Id": entry["Id"], "MessageId": "any"}));
    }
    Json(json!({"Successful": responses, "Failed": []}))
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
        let sent = Arc::<Mutex<Vec<Value>>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let queue_url = format!("http://{}", listener.local_addr().unwrap());
        let queue = Router::new().fallback(take_messages).with_state(Arc::clone(&sent));
        tokio::spawn(axum::serve(listener, queue).into_future());
        Self { app: App::new(store, settings), url, database, queue_url, sent }
    }

    /// Returns the messages that were sent so far.
    pub(crate) fn sent(&self) -> Vec<Value> {
        self.sent.lock().unwrap().clone()
    }

    /// Adds a flow run that should have started long ago.
    pub(crate) async fn add_overdue_run(&self) -> FlowRunId {
        let run = FlowRun::new(FlowRunId::new(), FlowId::new(), "overdue", Timestamp::now());
        self.app.store.commit(vec![self.app.store.insert(&run).unwrap()]).await.unwrap();
        let state = json!({"type": "SCHEDULED", "state_details": {"scheduled_time": "2026-01-01T00:00:00Z"}});
        let proposal = Proposal::new(serde_json::from_value(state).unwrap(), true, ProposingClient::default());
        propose_flow_run_state(&self.app, run.id, &proposal).await.unwrap();
        run.id
    }

    /// Starts the function `name` on the database behind `url`.
    pub(crate) async fn start(&self, name: &str, url: &str) -> Function {
        let variables = [
            ("AWS_ENDPOINT_URL_DYNAMODB", url),
            ("AWS_ENDPOINT_URL_SQS", &self.queue_url),
            ("PROCTOR_QUEUE_URL", &self.queue_url),
            ("PROCTOR_SHARDS", "1"),
            ("PROCTOR_AUTH_MODE", "none"),
        ];
        let binaries = binaries_beside_the_test().unwrap();
        Function::start(&binaries, name, variables, Stdio::inherit()).await.unwrap()
    }

    /// Starts the function `name` on this database, and returns its answer to `event`.
    pub(crate) async fn ask(&self, name: &str, event: &Value) -> Value {
        answer_of(name, &mut self.start(name, &self.url).await, event).await
    }

    /// Returns every change so far, in the order of the writes.
    pub(crate) async fn changes(&self) -> Vec<StreamRecord> {
        let mut stream = self.database.change_stream(&self.app.settings.table);
        tokio::time::timeout(PATIENCE, stream.next(usize::MAX)).await.unwrap().unwrap()
    }

    /// Returns what is in the table.
    pub(crate) async fn items(&self) -> Items {
        let mut items = Items::new();
        for record in self.changes().await {
            let change = Change::from_json(record.keys, record.old_image, record.new_image).unwrap();
            match change.after {
                Some(item) => items.insert(change.key, item),
                None => items.remove(&change.key),
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
