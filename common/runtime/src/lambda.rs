//! How a binary runs: one route behind API Gateway, or one consumer behind a queue or stream.
//!
//! Everything generic is instantiated here, once, so that a binary is one line and only links.

use std::{process::ExitCode, time::Instant};

use aws_lambda_events::{
    dynamodb::{Event as StreamEvent, StreamRecord},
    sqs::SqsEvent,
};
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Response, Uri, header::LOCATION};
use lambda_http::{Error, aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest};
use lambda_runtime::LambdaEvent;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use domain::model::Socket;
use http_api::{self, Route};
use observation::{Outcome, Report, observed};
use services::{
    App, connections,
    jobs::{
        self, Delivery,
        queue::{Message, Queue},
    },
    stream::{self, Record},
};
use socket::gateway::{Answer, Sockets};
use store::{access, cost};

use crate::{
    connect, gateway, logging,
    outward::{self, Reach},
    secrets, tls,
};

/// Runs the Lambda function of `route` until the runtime ends the process.
///
/// Returns a failure if the environment lacks a setting or the runtime API is gone; the cause is in the log.
pub fn run(route: &Route) -> ExitCode {
    logging::start();
    tracing::debug!("the function starts");
    finish(start(serve(*route)))
}

async fn serve(route: Route) -> Result<(), Error> {
    let app = connect::from_env().await?;
    lambda_http::run(http_api::service(app, [&route])).await
}

/// Runs the Lambda function of everything that API Gateway has no route for, until the runtime ends the process.
///
/// It redirects a path with or without its trailing slash, answers preflights, serves the documents and the settings of
/// the user interfaces, and says what is not found or not allowed, as a whole server does. No handler is linked for
/// that: where the operations are, the contract says.
///
/// Returns a failure if the environment lacks a setting or the runtime API is gone; the cause is in the log.
pub fn run_fallback() -> ExitCode {
    logging::start();
    finish(start(serve_fallback()))
}

async fn serve_fallback() -> Result<(), Error> {
    let app = connect::from_env().await?;
    let pages = http_api::ui::pages(&app);
    let service = http_api::fallback(app, pages);
    lambda_http::run(service.layer(axum::middleware::map_response(without_host))).await
}

