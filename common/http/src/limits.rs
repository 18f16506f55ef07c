//! What the requests of a server on one machine hold and do together, at most.
//!
//! Many clients that each do what they may could fill the memory: with bodies that they are slow to send, and with
//! answers that they don't read. So large bodies, answers and messages are counted while they are held, and one that
//! finds no room is answered with 503. What an answer is made of takes several times its size, so few requests that read
//! are at it at once, and others wait. A function has no such limits: Lambda gives each request a process.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::{IntoResponse, Response},
};
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use error::{Error, Result};
use settings::ServerLimits;

/// How many bytes a client has to send or read within each period of a time-out; a trickle is no progress.
pub const PROGRESS: usize = 16 * 1024;

/// How many bytes of each body, answer or message are not counted: the number of connections bounds them.
///
/// So small requests always find room, such as the heartbeat of a worker.
const UNCOUNTED: usize = 64 * 1024;

/// How many bytes a permit stands for.
const UNIT: usize = 1024;

/// The limits that all requests of a server share; clones share them too.
#[derive(Clone, Debug)]
pub struct Limits {
    units: Arc<Semaphore>,
    capacity: usize,
    reads: Arc<Semaphore>,
    body_timeout: Duration,
}

impl Limits {
    /// Makes the limits of a server as `settings` has them.
    pub fn new(settings: &ServerLimits) -> Self {
        let capacity = usize::from(settings.megabytes_in_flight) * 1024;
        Self {
            units: Arc::new(Semaphore::new(capacity)),
            capacity,
            reads: Arc::new(Semaphore::new(settings.reads_at_once.into())),
            body_timeout: settings.body_timeout,
        }
    }

    /// Starts to count something that grows.
    pub fn hold(&self) -> Held {
        Held { units: self.units.clone(), capacity: self.capacity, bytes: 0, permits: None }
    }

    /// Waits for its turn to read.
    pub(super) async fn turn_to_read(&self) -> Option<OwnedSemaphorePermit> {
        self.reads.clone().acquire_owned().await.ok()
    }
}

