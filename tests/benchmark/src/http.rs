//! A lean HTTP/1.1 client: one keep-alive connection, one request at a time.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long an answer may take before it counts as lost.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// The request header that asks the measured server what an operation cost.
const EXPLAIN: &str = "x-proctor-explain";

/// Where a server's API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    authority: String,
    base: String,
}

impl Endpoint {
    /// Reads an API address such as `http://127.0.0.1:4200/api`.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url} is not an address: {error}"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(authority)) => Ok(Self {
                authority: if authority.port().is_some() { authority.to_string() } else { format!("{authority}:80") },
                base: uri.path().trim_end_matches('/').to_owned(),
            }),
            _ => Err(format!("{url} is not an http:// address")),
        }
    }

    /// The API of a server on this machine.
    pub(crate) fn local(port: u16) -> Self {
        Self { authority: format!("127.0.0.1:{port}"), base: "/api".to_owned() }
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The address of the websocket at `path` below the API.
    pub(crate) fn websocket(&self, path: &str) -> String {
        format!("ws://{}{}{path}", self.authority, self.base)
    }
}

/// What one operation cost in the measured server's database.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cost {
    pub(crate) round_trips: f64,
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
}

impl Cost {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
        Some(Self {
            round_trips: number("x-proctor-round-trips")?,
            read_units: number("x-proctor-read-units")?,
            write_units: number("x-proctor-write-units")?,
        })
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    pub(crate) cost: Option<Cost>,
}

impl Answer {
    /// The body as JSON, null when it is not JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

type Outgoing = Request<Full<Bytes>>;

/// One keep-alive connection, opened again when the server has closed it.
#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: Endpoint,
    sender: Option<SendRequest<Full<Bytes>>>,
    explain: bool,
}

impl Connection {
    /// A connection that opens with its first request.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, sender: None, explain: false }
    }

    /// Asks the server for the cost of every following operation.
    pub(crate) fn explain(&mut self) {
        self.explain = true;
    }

    /// Opens the connection if it is not open.
    pub(crate) async fn open(&mut self) -> Result<(), String> {
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = TcpStream::connect(&self.endpoint.authority).await.map_err(|error| error.to_string())?;
            stream.set_nodelay(true).map_err(|error| error.to_string())?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
            // The driver ends by itself when the sender is dropped or the server hangs up.
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        Ok(())
    }

    /// Reads `path` below the API.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, String> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Posts a JSON body to `path` below the API.
    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Result<Answer, String> {
        self.send(Method::POST, path, body.into()).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, String> {
        let answer = tokio::time::timeout(TIME_LIMIT, self.exchange(method, path, body))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", TIME_LIMIT.as_secs())));
        // The oracle hangs up right after a 503 without saying so; what is sent meanwhile would count as a second error.
        if answer.as_ref().map_or(true, |answer| answer.status >= 500) {
            self.sender = None;
        }
        answer
    }

    /// Sends a request, or gives it back if it did not leave this process.
    async fn try_send(&mut self, request: Outgoing) -> Result<Result<Response<Incoming>, Outgoing>, String> {
        self.open().await?;
        let Some(sender) = self.sender.as_mut() else { return Ok(Err(request)) };
        if sender.ready().await.is_err() {
            return Ok(Err(request));
        }
        match sender.try_send_request(request).await {
            Ok(response) => Ok(Ok(response)),
            Err(mut refused) => match refused.take_message() {
                Some(unsent) => Ok(Err(unsent)),
                None => Err(refused.into_error().to_string()),
            },
        }
    }

    async fn exchange(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint.base))
            .header(HOST, &self.endpoint.authority);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if self.explain {
            request = request.header(EXPLAIN, "1");
        }
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let response = match self.try_send(request).await? {
            Ok(response) => response,
            // The server had closed the connection between two requests, so this one was never sent.
            Err(unsent) => {
                self.sender = None;
                self.try_send(unsent).await?.map_err(|_| "the connection closes at once".to_owned())?
            }
        };
        let status = response.status().as_u16();
        let cost = if self.explain { Cost::read(response.headers()) } else { None };
        let body = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status, body, cost })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn endpoints_keep_the_path_and_default_the_port() {
        let endpoint = Endpoint::parse("http://127.0.0.1:4200/api/").unwrap();
        assert_eq!(endpoint, Endpoint::local(4200));
        assert_eq!(endpoint.websocket("/events/in"), "ws://127.0.0.1:4200/api/events/in");
        assert_eq!(Endpoint::parse("http://oracle/api").unwrap().authority(), "oracle:80");
        assert!(Endpoint::parse("https://127.0.0.1:4200/api").is_err());
        assert!(Endpoint::parse("127.0.0.1").is_err());
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_opened_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 512];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n42").await.unwrap();
            }
        });
        let mut connection = Connection::new(Endpoint::local(port));
        for _ in 0..3 {
            assert_eq!(connection.get("/health").await.unwrap().json(), 42);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.await.unwrap();
    }

    #[test]
    fn a_cost_needs_all_three_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("x-proctor-round-trips", "2".parse().unwrap());
        headers.insert("x-proctor-read-units", "1.5".parse().unwrap());
        assert_eq!(Cost::read(&headers), None);
        headers.insert("x-proctor-write-units", "6".parse().unwrap());
        assert_eq!(Cost::read(&headers), Some(Cost { round_trips: 2.0, read_units: 1.5, write_units: 6.0 }));
    }
}