/// Takes the host off a redirect.
///
/// It is API Gateway's, which answers nobody but CloudFront, and CloudFront does not tell its own.
async fn without_host(mut response: Response<Body>) -> Response<Body> {
    let location = response.headers().get(LOCATION).and_then(|location| Uri::try_from(location.as_bytes()).ok());
    let path = location.and_then(|location| HeaderValue::from_str(location.path_and_query()?.as_str()).ok());
    if let Some(path) = path {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

/// Runs the Lambda function that consumes the table's stream until the runtime ends the process.
///
/// Its event source mapping is to report batch item failures: the answer names the changes that failed, and Lambda
/// hands out the first of them and all behind it again (AWS: "Configuring partial batch response with DynamoDB").
///
/// Returns a failure if the environment lacks a setting or the runtime API is gone; the cause is in the log.
pub fn run_stream_consumer() -> ExitCode {
    logging::start();
    finish(start(serve_stream()))
}

async fn serve_stream() -> Result<(), Error> {
    let (app, queue) = connect::from_env_with_queue()?;
    let app = gateway::reaching_clients(app);
    let (app, queue) = (&app, &queue);
    lambda_runtime::run(lambda_runtime::service_fn(|event: LambdaEvent<StreamEvent>| async move {
        let id = event.context.request_id;
        Ok::<_, Error>(reported(app, "stream_consumer", id, consume_stream(app, queue, event.payload)).await)
    }))
    .await
}

/// Runs the Lambda function that works off the queue until the runtime ends the process.
///
/// Its event source mapping is to report batch item failures: the answer names the messages that failed, and SQS
/// delivers these again (AWS: "Handling errors for an SQS event source in Lambda").
///
/// Returns a failure if the environment lacks a setting or the runtime API is gone; the cause is in the log.
pub fn run_job_runner() -> ExitCode {
    logging::start();
    finish(start(serve_queue()))
}

async fn serve_queue() -> Result<(), Error> {
    let (app, queue) = connect::from_env_with_queue()?;
    // The runtime's own API listens on the machine itself, so no setting lets a call get there.
    let allows_private = app.settings.allow_private_addresses == Some(true);
    let app = outward::calling(app, if allows_private { Reach::Private } else { Reach::Public });
    let app = gateway::reaching_clients(app);
    let (app, queue) = (&app, &queue);
    lambda_runtime::run(lambda_runtime::service_fn(|event: LambdaEvent<SqsEvent>| async move {
        let id = event.context.request_id;
        Ok::<_, Error>(reported(app, "job_runner", id, consume_queue(app, queue, event.payload)).await)
    }))
    .await
}

/// Runs the Lambda function that a schedule calls to look for what is due until the runtime ends the process.
///
/// Returns a failure if the environment lacks a setting or the runtime API is gone; the cause is in the log.
pub fn run_timers() -> ExitCode {
    logging::start();
    finish(start(serve_timers()))
}

async fn serve_timers() -> Result<(), Error> {
    let (app, queue) = connect::from_env_with_queue()?;
    let app = gateway::reaching_clients(app);
    let (app, queue) = (&app, &queue);
    lambda_runtime::run(lambda_runtime::service_fn(|event: LambdaEvent<IgnoredAny>| async move {
        let id = event.context.request_id;
        let look = async {
            // What one of them can't do keeps the other from nothing.
            let (timers, schedules, workers) = futures::join!(
                jobs::timers::tick(app, queue),
                jobs::schedules::tick(app, queue),
                connections::task_runs::look_after(app)
            );
            timers.and(schedules).and(workers)
        };
        let work = access::within(jobs::timers::ACCESS, look);
        reported(app, "fire_timers", id, work).await.map_err(Error::from)
    }))
    .await
}

/// Runs the Lambda function that tells API Gateway which requests came through CloudFront until the runtime ends the
/// process.
///
/// CloudFront sends the value of the secret that `PROCTOR_ORIGIN_SECRET` names, in the header [`ORIGIN_HEADER`].
///
/// Returns a failure if the secret can't be read or the runtime API is gone; the cause is in the log.
pub fn run_origin_authorizer() -> ExitCode {
    logging::start();
    finish(start(serve_origin_authorizer()))
}

/// The header with which CloudFront shows that a request came through it.
pub const ORIGIN_HEADER: &str = "x-origin-verify";

async fn serve_origin_authorizer() -> Result<(), Error> {
    let id = std::env::var("PROCTOR_ORIGIN_SECRET").map_err(|_| Error::from("PROCTOR_ORIGIN_SECRET is not set"))?;
    let secret = secrets::origin_value(&id, tls::http_client()?).await?;
    let secret = &secret;
    lambda_runtime::run(lambda_runtime::service_fn(|event: LambdaEvent<Value>| async move {
        let is_through_cloudfront = match origin_value_of(&event.payload) {
            Some(value) => secret.is(value.as_bytes()).await?,
            None => false,
        };
        Ok::<_, Error>(authorization(&event.payload, is_through_cloudfront))
    }))
    .await
}

/// Returns what a request has in [`ORIGIN_HEADER`]; a WebSocket API leaves names as they were sent.
fn origin_value_of(event: &Value) -> Option<&str> {
    let headers = event["headers"].as_object()?;
    headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(ORIGIN_HEADER))?.1.as_str()
}

/// Answers an HTTP API, which takes a Boolean, or a WebSocket API, which takes a policy for the method that it names.
fn authorization(event: &Value, is_authorized: bool) -> Value {
    let Some(method) = event.get("methodArn") else { return json!({ "isAuthorized": is_authorized }) };
    let effect = if is_authorized { "Allow" } else { "Deny" };
    json!({
        "principalId": "cloudfront",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{ "Effect": effect, "Action": "execute-api:Invoke", "Resource": method }]
        }
    })
}

