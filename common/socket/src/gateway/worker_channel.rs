//! `/work_pools/{name}/workers/connect` behind a gateway: the session is in the connection's record between two frames.
//!
//! All frames are posted, none is an answer, so that they go out in the order in which they are made.

use access::Caller;
use domain::model::{Connection, PoolSubscription, Subscription};
use error::{Error, Result};
use futures::future::BoxFuture;
use services::{
    App,
    connections::{self, Channels},
    live::{News, PoolChange},
};
use store::Versioned;

use super::{Answer, refusal};
use crate::worker_channel::{self, CloseReason, Occasion, Opened, Reaction, Session};

/// How often a session is read again that another function has changed.
const ATTEMPTS: usize = 10;

/// Takes a frame of a worker of the pool called `pool`.
pub(super) async fn take(
    app: &App,
    found: Versioned<Connection>,
    caller: Caller,
    pool: &str,
    message: &str,
) -> Result<Answer> {
    let id = found.record.id.clone();
    let outcome = match &found.record.subscription {
        Some(Subscription::Pool(subscription)) => {
            let mut session = session_of(subscription)?;
            converse(app, &id, &mut session, message).await?
        }
        _ => open(app, &found, caller, pool, message).await?,
    };
    match outcome {
        Ok(()) => Ok(Answer::Nothing),
        Err(reason) => {
            say_why(app, &id, reason).await?;
            connections::end(app, &id).await?;
            Ok(Answer::HangUp)
        }
    }
}

/// Opens the channel of a worker that says hello.
async fn open(
    app: &App,
    found: &Versioned<Connection>,
    caller: Caller,
    pool: &str,
    message: &str,
) -> Result<Result<(), CloseReason>> {
    let opened = match worker_channel::open(app, caller, pool, message).await {
        Ok(opened) => opened,
        Err(reason) => return Ok(Err(reason)),
    };
    let Opened { session, ready, then, .. } = opened;
    let id = &found.record.id;
    // What becomes of the pool from now on is told, and what has become of it meanwhile found by a heartbeat.
    app.store.subscribe(found, Subscription::Pool(subscription_of(&session)?)).await?;
    if !connections::send(app, id, &ready).await? {
        return Ok(Ok(()));
    }
    if let Some(occasion) = then
        && let Err(reason) = tell_of_pool(app, id, occasion, None).await?
    {
        return Ok(Err(reason));
    }
    ask_to_clean_up(app, id, session).await?;
    Ok(Ok(()))
}

/// Takes a frame of a worker whose channel is open.
async fn converse(app: &App, id: &str, session: &mut Session, message: &str) -> Result<Result<(), CloseReason>> {
    match session.receive(app, message).await {
        Reaction::Nothing => {}
        Reaction::Reply(text) => {
            connections::send(app, id, &text).await?;
        }
        Reaction::Reconcile => {
            if let Err(reason) = tell_of_pool(app, id, Occasion::Heartbeat, None).await? {
                return Ok(Err(reason));
            }
        }
        Reaction::Close(reason) => return Ok(Err(reason)),
    }
    ask_to_clean_up(app, id, session.clone()).await?;
    Ok(Ok(()))
}

/// Tells the worker how its pool is by now, unless it was told of `change` or of what came later.
///
/// The session is written before the frame is sent, so that no two frames have one number.
async fn tell_of_pool(
    app: &App,
    id: &str,
    occasion: Occasion,
    change: Option<PoolChange>,
) -> Result<Result<(), CloseReason>> {
    for _ in 0..ATTEMPTS {
        let Some(found) = app.store.connection(id).await? else { return Ok(Ok(())) };
        let Some(Subscription::Pool(subscription)) = &found.record.subscription else { return Ok(Ok(())) };
        let mut session = session_of(subscription)?;
        if change.is_some_and(|change| !session.is_news(change)) {
            return Ok(Ok(()));
        }
        let frame = match session.snapshot(app, occasion).await {
            Ok(frame) => frame,
            Err(reason) => return Ok(Err(reason)),
        };
        let subscription = Some(Subscription::Pool(subscription_of(&session)?));
        let connection = Connection { subscription, ..found.record.clone() };
        if app.store.change_connection(&connection, found.version, Vec::new()).await? {
            connections::send(app, id, &frame).await?;
            return Ok(Ok(()));
        }
    }
    Err(Error::Unavailable("other functions write the session of a worker".into()))
}

/// Asks the worker for as many cleanups as there are and it takes.
///
/// What it has is read from the cleanups: several functions may ask it.
async fn ask_to_clean_up(app: &App, id: &str, mut session: Session) -> Result<()> {
    if !session.cleans_up() {
        return Ok(());
    }
    session.refresh(app).await?;
    while let Some((message, text)) = session.next_cleanup(app, None).await? {
        if !connections::send(app, id, &text).await? {
            session.give_back(app, &message).await;
            break;
        }
    }
    Ok(())
}

/// Tells the worker why its channel ends, if it must not come again.
///
/// The gateway sends no reason with a close frame, and a worker comes again that hears none. A frame that is not of the
/// protocol ends the channel for good: the worker goes on over HTTP.
async fn say_why(app: &App, id: &str, reason: CloseReason) -> Result<()> {
    match reason {
        CloseReason::HeartbeatPersistenceFailed | CloseReason::TransientServerError => Ok(()),
        CloseReason::AuthenticationFailed
        | CloseReason::AuthorizationFailed
        | CloseReason::UnsupportedVersion
        | CloseReason::ProtocolError => connections::send(app, id, &refusal(reason.text())).await.map(drop),
    }
}

fn session_of(subscription: &PoolSubscription) -> Result<Session> {
    Ok(serde_json::from_value(subscription.session.clone())?)
}

fn subscription_of(session: &Session) -> Result<PoolSubscription> {
    let (pool, cleans_up) = (session.pool(), session.cleans_up());
    Ok(PoolSubscription { pool, cleans_up, session: serde_json::to_value(session)? })
}

/// The protocol of workers' channels, for who tells workers what has become of their pools.
#[derive(Clone, Copy, Debug, Default)]
pub struct Protocol;

impl Channels for Protocol {
    fn tell<'c>(&'c self, app: &'c App, found: Versioned<Connection>, news: News) -> BoxFuture<'c, Result<()>> {
        Box::pin(async move {
            let id = found.record.id.as_str();
            let Some(Subscription::Pool(subscription)) = &found.record.subscription else { return Ok(()) };
            let told = match news.pool {
                Some(change) => tell_of_pool(app, id, Occasion::Updated, Some(change)).await?,
                None => Ok(()),
            };
            match told {
                Ok(()) if news.cleanup => ask_to_clean_up(app, id, session_of(subscription)?).await,
                Ok(()) => Ok(()),
                Err(reason) => {
                    say_why(app, id, reason).await?;
                    connections::cut(app, id).await
                }
            }
        })
    }
}
