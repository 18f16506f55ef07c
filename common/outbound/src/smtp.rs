//! Submits mails to a mail server by SMTP.
//!
//! The client is lettre's, on a connection of ours: the host is judged and resolved as for a call by HTTP, and the TLS
//! is the same. After STARTTLS the client begins anew, so that nothing that came unencrypted is taken for an answer.
//! One session serves all mails of a submission, as servers count logins.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, AsyncTokioStream},
        commands::{Data, Mail as MailFrom, Quit, Rcpt, Rset, Starttls},
        extension::{ClientId, Extension},
        response::{Response, Severity},
    },
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Host;

use crate::{
    CallError, NOTIFICATION_LIMIT, REQUEST_LIMIT, Reach,
    client::{CONNECT_LIMIT, resolve, told},
    error::Result,
    request::TIME_LIMIT,
    submission::{Mail, MailServer, Security, Submission},
    tls::Tls,
};

/// The ports at which mail servers listen; where only public addresses are reached, no others are.
const MAIL_PORTS: [u16; 6] = [25, 465, 587, 2465, 2525, 2587];

/// How many bytes a server may answer in one session.
const SESSION_LIMIT: usize = 1024 * 1024;

/// How long the end of a session may take, after which nobody waits for anything.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

/// Submits mails within a reach.
pub(crate) struct SmtpClient {
    reach: Reach,
    tls: Arc<Tls>,
}

impl SmtpClient {
    pub(crate) fn new(reach: Reach, tls: Arc<Tls>) -> Self {
        Self { reach, tls }
    }

    /// Submits all mails, also if one of them fails, and returns a failure for each recipient that gets none.
    pub(crate) async fn send(&self, submission: &Submission) -> Vec<CallError> {
        let begin = Instant::now();
        let mut failures = Vec::new();
        let mut open = None;
        let mut mails = submission.mails.iter();
        while let Some(mail) = mails.next() {
            let limit = TIME_LIMIT.min(NOTIFICATION_LIMIT.saturating_sub(begin.elapsed()));
            if mail.content.len() > REQUEST_LIMIT {
                let failure = CallError::TooLarge { size: mail.content.len(), limit: REQUEST_LIMIT };
                failures.extend(mail.recipients.iter().map(|_| failure.clone()));
                continue;
            }
            let kept = open.take();
            let is_first = kept.is_none();
            let attempt = async {
                let mut session = match kept {
                    Some(session) => session,
                    None => self.open(submission).await.map_err(Failed::Opening)?,
                };
                let sent = session.send(&submission.sender, mail).await;
                Ok((session, sent))
            };
            match timeout(limit, attempt).await.unwrap_or(Err(Failed::TimedOut(limit))) {
                Ok((session, Ok(refused))) => {
                    failures.extend(refused);
                    open = Some(session);
                }
                Ok((mut session, Err(failure))) => {
                    failures.extend(mail.recipients.iter().map(|_| failure.clone()));
                    let is_refused = matches!(failure, CallError::Refused { .. });
                    if is_refused && timeout(FAREWELL_LIMIT, session.reset()).await.is_ok_and(|reset| reset.is_ok()) {
                        open = Some(session);
                    }
                }
                Err(failed) => {
                    let failure = failed.told();
                    failures.extend(mail.recipients.iter().map(|_| failure.clone()));
                    // A server that is not there, or refuses the login, is not asked again for each mail.
                    if is_first {
                        let rest = mails.by_ref().flat_map(|mail| &mail.recipients);
                        failures.extend(rest.map(|_| failure.clone()));
                    }
                }
            }
        }
        if let Some(mut session) = open {
            timeout(FAREWELL_LIMIT, session.connection.command(Quit)).await.ok();
        }
        failures
    }

