//! A gate before the database that lets calls pass up to one, which it holds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// Which call is held, counted from 1, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// None is.
    Nothing,
    /// Before the database has it.
    Before(usize),
    /// After the database has carried it out, before its answer.
    After(usize),
}

/// A gate; functions reach the database behind it at `url`.
pub(crate) struct Gate {
    pub(crate) url: String,
    state: Arc<Inner>,
}

struct Inner {
    database: String,
    hold: Hold,
    calls: AtomicUsize,
    held: Notify,
    released: Notify,
}

impl Gate {
    /// Opens a gate before the database at the URL `database`.
    pub(crate) async fn before(database: &str, hold: Hold) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let database = database.trim_start_matches("http://").to_owned();
        let state = Arc::new(Inner {
            database,
            hold,
            calls: AtomicUsize::new(0),
            held: Notify::new(),
            released: Notify::new(),
        });
        let gate = Router::new().fallback(pass).with_state(Arc::clone(&state));
        tokio::spawn(axum::serve(listener, gate).into_future());
        Self { url, state }
    }

    /// Waits until a call is held.
    pub(crate) async fn held(&self) {
        self.state.held.notified().await;
    }

    /// Lets the call go on that is held.
    pub(crate) fn release(&self) {
        self.state.released.notify_one();
    }

    /// Returns how many calls have come.
    pub(crate) fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }
}

async fn pass(State(gate): State<Arc<Inner>>, request: Request) -> Response {
    let call = gate.calls.fetch_add(1, Ordering::SeqCst) + 1;
    if gate.hold == Hold::Before(call) {
        gate.hold_on().await;
    }
    let answer = carry_out(&gate.database, request).await;
    if gate.hold == Hold::After(call) {
        gate.hold_on().await;
    }
    answer
}

impl Inner {
    /// Waits until the call is released, which it isn't where its sender is killed.
    async fn hold_on(&self) {
        self.held.notify_one();
        self.released.notified().await;
    }
}

/// Hands `request` on to the database; returns its whole answer.
async fn carry_out(database: &str, request: Request) -> Response {
    let stream = TcpStream::connect(database).await.unwrap();
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await.unwrap().map(Body::new).into_parts();
    let body: Bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Response::from_parts(head, body.into())
}
