//! The local server as a process of its own, and raw connections to it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test uses a part, and fails by panicking"
)]

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

/// A server on a free port, which ends with the test.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts the server with these arguments and variables beside those that every test needs.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_proctor"));
        command.args(arguments).envs(variables.iter().copied());
        Self::from(command)
    }

    /// Starts `command`, which is to run the server on port 0.
    pub fn from(mut command: Command) -> Self {
        let command = command.env("PREFECT_SERVER_API_PORT", "0").env("PREFECT_SERVER_API_HOST", "127.0.0.1");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("Proctor listens on ").expect(&line).parse().unwrap();
        // What else it prints must not fill the pipe.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Self { child, address }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how much memory the server holds, in MB.
    pub fn resident_megabytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Returns how many connections the server has open.
    pub fn open_connections(&self) -> usize {
        let port = format!(":{:04X} ", self.address.port());
        let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", self.id())).unwrap();
        let established = |line: &&str| {
            let local = line.split_whitespace().nth(1).unwrap_or_default();
            format!("{local} ").ends_with(&port) && line.split_whitespace().nth(3) == Some("01")
        };
        table.lines().filter(established).count()
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request on a connection of its own; returns the status and the whole answer.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = self.connect().await;
        stream.write_all(request(method, path, "connection: close\r\n", body).as_bytes()).await.unwrap();
        let answer = rest_of(&mut stream).await;
        (status(&answer), answer)
    }

    /// Waits until `GET path` is answered with `expected`.
    pub async fn wait_for(&self, path: &str, expected: u16) {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let (status, answer) = self.ask("GET", path, "").await;
            if status == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{path} still answers {answer}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Asks the server to stop; returns how long that took.
    pub fn stop(mut self) -> Duration {
        let started = Instant::now();
        Command::new("kill").arg(self.id().to_string()).status().unwrap();
        self.child.wait().unwrap();
        started.elapsed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a request.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         {headers}\r\n{body}"
    )
}

/// Reads until the server closes the connection.
pub async fn rest_of(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset is closed as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Returns the status of an answer; 0 if there is none.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// A directory that is gone with the test.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("proctor-{}", Uuid::new_v4()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
