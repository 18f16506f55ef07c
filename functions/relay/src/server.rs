//! How the relay takes connections, and ends.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use common::http::connection::Connection;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tower::ServiceExt;

use crate::{Peer, Relay, outbox::End, routes};

/// How many connections there may be beyond those of clients: those of CloudFront for what functions ask, and of
/// probes.
const SPARE: usize = 256;

/// The largest head of a request, in bytes.
const LARGEST_HEAD: usize = 64 * 1024;

/// How long a connection may take for the head of its next request; CloudFront keeps idle ones for less.
const IDLE: Duration = Duration::from_mins(1);

/// How long the relay waits after it could not take a connection, such as for want of memory.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves `relay` on `listener` until `stop` resolves; then all connections are closed, so that clients come again, and
/// functions are told.
pub async fn serve(listener: TcpListener, relay: Arc<Relay>, stop: impl Future<Output = ()>) {
    let most = usize::from(relay.options.connections) + SPARE;
    let admissions = Arc::new(Semaphore::new(most));
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Ok(admission) = admissions.clone().try_acquire_owned() {
                    serve_connection(&relay, stream, Peer(peer), admission);
                } else {
                    tracing::warn!(most, "there are as many connections as there may be");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection can't be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    let connections = relay.outboxes.count();
    tracing::info!(connections, "the relay ends");
    relay.stopping.send_replace(true);
    relay.outboxes.end_all(&End::RESTART);
    if timeout(relay.options.stop_timeout(), relay.stopping.closed()).await.is_err() {
        tracing::warn!("some connections did not end in time; functions find them gone");
    }
}

fn serve_connection(relay: &Arc<Relay>, stream: TcpStream, peer: Peer, admission: OwnedSemaphorePermit) {
    // A message is one write, and the next one must not wait for what the client acknowledges.
    let _ = stream.set_nodelay(true);
    let connection = Connection::new(stream, relay.options.write_timeout(), admission);
    let meter = connection.meter();
    let service = routes(relay.clone()).map_request(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(meter.clone());
        request.extensions_mut().insert(peer);
        request.map(Body::new)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(LARGEST_HEAD);
    let served = http.serve_connection(TokioIo::new(connection), TowerToHyperService::new(service)).with_upgrades();
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::debug!(%error, "a connection broke");
        }
    });
}
