//! A server in this process, and clients of its websockets.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "each test fails by panicking")]

use aws_sdk_dynamodb::Client;
use common::{App, Settings, Store};
use embedded::{EmbeddedDatabase, faults::Faults};
use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

pub type Socket = WebSocketStream<TcpStream>;

/// Starts a server on a database that meets `faults`; returns it, and where it listens.
pub async fn server_with(settings: Settings, faults: &Faults) -> (App, String) {
    let database = EmbeddedDatabase::in_memory().unwrap();
    let client = Client::from_conf(EmbeddedDatabase::config_with(faults.before(database.http_client())));
    let store = Store::new(client, &settings.table, settings.shards);
    store.create_table().await.unwrap();
    let app = App::new(store, settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(proctor::server::serve(listener, app.clone(), None, std::future::pending()));
    (app, address)
}

/// Opens the websocket at `path` of the API, with the subprotocol of clients that authenticate.
pub async fn open(address: &str, path: &str) -> Socket {
    let mut request = format!("ws://{address}/api{path}").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("prefect"));
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(request, stream).await.unwrap().0
}

/// Authenticates, which the server has to accept.
pub async fn authenticate(socket: &mut Socket, token: Option<&str>) {
    socket.send(Message::text(json!({"type": "auth", "token": token}).to_string())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(r#"{"type":"auth_success"}"#));
}
