//! How the local server takes connections, and ends those whose clients leave it waiting.
//!
//! `axum::serve` knows no time-outs. What is slow inside of a request is seen where it is read ([`common::http::limits`]).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::header::{CONNECTION, HeaderValue},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use common::{App, Error, access::operations::PROBES, http::connection::Connection, settings::ServerLimits};
use embedded::EmbeddedDatabase;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower::ServiceExt;

use crate::{database_server, page::Page};

/// How many connections there may be beyond the limit, for load balancers' probes and for saying that there is no room.
const SPARE: u16 = 32;

/// How long a connection beyond the limit may take for its request.
const SPARE_TIMEOUT: Duration = Duration::from_secs(2);

/// How many files the process has open beside its connections: those of the database, the log, and what comes.
const OTHER_FILES: u16 = 128;

/// The largest head of a request, in bytes, and the most that is read ahead of a request's body.
const LARGEST_HEAD: usize = 128 * 1024;

/// How long the server waits after it could not take a connection, such as for want of memory.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves `app`, and `page` if there is one, on `listener` until `stop` resolves, and then until the open requests are
/// answered.
///
/// Websockets are not waited for.
pub async fn serve(listener: TcpListener, app: App, page: Option<Page>, stop: impl Future<Output = ()>) {
    let limits = app.settings.limits.clone();
    let probes = PROBES.map(|(_, path)| format!("{}{path}", app.settings.base_path));
    serve_within(limits, listener, crate::app_with(app, page.as_ref()), Arc::from(probes), stop).await;
}

/// Returns where a client of this machine reaches what listens on `address`, which may stand for all addresses.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Serves `database` on `listener` within `limits` until `stop` resolves, and then until the open requests are answered.
pub async fn serve_database(
    listener: TcpListener,
    database: EmbeddedDatabase,
    limits: ServerLimits,
    stop: impl Future<Output = ()>,
) {
    let service = database_server::routes(database, &limits);
    serve_within(limits, listener, service, Arc::from([]), stop).await;
}

async fn serve_within(
    limits: ServerLimits,
    listener: TcpListener,
    service: Router,
    probes: Arc<[String]>,
    stop: impl Future<Output = ()>,
) {
    let most = most_connections(limits.connections);
    let (connections, spare) = (Arc::new(Semaphore::new(most)), Arc::new(Semaphore::new(SPARE.into())));
    let stopping = watch::channel(false).0;
    let in_spare = Protocol {
        limits: ServerLimits { idle_timeout: SPARE_TIMEOUT.min(limits.idle_timeout), ..limits.clone() },
        service: service.clone().layer(middleware::from_fn_with_state(probes, only_probes)),
        keep_alive: false,
        stopping: stopping.clone(),
    };
    let protocol = Protocol { limits, service, keep_alive: true, stopping: stopping.clone() };

    let mut stop = pin!(stop);
    let mut is_full = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_the_client(&error) => continue,
            Err(error) => {
                tracing::error!(%error, "a connection can't be taken");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if let Ok(admission) = connections.clone().try_acquire_owned() {
            is_full = false;
            protocol.serve(stream, admission);
            continue;
        }
        if !is_full {
            is_full = true;
            tracing::warn!(most, "there are as many connections as there may be; further ones are turned away");
        }
        // Beyond these as well, the connection is closed at once: whoever waits to be taken would wait for long.
        if let Ok(admission) = spare.clone().try_acquire_owned() {
            in_spare.serve(stream, admission);
        }
    }
    drop(listener);
    stopping.send_replace(true);
    stopping.closed().await;
}

/// How requests are taken from a connection and answered.
struct Protocol {
    limits: ServerLimits,
    service: Router,
    /// Whether a connection goes on after its first request.
    keep_alive: bool,
    /// Tells connections to end; each has a receiver until it does.
    stopping: watch::Sender<bool>,
}

impl Protocol {
    /// Serves a connection on a task of its own.
    fn serve(&self, stream: TcpStream, admission: OwnedSemaphorePermit) {
        let connection = Connection::new(stream, self.limits.write_timeout, admission);
        let meter = connection.meter();
        let service = self.service.clone().map_request(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(meter.clone());
            request.map(Body::new)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // From the connection's start or the last answer's end, so it also ends what is idle.
            .header_read_timeout(self.limits.idle_timeout)
            .max_buf_size(LARGEST_HEAD)
            .keep_alive(self.keep_alive);
        let served = http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(service)).with_upgrades();
        let mut stopping = self.stopping.subscribe();
        tokio::spawn(async move {
            let mut served = pin!(served);
            let ended = tokio::select! {
                ended = served.as_mut() => Some(ended),
                () = async { drop(stopping.wait_for(|stop| *stop).await) } => None,
            };
            let ended = if let Some(ended) = ended {
                ended
            } else {
                served.as_mut().graceful_shutdown();
                served.await
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke");
            }
            drop(stopping);
        });
    }
}

/// Answers load balancers' probes, and tells everybody else to come back.
async fn only_probes(State(probes): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let mut answer = if probes.iter().any(|probe| probe == request.uri().path()) {
        next.run(request).await
    } else {
        Error::Busy("there are as many connections as there may be").into_response()
    };
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// How many files the servers of this process were told that they can open.
static PROMISED: AtomicU64 = AtomicU64::new(0);

/// Lets the process open as many files as `connections` need, besides those of other servers; returns how many of these it
/// can have.
fn most_connections(connections: u16) -> usize {
    let own = u64::from(connections) + u64::from(SPARE);
    let others = u64::from(SPARE) + u64::from(OTHER_FILES) + PROMISED.fetch_add(own, Ordering::Relaxed);
    let wanted = u64::from(connections) + others;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if allowed >= wanted {
        return connections.into();
    }
    let most = usize::try_from(allowed.saturating_sub(others)).unwrap_or(usize::MAX).max(1);
    tracing::warn!(allowed, most, "the limit of open files allows fewer connections than are set");
    most
}
