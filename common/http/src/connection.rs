//! A client's connection: what ends where the client takes nothing, and what was read of it.
//!
//! `tokio-io-timeout` also ends a write that takes too long, but takes one byte for progress: a client that reads byte
//! by byte would hold a large answer for days.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::Sleep,
};

use crate::limits::{Full, Held, Limits, PROGRESS};

/// The connection of a client, which is one of those that there may be at once for as long as it lives.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    write_timeout: Duration,
    stall: Option<Stall>,
    meter: Meter,
    _admission: OwnedSemaphorePermit,
}

/// A time in which a client must take something, and how much it has taken.
#[derive(Debug)]
struct Stall {
    end: Pin<Box<Sleep>>,
    taken: usize,
}

impl Connection {
    /// Takes over `stream`, whose client must take something within each `write_timeout`.
    pub fn new(stream: TcpStream, write_timeout: Duration, admission: OwnedSemaphorePermit) -> Self {
        Self { stream, write_timeout, stall: None, meter: Meter::default(), _admission: admission }
    }

    /// Returns what tells of the bytes that are read.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// Ends a write for which the client has no room for too long.
    fn within_time(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(stall) = &mut self.stall {
                    stall.taken += bytes;
                    if stall.taken >= PROGRESS {
                        self.stall = None;
                    }
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let begin = || Stall { end: Box::pin(tokio::time::sleep(self.write_timeout)), taken: 0 };
                ready!(self.stall.get_or_insert_with(begin).end.as_mut().poll(context));
                Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client does not read")))
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let bytes = buffer.filled().len() - before;
        Poll::Ready(self.meter.count(bytes).map_err(|Full| io::Error::other("messages fill the memory for them")))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.within_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Whoever flushes has written everything, so the client owes nothing.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stall = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What was read of a connection; clones tell of the same one.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Mutex<Reading>>);

#[derive(Debug)]
struct Reading {
    last: Instant,
    /// What was read and is not worked off, where that is counted.
    held: Option<Held>,
}

impl Default for Meter {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Reading { last: Instant::now(), held: None })))
    }
}

impl Meter {
    /// Counts what is read from here on, until it [is worked off](Self::worked_off).
    ///
    /// A websocket's messages are put together where only the connection sees their size. The bodies of requests are
    /// counted where they are read.
    pub fn start_counting(&self, limits: &Limits) {
        self.reading().held = Some(limits.hold());
    }

    /// Says that nothing of what was read is held.
    pub fn worked_off(&self) {
        if let Some(held) = &mut self.reading().held {
            held.clear();
        }
    }

    /// Returns when the client last sent anything, be it a part of a message.
    pub fn last_read(&self) -> Instant {
        self.reading().last
    }

    fn count(&self, bytes: usize) -> Result<(), Full> {
        let mut reading = self.reading();
        reading.last = Instant::now();
        reading.held.as_mut().map_or(Ok(()), |held| held.add(bytes))
    }

    fn reading(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