    /// Connects to the server, encrypts the way to it and logs in.
    async fn open(&self, submission: &Submission) -> Result<Session> {
        let server = &submission.server;
        let reach = if submission.is_public_only { Reach::Public } else { self.reach };
        if reach == Reach::Public && !MAIL_PORTS.contains(&server.port) {
            return Err(CallError::Forbidden("its port is not one of mail servers"));
        }
        let connecting = async {
            let addresses = resolve(&server.host, server.port, reach).await?;
            TcpStream::connect(addresses.as_slice()).await.map_err(|failure| told(&failure))
        };
        let stream = timeout(CONNECT_LIMIT, connecting).await.unwrap_or(Err(CallError::TimedOut(CONNECT_LIMIT)))?;
        let peer = stream.peer_addr().map_err(|failure| told(&failure))?;
        let hello = ClientId::default();
        let connection = match server.security {
            Security::Insecure => greeted(Bounded::new(stream, peer), &hello).await?,
            Security::Tls => {
                let encrypting = timeout(CONNECT_LIMIT, self.encrypt(stream, server));
                let stream = encrypting.await.unwrap_or(Err(CallError::TimedOut(CONNECT_LIMIT)))?;
                greeted(Bounded::new(stream, peer), &hello).await?
            }
            Security::StartTls => {
                let stream = ask_for_tls(stream, peer, &hello).await?;
                let stream = self.encrypt(stream, server).await?;
                // The client waits for a greeting, and the server's came before.
                let stream = Bounded { ahead: b"220 encrypted\r\n", ..Bounded::new(stream, peer) };
                greeted(stream, &hello).await?
            }
        };
        let mut session = Session { connection };
        session.log_in(server).await?;
        Ok(session)
    }

    async fn encrypt<S>(&self, stream: S, server: &MailServer) -> Result<tokio_rustls::client::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match &server.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
            Host::Ipv4(address) => Some(ServerName::IpAddress(std::net::IpAddr::V4(*address).into())),
            Host::Ipv6(address) => Some(ServerName::IpAddress(std::net::IpAddr::V6(*address).into())),
        };
        let name = name.ok_or_else(|| CallError::Untrusted("no certificate can be for its name".to_owned()))?;
        let connector = TlsConnector::from(self.tls.config(server.verifies)?);
        connector.connect(name, stream).await.map_err(|failure| told(&failure))
    }
}

/// Why no session went on to answer about a mail.
enum Failed {
    Opening(CallError),
    TimedOut(Duration),
}

impl Failed {
    fn told(self) -> CallError {
        match self {
            Self::Opening(failure) => failure,
            Self::TimedOut(limit) => CallError::TimedOut(limit),
        }
    }
}

/// A conversation with a mail server that has accepted who talks to it.
struct Session {
    connection: AsyncSmtpConnection,
}

impl Session {
    async fn log_in(&mut self, server: &MailServer) -> Result<()> {
        let Some(login) = &server.login else { return Ok(()) };
        if self.connection.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
            let reason = "its mail server takes no login by a password, or only on an encrypted way.".to_owned();
            return Err(CallError::Misconfigured { block: "The mail", reason });
        }
        let credentials = Credentials::new(login.user.clone(), login.password.clone());
        let answer = self.connection.auth(DEFAULT_MECHANISMS, &credentials).await;
        completed(answer.map_err(|failure| failed("the login", &failure))?)
    }

    /// Submits a mail and returns a failure for each recipient that the server refuses, if it takes it for others.
    async fn send(&mut self, sender: &Address, mail: &Mail) -> Result<Vec<CallError>> {
        let answer = self.connection.command(MailFrom::new(Some(sender.clone()), Vec::new())).await;
        completed(answer.map_err(|failure| failed("the sender", &failure))?)?;
        let mut refused = Vec::new();
        for recipient in &mail.recipients {
            let answer = self.connection.command(Rcpt::new(recipient.clone(), Vec::new())).await;
            match answer.map_err(|failure| failed("a recipient", &failure)) {
                Ok(answer) => completed(answer)?,
                Err(failure @ CallError::Refused { .. }) => refused.push(failure),
                Err(failure) => return Err(failure),
            }
        }
        if refused.len() == mail.recipients.len() {
            self.reset().await?;
            return Ok(refused);
        }
        let answer = self.connection.command(Data).await.map_err(|failure| failed("the mail", &failure))?;
        if !answer.has_code(354) {
            return Err(CallError::NotSmtp);
        }
        let answer = self.connection.message(&mail.content).await;
        completed(answer.map_err(|failure| failed("the mail", &failure))?)?;
        Ok(refused)
    }

    /// Makes the server forget a mail that was begun.
    async fn reset(&mut self) -> Result<()> {
        let answer = self.connection.command(Rset).await;
        completed(answer.map_err(|failure| failed("the connection", &failure))?)
    }
}