/// Works off what Lambda handed over; returns the answer that names the failures.
///
/// What can't be read fails as well, and so reaches the dead-letter queue, where somebody looks at it.
async fn consume_queue(app: &App, queue: &Queue, event: SqsEvent) -> Value {
    let (mut failed, mut ids, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
    for record in event.records {
        let message_id = record.message_id.unwrap_or_default();
        match serde_json::from_str::<Message>(record.body.as_deref().unwrap_or_default()) {
            Ok(message) => {
                ids.push(message_id);
                let receives = record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok());
                deliveries.push(Delivery { message, receives: receives.unwrap_or(1) });
            }
            Err(error) => {
                tracing::error!(message_id, %error, "a message can't be read");
                failed.push(message_id);
            }
        }
    }
    for failure in jobs::consume(app, queue, &deliveries).await {
        if let Some(id) = ids.get(failure.place) {
            tracing::error!(message_id = id, error = %failure.error, "a message could not be worked off");
            failed.push(id.clone());
        }
    }
    batch_failures(failed)
}

/// What is done for an invocation that no request made, as far as its report goes.
pub(crate) trait Work {
    fn is_done(&self) -> bool;
}

/// The answer to a batch, which names what failed of it.
impl Work for Value {
    fn is_done(&self) -> bool {
        self["batchItemFailures"].as_array().is_none_or(Vec::is_empty)
    }
}

impl Work for error::Result<()> {
    fn is_done(&self) -> bool {
        self.is_ok()
    }
}

/// Answers Lambda with the items of a batch that failed.
fn batch_failures(items: impl IntoIterator<Item = String>) -> Value {
    let items = items.into_iter().map(|item| json!({ "itemIdentifier": item }));
    json!({ "batchItemFailures": items.collect::<Vec<_>>() })
}

/// Does `work`, and tells of it as the boundary does of a request.
pub(crate) async fn reported<W: Work>(
    app: &App,
    operation: &'static str,
    request_id: String,
    work: impl Future<Output = W>,
) -> W {
    let started = Instant::now();
    let ((answer, cost), context) = observed(cost::measured(work)).await;
    let outcome = if answer.is_done() { Outcome::Done } else { Outcome::Failed };
    let latency = started.elapsed();
    let report = Report { request_id, operation, request: None, outcome, latency, cost, context };
    report.emit(app.settings.reports, &app.settings.table);
    answer
}

/// Returns an image of an item, if there is one: no item is without attributes.
pub(crate) fn image(image: serde_dynamo::Item) -> Option<serde_dynamo::Item> {
    (!image.is_empty()).then_some(image)
}

/// Consumes what Lambda handed over; returns the answer that names the failures.
async fn consume_stream(app: &App, queue: &Queue, event: StreamEvent) -> Value {
    let mut sequence_numbers = Vec::with_capacity(event.records.len());
    let mut records = Vec::with_capacity(event.records.len());
    for record in event.records {
        let StreamRecord { keys, old_image, new_image, sequence_number, .. } = record.change;
        let sequence_number = sequence_number.unwrap_or_default();
        match Record::new(keys, image(old_image), image(new_image)) {
            Ok(record) => {
                sequence_numbers.push(sequence_number);
                records.push(record);
            }
            // It would be as unreadable the next time.
            Err(error) => tracing::error!(sequence_number, %error, "a change can't be read and is passed over"),
        }
    }
    let failures = stream::consume_records(app, queue, records).await;
    let failed = failures.iter().filter_map(|failure| {
        let sequence_number = sequence_numbers.get(failure.place)?;
        tracing::error!(sequence_number, error = %failure.error, "a change could not be consumed");
        Some(sequence_number.clone())
    });
    batch_failures(failed)
}

/// What an API Gateway websocket tells a function of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketRoute {
    /// A client asks for a connection (`$connect`).
    Connect,
    /// A client sends a message (`$default`).
    Message,
    /// A connection is over (`$disconnect`).
    Disconnect,
}

impl SocketRoute {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Connect, Self::Message, Self::Disconnect];

    /// Returns the name of the function.
    pub fn function(self) -> &'static str {
        match self {
            Self::Connect => "websocket_connect",
            Self::Message => "websocket_message",
            Self::Disconnect => "websocket_disconnect",
        }
    }

    /// Returns the key of API Gateway's route.
    pub fn key(self) -> &'static str {
        match self {
            Self::Connect => "$connect",
            Self::Message => "$default",
            Self::Disconnect => "$disconnect",
        }
    }

    /// Returns what API Gateway calls an event of the route.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Message => "MESSAGE",
            Self::Disconnect => "DISCONNECT",
        }
    }
}

