//! A client's connection, from its request to its end.
//!
//! Messages are taken one after the other, and the next one is read when the function has answered. So the pong to a
//! client's ping says what clients take it for: that everything before the ping is durable.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use common::{
    http::connection::Meter,
    lambda::SocketRoute,
    model::RELAYED,
    runtime::invoke::{LARGEST_EVENT, NotInvoked},
    socket::handshake,
};
use futures::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde_json::Value;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};
use tokio_tungstenite::tungstenite;
use uuid::Uuid;

use crate::{
    Peer, Relay,
    event::Request,
    outbox::{End, Inbox, Letter, Outbox, Refusal},
};

/// How much is read of a connection at once, in bytes; each has a buffer for as much, also an idle one.
const READ_BUFFER: usize = 16 * 1024;

/// How long a client may take for one message.
const LONGEST_MESSAGE: Duration = Duration::from_mins(2);

/// How long a client may take to answer a close frame.
const FAREWELL: Duration = Duration::from_secs(5);

/// Answers a client's request for a connection.
pub(crate) async fn open(
    State(relay): State<Arc<Relay>>,
    Extension(meter): Extension<Meter>,
    Extension(Peer(peer)): Extension<Peer>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    parts: Parts,
) -> Response {
    let (Ok(upgrade), Some(request)) = (upgrade, Request::of(&parts, peer)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if relay.outboxes.count() >= usize::from(relay.options.connections) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let id = format!("{RELAYED}{}", Uuid::new_v4().simple());
    // What a function has to tell may come before the client has its answer.
    let (outbox, inbox) = relay.outboxes.open(&id, request);
    let answer = match ask(&relay, &id, &outbox).await {
        Ok(answer) => answer,
        Err(failure) => {
            tracing::error!(id, ?failure, "a client is turned away");
            relay.outboxes.close(&id);
            return match failure {
                NotInvoked::Throttled => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                NotInvoked::Failed(_) => StatusCode::BAD_GATEWAY.into_response(),
            };
        }
    };
    if answer["statusCode"] != 200 {
        relay.outboxes.close(&id);
        let status = answer["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        return status.unwrap_or(StatusCode::BAD_GATEWAY).into_response();
    }
    let subprotocol = answer["headers"]["Sec-WebSocket-Protocol"].as_str().map(str::to_owned);
    let is_to_authenticate = subprotocol.is_some();
    let upgrade = upgrade
        .max_message_size(LARGEST_EVENT)
        .max_frame_size(LARGEST_EVENT)
        .read_buffer_size(READ_BUFFER)
        .protocols(subprotocol);
    let failed = (relay.clone(), id.clone(), outbox.clone());
    upgrade
        .on_failed_upgrade(move |error| {
            tracing::debug!(%error, "a connection broke before it was one");
            let (relay, id, outbox) = failed;
            tokio::spawn(async move { relay.say_farewell(&id, &outbox, &End::GONE).await });
        })
        .on_upgrade(async move |socket| {
            meter.start_counting(&relay.limits);
            Client { relay, id, outbox, meter, is_to_authenticate }.serve(socket, inbox).await;
        })
}

/// Asks the function whether the connection may be opened.
///
/// A client that leaves meanwhile ends the request and this with it, but not the function, which notes the connection:
/// the farewell comes after that.
async fn ask(relay: &Arc<Relay>, id: &str, outbox: &Arc<Outbox>) -> Result<Value, NotInvoked> {
    let (tell, told) = oneshot::channel();
    let (relay, id, outbox) = (relay.clone(), id.to_owned(), outbox.clone());
    tokio::spawn(async move {
        let answer = relay.invoke(SocketRoute::Connect, outbox.request.connect(&id)).await;
        if tell.send(answer).is_err() {
            relay.say_farewell(&id, &outbox, &End::GONE).await;
        }
    });
    told.await.unwrap_or_else(|_| Err(NotInvoked::Failed("what asks it has ended".into())))
}

/// A client that is connected.
struct Client {
    relay: Arc<Relay>,
    id: String,
    outbox: Arc<Outbox>,
    meter: Meter,
    /// Whether the client has still to say who it is.
    is_to_authenticate: bool,
}

impl Client {
    async fn serve(mut self, socket: WebSocket, inbox: Inbox) {
        let stopping = self.relay.stopping.subscribe();
        if *stopping.borrow() {
            self.outbox.end(End::RESTART);
        }
        let (opened, Inbox { mut letters, mut ending }) = (Instant::now(), inbox);
        let (mut sink, mut source) = socket.split();
        let outbox = self.outbox.clone();
        let end = tokio::select! {
            biased;
            end = async { ending.wait_for(Option::is_some).await.ok().and_then(|end| end.clone()) } => {
                end.unwrap_or(End::GONE)
            }
            end = send(&mut sink, &mut letters) => end,
            end = self.read(&mut source, &outbox) => end,
        };
        // From here on, who sends is told that the client is gone.
        self.relay.outboxes.close(&self.id);
        drop(letters);
        if let Some(code) = end.code {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(end.reason) };
            let farewell = async {
                if sink.send(Message::Close(Some(frame))).await.is_err() {
                    return;
                }
                if end == End::TOO_LARGE {
                    // What is left of the message is not read, and the client has some time to see why.
                    return tokio::time::sleep(FAREWELL / 5).await;
                }
                while let Some(Ok(_)) = source.next().await {
                    self.meter.worked_off();
                }
            };
            let _ = timeout(FAREWELL, farewell).await;
        }
        drop((sink, source));
        let seconds = opened.elapsed().as_secs();
        tracing::info!(id = self.id, code = end.code, reason = end.reason, seconds, "a connection is over");
        self.relay.say_farewell(&self.id, &self.outbox, &end).await;
        drop(stopping);
    }

    /// Reads what the client sends, until the connection ends.
    async fn read(&mut self, source: &mut SplitStream<WebSocket>, outbox: &Outbox) -> End {
        let relay = self.relay.clone();
        let options = &relay.options;
        let (opened, mut heard, mut is_pinged) = (Instant::now(), Instant::now(), false);
        loop {
            let mut patience = options.ping_interval();
            if self.is_to_authenticate {
                let left = options.handshake_timeout().saturating_sub(opened.elapsed());
                if left.is_zero() {
                    return End::POLICY;
                }
                patience = patience.min(left);
            }
            let Ok(received) = timeout(patience, source.next()).await else {
                if heard.elapsed() >= LONGEST_MESSAGE {
                    return End::GONE;
                }
                // A part of a message is a sign of life.
                if self.meter.last_read().elapsed() < options.ping_interval() {
                    continue;
                }
                if is_pinged {
                    return End::GONE;
                }
                is_pinged = true;
                outbox.ping();
                continue;
            };
            match received {
                Some(Ok(Message::Text(text))) => {
                    if let Err(end) = self.take(text, outbox).await {
                        return end;
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_))) => return End::NO_TEXT,
                Some(Ok(Message::Close(_))) | None => return End::GONE,
                Some(Err(error)) => return end_of(error),
            }
            self.meter.worked_off();
            // A function may have taken its time.
            (heard, is_pinged) = (Instant::now(), false);
        }
    }

    /// Has the function take a message of the client, and the client hear what the function answers.
    async fn take(&mut self, text: Utf8Bytes, outbox: &Outbox) -> Result<(), End> {
        let event = outbox.request.message(&self.id, &text);
        drop(text);
        if event.len() > LARGEST_EVENT {
            return Err(End::TOO_LARGE);
        }
        let answer = self.relay.invoke(SocketRoute::Message, event).await.map_err(|failure| {
            tracing::error!(id = self.id, ?failure, "a connection is cut, because a message could not be taken");
            if failure == NotInvoked::Throttled { End::LATER } else { End::FAILED }
        })?;
        if answer["statusCode"] != 200 {
            tracing::error!(id = self.id, "a connection is cut, because the function did not take a message");
            return Err(End::FAILED);
        }
        let Value::String(reply) = &answer["body"] else { return Ok(()) };
        outbox.post(reply.into()).map_err(|refusal| match refusal {
            Refusal::Over => End::GONE,
            Refusal::Behind | Refusal::Full => End::LATER,
        })?;
        if self.is_to_authenticate {
            if reply != handshake::SUCCESS {
                // The client hears why before that.
                outbox.end(End::POLICY);
                tokio::time::sleep(FAREWELL).await;
                return Err(End::POLICY);
            }
            self.is_to_authenticate = false;
        }
        Ok(())
    }
}

/// Sends what waits, until the connection ends.
async fn send(
    sink: &mut SplitSink<WebSocket, Message>,
    letters: &mut tokio::sync::mpsc::UnboundedReceiver<Letter>,
) -> End {
    while let Some(letter) = letters.recv().await {
        let sent = match letter {
            Letter::Text(text, room) => {
                let sent = sink.send(Message::Text(text)).await;
                drop(room);
                sent
            }
            Letter::Ping => sink.send(Message::Ping("alive".into())).await,
            Letter::End(end) => return end,
        };
        if sent.is_err() {
            return End::GONE;
        }
    }
    End::GONE
}

/// Returns how a connection ends of which something came that can't be read.
fn end_of(error: axum::Error) -> End {
    let Ok(error) = error.into_inner().downcast::<tungstenite::Error>() else { return End::GONE };
    match *error {
        tungstenite::Error::Capacity(_) => End::TOO_LARGE,
        tungstenite::Error::Utf8(_) => End::NO_UTF8,
        tungstenite::Error::Protocol(_) => End::PROTOCOL,
        _ => End::GONE,
    }
}
