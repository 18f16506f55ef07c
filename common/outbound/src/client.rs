//! Sends requests, and nothing but what the policy allows.
//!
//! The client is hyper's, which each function has anyway for the AWS SDK. It follows no redirect, knows no proxy,
//! keeps no connection and decompresses nothing. Names are resolved by [`Resolver`], which judges every address
//! before the connector gets it: what was judged is what is connected to. The connector doesn't ask it about
//! addresses in figures, so those are judged before.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header::CONTENT_LENGTH};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{HttpConnector, dns::Name},
    },
    rt::TokioExecutor,
};
use rustls::ClientConfig;
use tower::Service;
use url::{Host, Url};

use crate::{
    CallError, Reach, Request,
    error::Result,
    tls::{Tls, told_of_tls},
};

/// How long a connection may take to be there, encrypted or not.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How many bytes a request may have.
pub const REQUEST_LIMIT: usize = 1024 * 1024;

/// How many bytes of an answer are read; the rest is left where it is.
pub const ANSWER_LIMIT: usize = 64 * 1024;

/// What the other side answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, in the order of the answer.
    pub headers: Vec<(String, String)>,
    /// The body, or its first [`ANSWER_LIMIT`] bytes; what is not UTF-8 is replaced.
    pub body: String,
}

/// Sends requests within a reach.
pub(crate) struct HttpClient {
    reach: Reach,
    tls: Arc<Tls>,
}

impl HttpClient {
    pub(crate) fn new(reach: Reach, tls: Arc<Tls>) -> Self {
        Self { reach, tls }
    }

    /// Sends a request and returns what is answered, whichever status that has.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer> {
        let limit = request.time_limit;
        if request.body.len() > REQUEST_LIMIT {
            return Err(CallError::TooLarge { size: request.body.len(), limit: REQUEST_LIMIT });
        }
        let exchange = self.exchange(request);
        tokio::time::timeout(limit, exchange).await.unwrap_or(Err(CallError::TimedOut(limit)))
    }

    async fn exchange(&self, request: Request) -> Result<Answer> {
        let reach = if request.is_public_only { Reach::Public } else { self.reach };
        judge_figures(&request.url, reach)?;
        let mut connector = HttpConnector::new_with_resolver(Resolver { reach });
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        let config = self.tls.config(request.verifies)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(&config))
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);

        let is_empty = request.body.is_empty() && matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
        let mut outgoing = http::Request::builder().method(request.method).uri(request.url.as_str());
        if let Some(headers) = outgoing.headers_mut() {
            *headers = request.headers;
            // hyper leaves it out, and some servers answer 411 to that.
            if is_empty {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
        }
        let outgoing = outgoing.body(Full::new(Bytes::from(request.body)));
        let outgoing = outgoing.map_err(|_| CallError::Misconfigured {
            block: "The call",
            reason: "its address has characters that none can have.".to_owned(),
        })?;
        let response = client.request(outgoing).await.map_err(|failure| told(&failure))?;
        let (head, mut body) = response.into_parts();
        let mut read = Vec::new();
        while read.len() < ANSWER_LIMIT {
            let Some(frame) = body.frame().await else { break };
            let frame =
                frame.map_err(|_| CallError::Unreachable("it broke off in the middle of the answer".to_owned()))?;
            if let Some(data) = frame.data_ref() {
                read.extend_from_slice(data);
            }
        }
        read.truncate(ANSWER_LIMIT);
        let body = String::from_utf8_lossy(&read).into_owned();
        Ok(Answer { status: head.status.as_u16(), headers: texts(&head.headers), body })
    }
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// Refuses a host that is an address in figures, if it may not be reached. A name is judged when it is resolved.
///
/// The URL's parser has read every spelling by then: decimal, octal, hexadecimal, and with parts left out.
fn judge_figures(url: &Url, reach: Reach) -> Result<()> {
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err(CallError::Forbidden("it has no host")),
    };
    judge_address(address, reach)
}

/// Returns where a host is reached, unless any of its addresses may not be. A name is resolved by the system.
pub(crate) async fn resolve(host: &Host<String>, port: u16, reach: Reach) -> Result<Vec<SocketAddr>> {
    let address: IpAddr = match host {
        Host::Ipv4(address) => (*address).into(),
        Host::Ipv6(address) => (*address).into(),
        Host::Domain(name) => {
            let addresses = look_up(name.clone(), port).await.map_err(|failure| told(&failure))?;
            return judge(addresses, reach).map(Iterator::collect).map_err(|failure| told(&*failure));
        }
    };
    judge_address(address, reach).map(|()| vec![SocketAddr::new(address, port)])
}