/// Runs the Lambda function of a `route` of the websockets until the runtime ends the process.
///
/// `PROCTOR_CONNECTIONS_URL` names the gateway's endpoint for connections, where clients are sent to and cut.
///
/// Returns a failure if the environment lacks a setting or the runtime API is gone; the cause is in the log.
pub fn run_websocket(route: SocketRoute) -> ExitCode {
    logging::start();
    finish(start(serve_websocket(route)))
}

async fn serve_websocket(route: SocketRoute) -> Result<(), Error> {
    let app = gateway::reaching_clients(connect::from_env().await?);
    let sockets = Sockets::new(app.clone());
    let (app, sockets) = (&app, &sockets);
    lambda_runtime::run(lambda_runtime::service_fn(|event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| async move {
        answer_websocket(app, sockets, route, event.payload).await
    }))
    .await
}

/// Answers what a gateway tells the function of `route`.
///
/// # Errors
/// If the request has no connection, or the table can't be reached.
pub async fn answer_websocket(
    app: &App,
    sockets: &Sockets,
    route: SocketRoute,
    request: ApiGatewayWebsocketProxyRequest,
) -> Result<Value, Error> {
    let Some(id) = &request.request_context.connection_id else { return Err(Error::from("no connection")) };
    let answer = match route {
        SocketRoute::Connect => match socket_of(&request) {
            Some(socket) => sockets.connect(id, socket, &headers_of(&request)).await?,
            None => Answer::Refused,
        },
        SocketRoute::Message => sockets.receive(id, request.body.as_deref().unwrap_or_default()).await,
        SocketRoute::Disconnect => {
            sockets.disconnect(id).await?;
            Answer::Nothing
        }
    };
    if answer == Answer::HangUp
        && let Err(error) = connections::cut(app, id).await
    {
        // Of a failure, API Gateway would tell the client in words that it does not understand.
        tracing::error!(%error, "what was known of a connection is left to expire");
    }
    Ok(answer_of_socket(answer))
}

/// The only stage of the WebSocket API, which is the path to which the distribution leads all websockets.
pub const WEBSOCKET_STAGE: &str = "websockets";

/// The parameter in which the distribution says the path that the client asked for: a WebSocket API knows no path.
pub const PATH_PARAMETER: &str = "path";

/// Returns the websocket that a request is for; without a path, the one that takes events.
fn socket_of(request: &ApiGatewayWebsocketProxyRequest) -> Option<Socket> {
    let Some(path) = request.query_string_parameters.first(PATH_PARAMETER) else { return Some(Socket::EventsIn) };
    // A name in the path is encoded by the client, and the path in the parameter once more.
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8().ok()?;
    let path = if path.starts_with('/') { path } else { &*decoded };
    Socket::at(path.strip_prefix(http_api::PREFIX)?)
}

/// Returns the headers of a request for a connection; a gateway may send them in one of two ways.
fn headers_of(request: &ApiGatewayWebsocketProxyRequest) -> HeaderMap {
    let headers = &request.multi_value_headers;
    if headers.is_empty() { request.headers.clone() } else { headers.clone() }
}

fn answer_of_socket(answer: Answer) -> Value {
    match answer {
        Answer::Opened(Some(subprotocol)) => {
            json!({ "statusCode": 200, "headers": { "Sec-WebSocket-Protocol": subprotocol } })
        }
        Answer::Opened(None) | Answer::Nothing | Answer::HangUp => json!({ "statusCode": 200 }),
        Answer::Refused => json!({ "statusCode": 403 }),
        Answer::Reply(message) => json!({ "statusCode": 200, "body": message }),
    }
}

