//! `/ready` says whether the database takes writes, and whose its files are.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use support::{Directory, Server};

/// A user without rights: to the superuser no file is read-only.
const NOBODY: u32 = 65_534;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Returns the command that runs the server on the data in `directory` as somebody for whom files may be read-only.
fn unprivileged(directory: &Path) -> Command {
    let is_superuser = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut binary = Path::new(env!("CARGO_BIN_EXE_proctor")).to_owned();
    if is_superuser {
        // Where the build is, nobody may come.
        let copy = directory.join("proctor");
        if !copy.exists() {
            // Not by this process: a child that another test starts meanwhile would hold the copy open for writing.
            assert!(Command::new("cp").args([&binary, &copy]).status().unwrap().success());
        }
        binary = copy;
        chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let mut command = Command::new(binary);
    if is_superuser {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.arg("--data").arg(directory.join("data")).env("PREFECT_SERVER_LOGGING_LEVEL", "off");
    command
}

async fn write(server: &Server, name: &str) -> u16 {
    server.ask("POST", "/api/flows/", &format!(r#"{{"name": "{name}"}}"#)).await.0
}

#[tokio::test]
async fn a_read_only_file_is_not_ready_until_it_can_be_written_again() {
    let directory = Directory::new();
    let server = Server::from(unprivileged(directory.path()));
    assert_eq!((server.ask("GET", "/api/ready", "").await.0, write(&server, "one").await), (200, 201));
    server.stop();
    let data = directory.path().join("data");
    let file = data.join("proctor.db");
    assert_eq!((mode(&data), mode(&file)), (0o700, 0o600));

    fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
    let server = Server::from(unprivileged(directory.path()));
    assert_eq!(mode(&file), 0o400, "what others may is taken from them, and nothing is added");
    let (status, answer) = server.ask("GET", "/api/ready", "").await;
    assert_eq!(status, 503);
    assert!(answer.ends_with(r#"{"message":"Database is not available"}"#), "{answer}");
    assert_eq!((server.ask("GET", "/api/health", "").await.0, write(&server, "two").await), (200, 503));
    assert!(server.ask("POST", "/api/flows/filter", "{}").await.1.contains(r#""name":"one""#), "reads go on");

    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    server.wait_for("/api/ready", 200).await;
    assert_eq!(write(&server, "two").await, 201);
}

#[tokio::test]
async fn a_full_disk_is_not_ready_until_there_is_room_again() {
    let directory = Directory::new();
    let mut command = Command::new("sh");
    // The write that exceeds the limit fails, as it does on a full disk, in place of ending the process.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(env!("CARGO_BIN_EXE_proctor"));
    command.arg("--data").arg(directory.path()).arg("--no-services").env("PREFECT_SERVER_LOGGING_LEVEL", "off");
    let server = Server::from(command);
    assert_eq!((server.ask("GET", "/api/ready", "").await.0, write(&server, "one").await), (200, 201));

    let limit = |bytes: &str| {
        let (process, limit) = (server.id().to_string(), format!("--fsize={bytes}"));
        assert!(Command::new("prlimit").args(["--pid", &process, &limit]).status().unwrap().success());
    };
    limit("4096:unlimited");
    assert_eq!(write(&server, "two").await, 503);
    assert_eq!(server.ask("GET", "/api/ready", "").await.0, 503);
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(server.ask("GET", "/api/ready", "").await.0, 503, "the file is tried again, and fails");

    limit("unlimited:unlimited");
    server.wait_for("/api/ready", 200).await;
    assert_eq!(write(&server, "two").await, 201);
}