async fn look_up(name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let lookup = tokio::task::spawn_blocking(move || (name.as_str(), port).to_socket_addrs());
    let addresses = lookup.await?.map_err(|_| io::Error::new(io::ErrorKind::NotFound, "its name has no address"))?;
    Ok(addresses.collect())
}

fn judge_address(address: IpAddr, reach: Reach) -> Result<()> {
    if reach.includes(address) { Ok(()) } else { Err(CallError::Forbidden(Forbidden::REASON)) }
}

/// The refusal of an address, as it travels through the connector.
#[derive(Debug)]
struct Forbidden;

impl Forbidden {
    const REASON: &str = "it is on the server's own machine or network, or none that may be called";
}

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Self::REASON)
    }
}

impl StdError for Forbidden {}

/// Resolves a name by the system, and refuses it if it has any address that may not be reached.
#[derive(Clone)]
struct Resolver {
    reach: Reach,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        Box::pin(async move {
            // The connector sets the port.
            judge(look_up(name.as_str().to_owned(), 0).await?, reach)
        })
    }
}

fn judge(
    addresses: Vec<SocketAddr>,
    reach: Reach,
) -> std::result::Result<std::vec::IntoIter<SocketAddr>, Box<dyn StdError + Send + Sync>> {
    if addresses.iter().all(|address| reach.includes(address.ip())) {
        Ok(addresses.into_iter())
    } else {
        Err(Box::new(Forbidden))
    }
}

/// Tells why there was no answer, without any text that could hold the address.
pub(crate) fn told(failure: &(dyn StdError + 'static)) -> CallError {
    let mut cause = Some(failure);
    let mut reason = None;
    while let Some(failure) = cause {
        if failure.is::<Forbidden>() {
            return CallError::Forbidden(Forbidden::REASON);
        }
        if let Some(failure) = failure.downcast_ref::<rustls::Error>() {
            return told_of_tls(failure);
        }
        cause = match failure.downcast_ref::<io::Error>() {
            Some(failure) => {
                reason = Some(told_of_io(failure));
                // What is inside of an error of I/O is not its source, but its source's parent.
                failure.get_ref().map(|inner| inner as &(dyn StdError + 'static))
            }
            None => failure.source(),
        };
    }
    CallError::Unreachable(reason.unwrap_or("it was closed before the answer").to_owned())
}

fn told_of_io(failure: &io::Error) -> &'static str {
    match failure.kind() {
        io::ErrorKind::NotFound => "its name has no address",
        io::ErrorKind::ConnectionRefused => "it was refused",
        io::ErrorKind::TimedOut => "nobody answered",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way leads there",
        _ => "it broke off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(url: &str, reach: Reach) -> Result<()> {
        judge_figures(&Url::parse(url).unwrap(), reach)
    }

    #[test]
    fn every_spelling_of_an_address_is_judged() {
        let loopback =
            ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "127.0.0.1."];
        let mapped =
            ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "１２７.0.0.1", "%31%32%37.0.0.1"];
        for host in loopback.into_iter().chain(mapped) {
            let url = format!("http://{host}/a");
            assert!(judged(&url, Reach::Private).is_err(), "{host}");
            assert_eq!(judged(&url, Reach::Loopback), Ok(()), "{host}");
        }
        for host in
            ["169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "0.0.0.0", "0", "[fd00:ec2::254]"]
        {
            assert!(judged(&format!("http://{host}/latest/meta-data"), Reach::Loopback).is_err(), "{host}");
        }
        assert_eq!(judged("https://example.com/", Reach::Public), Ok(()));
        assert_eq!(judged("https://1.1.1.1/", Reach::Public), Ok(()));
    }

    #[test]
    fn a_name_with_one_forbidden_address_is_refused() {
        let public = SocketAddr::from(([1, 1, 1, 1], 0));
        let private = SocketAddr::from(([10, 0, 0, 1], 0));
        assert_eq!(judge(vec![public], Reach::Public).unwrap().count(), 1);
        assert!(judge(vec![public, private], Reach::Public).is_err());
        assert_eq!(judge(vec![public, private], Reach::Private).unwrap().count(), 2);
    }

    #[test]
    fn an_error_of_tls_does_not_tell_the_name() {
        let name = rustls::pki_types::ServerName::try_from("s3cr3t.example.com").unwrap();
        let failure = rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForNameContext {
            expected: name.to_owned(),
            presented: vec!["s3cr3t".to_owned()],
        });
        let failure = io::Error::other(failure);
        let told = told(&failure);
        assert_eq!(told, CallError::Untrusted("its certificate is for another name".to_owned()));
    }
}