/// Something that is held in memory, and counted until this is dropped.
#[derive(Debug)]
pub struct Held {
    units: Arc<Semaphore>,
    capacity: usize,
    bytes: usize,
    permits: Option<OwnedSemaphorePermit>,
}

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Held {
    /// Counts `bytes` more.
    ///
    /// What alone exceeds the limit counts as all of it, and so passes when nothing else is held.
    ///
    /// # Errors
    /// [`Full`] if there is no room for them; they are not counted.
    pub fn add(&mut self, bytes: usize) -> Result<(), Full> {
        let counted = self.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = (self.bytes + bytes).saturating_sub(UNCOUNTED).div_ceil(UNIT).min(self.capacity);
        if wanted > counted {
            let more = u32::try_from(wanted - counted).map_err(|_| Full)?;
            let more = self.units.clone().try_acquire_many_owned(more).map_err(|_| Full)?;
            match &mut self.permits {
                Some(permits) => permits.merge(more),
                None => self.permits = Some(more),
            }
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Forgets what was counted, because it is no longer held.
    pub fn clear(&mut self) {
        self.bytes = 0;
        self.permits = None;
    }
}

/// Reads the body of a request of `largest` bytes at most, which is counted for as long as the second value lives.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::TooSlow`], [`Error::Busy`] if there is no room for it, or [`Error::BadRequest`] if the
/// client breaks off.
pub async fn collect(mut body: Body, largest: usize, limits: Option<&Limits>) -> Result<(Bytes, Option<Held>)> {
    let mut held = limits.map(Limits::hold);
    let (mut collected, mut progress) = (Collected::default(), 0);
    let mut deadline = limits.map(|limits| Instant::now() + limits.body_timeout);
    loop {
        let frame = match deadline {
            None => body.frame().await,
            Some(deadline) => timeout_at(deadline, body.frame())
                .await
                .map_err(|_| Error::TooSlow("The request's body takes too long to come".into()))?,
        };
        let Some(frame) = frame else { return Ok((collected.into(), held)) };
        let frame = frame.map_err(|error| Error::BadRequest(format!("Failed to buffer the request body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if collected.length() + data.len() > largest {
            return Err(Error::TooLarge(format!("The request is larger than {} MB", largest / (1024 * 1024))));
        }
        if let Some(held) = &mut held {
            held.add(data.len()).map_err(|Full| Error::Busy("requests and answers fill the memory for them"))?;
        }
        progress += data.len();
        if progress >= PROGRESS {
            progress = 0;
            deadline = limits.map(|limits| Instant::now() + limits.body_timeout);
        }
        collected.push(data);
    }
}

/// The parts of a body, of which a sole one is not copied.
#[derive(Default)]
enum Collected {
    #[default]
    Nothing,
    One(Bytes),
    Many(Vec<u8>),
}

impl Collected {
    fn length(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(part) => part.len(),
            Self::Many(parts) => parts.len(),
        }
    }

    fn push(&mut self, part: Bytes) {
        *self = match std::mem::take(self) {
            Self::Nothing => Self::One(part),
            Self::One(first) => Self::Many([first, part].concat()),
            Self::Many(mut parts) => {
                parts.extend_from_slice(&part);
                Self::Many(parts)
            }
        };
    }
}

impl From<Collected> for Bytes {
    fn from(collected: Collected) -> Self {
        match collected {
            Collected::Nothing => Self::new(),
            Collected::One(part) => part,
            Collected::Many(parts) => parts.into(),
        }
    }
}

/// Counts `response` until its last byte is written.
///
/// Where there is no room for the answer to a request that reads, it is dropped, and the client may ask again. What a
/// write has done is always answered: such answers are about as large as their requests.
pub(super) async fn count_answer(response: Response, reads: bool, limits: &Limits) -> Response {
    let size = response.body().size_hint().exact().and_then(|size| usize::try_from(size).ok());
    // An answer without a length is a download, made while it is sent, a part at a time.
    let Some(size) = size.filter(|size| *size > UNCOUNTED) else { return response };
    let mut held = limits.hold();
    if held.add(size) == Err(Full) && reads {
        return Error::Busy("requests and answers fill the memory for them").into_response();
    }
    let (parts, body) = response.into_parts();
    match axum::body::to_bytes(body, usize::MAX).await {
        Ok(bytes) => Response::from_parts(parts, Body::from(Bytes::from_owner(Counted { bytes, _held: held }))),
        Err(error) => Error::Internal(format!("an answer can't be read: {error}")).into_response(),
    }
}

/// The bytes of an answer. The server lets go of an answer's body before the socket has taken all of its bytes.
struct Counted {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::new(&ServerLimits { megabytes_in_flight: 1, ..ServerLimits::default() })
    }

    #[test]
    fn what_is_small_always_finds_room() {
        let limits = limits();
        let (mut large, mut small) = (limits.hold(), limits.hold());
        assert_eq!(large.add(10 * 1024 * UNIT), Ok(()), "what exceeds the limit passes where nothing else is held");
        assert_eq!(small.add(UNCOUNTED), Ok(()));
        assert_eq!(small.add(1), Err(Full));
        large.clear();
        assert_eq!(small.add(1), Ok(()));
    }

    #[test]
    fn what_grows_is_counted_once_and_until_it_is_dropped() {
        let limits = limits();
        let mut held = limits.hold();
        for _ in 0..10 {
            held.add(UNCOUNTED / 8).unwrap();
        }
        assert_eq!(limits.units.available_permits(), limits.capacity - 16);
        drop(held);
        assert_eq!(limits.units.available_permits(), limits.capacity);
    }

    #[tokio::test]
    async fn an_answer_is_counted_until_its_bytes_are_gone() {
        let limits = limits();
        let answer = || Response::new(Body::from(vec![b'x'; 600 * UNIT]));
        let body = count_answer(answer(), true, &limits).await.into_body();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        assert_eq!(count_answer(answer(), true, &limits).await.status(), 503);
        assert_eq!(count_answer(answer(), false, &limits).await.status(), 200, "a write is always answered");
        drop(bytes);
        assert_eq!(count_answer(answer(), true, &limits).await.status(), 200);
    }
}