/// Runs `work` on a runtime of one thread: a function serves one request at a time.
pub(crate) fn start(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

pub(crate) fn finish(outcome: Result<(), Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function stopped");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded::{
        EmbeddedDatabase,
        faults::{Fault, Faults},
    };

    use super::*;
    use domain::model::ReceivedEvent;
    use settings::Settings;
    use store::{Shards, Store};

    #[tokio::test]
    async fn a_redirect_names_no_host() {
        for (told, expected) in
            [("https://api.example/api/flows/?a=%20", "/api/flows/?a=%20"), ("/docs", "/docs"), ("::", "::")]
        {
            let response = Response::builder().header(LOCATION, told).body(Body::empty()).unwrap();
            assert_eq!(without_host(response).await.headers()[LOCATION], expected);
        }
        assert!(without_host(Response::new(Body::empty())).await.headers().is_empty());
    }

    #[test]
    fn the_path_in_the_query_names_the_websocket() {
        let pool = |name: &str| Some(Socket::WorkerChannel { pool: name.into() });
        for (path, expected) in [
            (None, Some(Socket::EventsIn)),
            (Some("/api/events/out"), Some(Socket::EventsOut)),
            (Some("%2Fapi%2Flogs%2Fout"), Some(Socket::LogsOut)),
            (Some("/api/work_pools/my%20pool/workers/connect"), pool("my pool")),
            (Some("%2Fapi%2Fwork_pools%2Fa%252Fb%2Fworkers%2Fconnect"), pool("a/b")),
            (Some("/api/flows"), None),
            (Some("/events/out"), None),
        ] {
            let query = path.map(|path| json!({ PATH_PARAMETER: path }));
            let sample = include_str!("../../../events/websocket_connect.json");
            let mut request: Value = serde_json::from_str(sample).unwrap();
            request["queryStringParameters"] = json!(query);
            let request: ApiGatewayWebsocketProxyRequest = serde_json::from_value(request).unwrap();
            assert_eq!(socket_of(&request), expected, "{path:?}");
        }
    }

    fn record(sequence_number: &str, event: &ReceivedEvent) -> Value {
        let item = store::Item::of(event, 1, Shards(1)).unwrap();
        let text = |text: &str| json!({ "S": text });
        let (pk, sk) = (text(&item.key.pk), text(&item.key.sk));
        json!({"eventID": sequence_number, "eventName": "INSERT", "awsRegion": "any", "dynamodb": {
            "ApproximateCreationDateTime": 1_769_851_800, "SizeBytes": 1_024,
            "SequenceNumber": sequence_number,
            "Keys": {"pk": pk, "sk": sk},
            "NewImage": {
                "pk": pk, "sk": sk, "version": {"N": "1"},
                "head": text(&item.head.unwrap()), "tail": text(&item.tail.unwrap()),
            },
        }})
    }

    fn report() -> ReceivedEvent {
        serde_json::from_value(json!({
            "occurred": "2026-01-31T09:30:00Z",
            "event": "prefect.task-run.Running",
            "resource": {
                "prefect.resource.id": format!("prefect.task-run.{}", uuid::Uuid::new_v4()),
                "prefect.orchestration": "client",
            },
            "payload": {"validated_state": {"type": "RUNNING"}, "task_run": {"task_key": "a", "dynamic_key": "b"}},
            "id": uuid::Uuid::new_v4(),
            "received": "2026-01-31T09:30:01Z",
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn answers_with_the_changes_that_failed() {
        let faults = Faults::on("PutItem");
        let database = EmbeddedDatabase::in_memory().unwrap();
        let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
        let settings = Settings::default();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), &settings.table, settings.shards);
        store.create_table().await.unwrap();
        let app = App::new(store, settings);
        let mut unreadable = record("1", &report());
        unreadable["dynamodb"]["Keys"] = json!({});
        let event = json!({"Records": [unreadable, record("2", &report())]});
        let event: StreamEvent = serde_json::from_value(event).unwrap();
        for _ in 0..3 {
            faults.then(Fault::InternalError);
        }
        let queue = Queue::new(aws_sdk_sqs::Client::from_conf(database.queue().unwrap().sdk_config()), "any");
        let answer = consume_stream(&app, &queue, event.clone()).await;
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "2"}]}));
        assert_eq!(consume_stream(&app, &queue, event).await, json!({"batchItemFailures": []}));
    }
}