/// Waits for the server's greeting and greets it.
async fn greeted<S>(stream: Bounded<S>, hello: &ClientId) -> Result<AsyncSmtpConnection>
where
    Bounded<S>: AsyncTokioStream + 'static,
{
    let connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), hello).await;
    connection.map_err(|failure| failed("the connection", &failure))
}

/// Asks the server to encrypt the way to it, and returns the way.
async fn ask_for_tls(stream: TcpStream, peer: SocketAddr, hello: &ClientId) -> Result<TcpStream> {
    let (back, mut returned) = oneshot::channel();
    let lent = Lent { stream: Some(stream), back: Some(back) };
    let mut connection = greeted(Bounded::new(lent, peer), hello).await?;
    if !connection.server_info().supports_feature(Extension::StartTls) {
        return Err(CallError::Untrusted("its mail server does not encrypt by STARTTLS".to_owned()));
    }
    let answer = connection.command(Starttls).await.map_err(|failure| failed("the encryption", &failure))?;
    if !answer.has_code(220) {
        return Err(CallError::NotSmtp);
    }
    // What was read already and is unencrypted goes with the connection.
    drop(connection);
    returned.try_recv().map_err(|_| CallError::Unreachable("it broke off".to_owned()))
}

/// Checks that the server did what it was asked for.
#[allow(clippy::needless_pass_by_value, reason = "it is what an exchange gives")]
fn completed(answer: Response) -> Result<()> {
    let is_completed = answer.code().severity == Severity::PositiveCompletion;
    if is_completed { Ok(()) } else { Err(CallError::NotSmtp) }
}

/// Tells what the server refused, or why there was no answer, without any text of the server's.
fn failed(what: &'static str, failure: &Error) -> CallError {
    match failure.status() {
        Some(code) => CallError::Refused { what, code: code.into() },
        None if failure.is_response() || is_flood(failure) => CallError::NotSmtp,
        None => told(failure),
    }
}

/// The end of what is read of a server that answers without end.
#[derive(Debug, thiserror::Error)]
#[error("the server answers without end")]
struct Flood;

fn is_flood(failure: &Error) -> bool {
    let source = std::error::Error::source(failure).and_then(|source| source.downcast_ref::<io::Error>());
    source.and_then(io::Error::get_ref).is_some_and(<dyn std::error::Error + Send + Sync>::is::<Flood>)
}

/// A connection of which no more than a bound is read, and whose end is an error.
#[derive(Debug)]
struct Bounded<S> {
    stream: S,
    peer: SocketAddr,
    /// What is read before anything of the stream.
    ahead: &'static [u8],
    left: usize,
}

impl<S> Bounded<S> {
    const fn new(stream: S, peer: SocketAddr) -> Self {
        Self { stream, peer, ahead: b"", left: SESSION_LIMIT }
    }
}

impl<S> AsyncTokioStream for Bounded<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let (now, later) = self.ahead.split_at(self.ahead.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.ahead = later;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        Poll::Ready(match self.left.checked_sub(read) {
            _ if read == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(io::Error::other(Flood)),
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A connection that goes back to its owner when the client is done with it.
#[derive(Debug)]
struct Lent {
    stream: Option<TcpStream>,
    back: Option<oneshot::Sender<TcpStream>>,
}

impl Lent {
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(stream), Some(back)) = (self.stream.take(), self.back.take()) {
            // Whoever waits for nothing lets the connection end.
            back.send(stream).ok();
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Lent {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}
