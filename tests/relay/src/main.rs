//! What is behind the relay in the cloud, in one process, so that the relay's own binary can be tested with it.
//!
//! The functions of the websockets are the real ones. They are invoked over HTTP as Lambda is asked to, and reach
//! clients through the relay alone, as does the stream's consumer. What the relay and the functions need beside is
//! here in small: the one operation of Lambda, and the one of Secrets Manager. Addresses and credentials come from the
//! environment, as they do in Lambda.

use std::{
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use clap::Parser;
use common::{
    App, Settings,
    http::Json,
    lambda::{SocketRoute, answer_websocket},
    logging,
    runtime::{gateway::clients_of_the_relay, invoke::LARGEST_EVENT},
    settings::Variables,
    socket::gateway::Sockets,
};
use proctor::{database::Database, server, services::Services};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

type Failure = Box<dyn std::error::Error>;

/// Runs what is behind the relay.
#[derive(Debug, Parser)]
struct Options {
    /// Where the API answers
    #[arg(long)]
    api: SocketAddr,
    /// Where Lambda and Secrets Manager answer, which is also what `AWS_ENDPOINT_URL` names
    #[arg(long)]
    aws: SocketAddr,
    /// Where functions reach connections of the relay
    #[arg(long)]
    relay: String,
    /// What functions show to the relay
    #[arg(long)]
    secret: String,
}

/// The name of the secret, as well as what stands before the names of functions.
const PREFIX: &str = "test-";

#[tokio::main]
async fn main() -> ExitCode {
    logging::start();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relayed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Failure> {
    let settings = Settings::local(Variables::from_env())?;
    let database = Database::Sqlite(sqlite::Database::in_memory()?);
    let app = App::new(database.store(&settings.table, settings.shards), settings);
    let app = app.reaching(clients_of_the_relay(options.relay.clone(), PREFIX.into()));
    let (_stop, stopping) = watch::channel(false);
    let _services = Services::start(&app, &database, &stopping)?;

    let cloud = Arc::new(Cloud {
        sockets: Sockets::new(app.clone()),
        app: app.clone(),
        secret: options.secret,
        opened: Mutex::default(),
    });
    let aws = Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .route("/", post(tell_secret))
        .route("/connections", get(connections))
        .layer(DefaultBodyLimit::max(LARGEST_EVENT))
        .with_state(cloud);
    let listener = TcpListener::bind(options.aws).await?;
    tokio::spawn(axum::serve(listener, aws).into_future());
    server::serve(TcpListener::bind(options.api).await?, app, None, std::future::pending()).await;
    Ok(())
}

struct Cloud {
    app: App,
    sockets: Sockets,
    secret: String,
    /// The connections that a function was asked about.
    opened: Mutex<Vec<String>>,
}

/// Invokes a function as Lambda does, which takes events of 6 MB and no more.
async fn invoke(State(cloud): State<Arc<Cloud>>, Path(name): Path<String>, event: Bytes) -> Response {
    let function = name.strip_prefix(PREFIX).unwrap_or_default();
    let Some(route) = SocketRoute::ALL.into_iter().find(|route| route.function() == function) else {
        return (StatusCode::NOT_FOUND, [("x-amzn-errortype", "ResourceNotFoundException")]).into_response();
    };
    let answer = async {
        let event: Value = serde_json::from_slice(&event)?;
        if route == SocketRoute::Connect {
            let id = event["requestContext"]["connectionId"].as_str().unwrap_or_default().to_owned();
            cloud.opened.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        }
        answer_websocket(&cloud.app, &cloud.sockets, route, serde_json::from_value(event)?).await
    };
    match answer.await {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => ([("x-amz-function-error", "Unhandled")], error.to_string()).into_response(),
    }
}

async fn tell_secret(State(cloud): State<Arc<Cloud>>, question: Bytes) -> Response {
    let question: Value = serde_json::from_slice(&question).unwrap_or_default();
    if question["SecretId"] != PREFIX || question["VersionStage"] != "AWSCURRENT" {
        return (StatusCode::BAD_REQUEST, Json(json!({ "__type": "ResourceNotFoundException" }))).into_response();
    }
    Json(json!({ "SecretString": cloud.secret })).into_response()
}

/// Tells which connections there were, and whether the table has them still.
async fn connections(State(cloud): State<Arc<Cloud>>) -> Response {
    let opened = cloud.opened.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut known = Vec::new();
    for id in opened {
        match cloud.app.store.connection(&id).await {
            Ok(found) => known.push(json!({ "id": id, "is_there": found.is_some() })),
            Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
    Json(Value::from(known)).into_response()
}
