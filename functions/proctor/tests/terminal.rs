//! What commands show: bars on a terminal, lines elsewhere, documents for programs, and errors with the next step.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Read},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use common::{
    App, Settings, Store, dead_letters,
    domain::access::key,
    model::{Flow, FlowId, Timestamp},
    store::{Item, Key, Write},
};
use rustix::pty::{self, OpenptFlags};
use serde_json::Value;
use tempfile::TempDir;

/// What begins the sequences by which a terminal is drawn on.
const ESCAPE: char = '\u{1b}';

/// The program in an environment that says nothing of terminals, colours, AWS or Proctor.
fn proctor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proctor"));
    command.args(arguments).stdin(Stdio::null()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// The program, to work on the database in `data`.
fn on(data: &Path, arguments: &[&str]) -> Command {
    let mut command = proctor(arguments);
    command.arg("--data").arg(data);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs `command`, which must succeed; returns its document.
fn document(mut command: Command) -> Value {
    let Output { status, stdout, stderr } = command.arg("--json").output().unwrap();
    assert_eq!(status.code(), Some(0), "{}", text(&stderr));
    serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&stdout)))
}

/// Runs `command` with standard error, and standard output as well if `all`, on a terminal.
///
/// Returns what was printed, and what the terminal got.
fn on_terminal(mut command: Command, all: bool) -> (Output, String) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = pty::openpt(flags).unwrap();
    pty::grantpt(&terminal).unwrap();
    pty::unlockpt(&terminal).unwrap();
    let name = pty::ptsname(&terminal, Vec::new()).unwrap();
    let side = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let reader = thread::spawn(move || {
        let (mut terminal, mut got, mut part) = (File::from(terminal), Vec::new(), [0; 4096]);
        // The end is an error: nobody has the other side any more.
        while let Ok(read @ 1..) = terminal.read(&mut part) {
            got.extend_from_slice(&part[..read]);
        }
        got
    });
    let out = if all { side.try_clone().unwrap().into() } else { Stdio::piped() };
    let child = command.stdout(out).stderr(side).spawn().unwrap();
    // It has this end of the terminal open as well.
    drop(command);
    let output = child.wait_with_output().unwrap();
    (output, text(&reader.join().unwrap()))
}

fn xterm(mut command: Command) -> Command {
    command.env("TERM", "xterm-256color");
    command
}

/// The names of fields that the documents say the document of `command` has.
fn documented(command: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/using.md");
    let documents = fs::read_to_string(path).unwrap();
    let row = |line: &&str| line.split('|').nth(1).is_some_and(|of| of.contains(&format!("`{command}`")));
    let line = documents.lines().filter(|line| line.starts_with("| ")).filter(row).find(|line| line.contains("object"));
    let line = line.expect(command).split_once("object").unwrap().1;
    // What is in parentheses are values.
    let (mut fields, mut rest) = (BTreeSet::new(), line.to_owned());
    while let Some((before, behind)) = rest.clone().split_once('(') {
        rest = format!("{before}{}", behind.split_once(')').unwrap().1);
    }
    for (place, part) in rest.split('`').enumerate() {
        if place % 2 == 1 {
            fields.insert(part.to_owned());
        }
    }
    fields
}

#[track_caller]
fn has_documented_fields(document: &Value, command: &str) {
    let fields: BTreeSet<String> = document.as_object().expect("it is an object").keys().cloned().collect();
    assert_eq!(fields, documented(command), "{command}");
}

/// Puts an item into the database that no version has written.
async fn damage(data: &Path) {
    let key = Key { pk: "nonsense".into(), sk: "x".into() };
    let flow = store(data).item(&Flow::new(FlowId::new(), "flow", Timestamp::now()), 1).unwrap();
    store(data).commit(vec![Write::Put(Item { key, index_keys: BTreeMap::new(), ..flow })]).await.unwrap();
}

fn store(data: &Path) -> Store {
    let database = sqlite::Database::open(&data.join("proctor.db"), sqlite::Mode::Beside).unwrap();
    Store::on(database, Settings { shards: 1, ..Settings::default() }.shards)
}

#[test]
fn a_terminal_sees_a_bar_and_a_program_the_outcome() {
    let place = TempDir::new().unwrap();
    let (output, drawn) = on_terminal(xterm(on(place.path(), &["check"])), false);
    for part in ["Checking the database [", " 0/0 items (", "/s, ", " left)"] {
        assert!(drawn.contains(part), "{part:?} in {drawn:?}");
    }
    assert_eq!(text(&output.stdout), "0 items, 0 with something wrong, 0 mended\n");
    assert!(drawn.trim_end_matches('\r').ends_with("\u{1b}[2K"), "the bar is taken away: {drawn:?}");

    let (_, drawn) = on_terminal(xterm(on(place.path(), &["check"])), true);
    let after_the_bar = drawn.rsplit("\u{1b}[2K").next().unwrap();
    assert_eq!(after_the_bar.trim_start_matches('\r'), "0 items, 0 with something wrong, 0 mended\r\n", "{drawn:?}");
}

#[test]
fn nothing_is_drawn_where_it_is_not_wanted() {
    let place = TempDir::new().unwrap();
    let silent = on(place.path(), &["check"]).output().unwrap();
    assert_eq!((text(&silent.stderr), silent.stdout.contains(&b'\x1b')), (String::new(), false));
    let (_, drawn) = on_terminal(xterm(on(place.path(), &["check", "--quiet"])), false);
    assert_eq!(drawn, "");
    let mut dumb = on(place.path(), &["check"]);
    dumb.env("TERM", "dumb");
    assert_eq!(on_terminal(dumb, false).1, "");
}

#[tokio::test]
async fn findings_are_whole_lines_beside_the_bar() {
    let place = TempDir::new().unwrap();
    document(on(place.path(), &["check"]));
    damage(place.path()).await;
    let (output, drawn) = on_terminal(xterm(on(place.path(), &["check"])), true);
    assert_eq!(output.status.code(), Some(1));
    let finding = "nonsense / x: its key is of no kind that there is\r\n";
    let start = drawn.find(finding).expect(&drawn);
    assert!(start == 0 || drawn[..start].ends_with(['\n', '\r', 'K']), "{drawn:?}");
}

#[test]
fn colours_are_left_out_on_request() {
    let (_, coloured) = on_terminal(xterm(proctor(&["--help"])), true);
    assert!(coloured.contains(ESCAPE), "a terminal has colours");
    let mut plain = xterm(proctor(&["--help"]));
    plain.env("NO_COLOR", "1");
    let (_, plain) = on_terminal(plain, true);
    assert!(plain.contains("Usage:") && !plain.contains(ESCAPE), "{plain:?}");
    let place = TempDir::new().unwrap();
    let mut check = xterm(on(place.path(), &["check"]));
    check.env("NO_COLOR", "1");
    let (_, drawn) = on_terminal(check, false);
    let colours = drawn.split("\u{1b}[").skip(1).filter(|sequence| {
        sequence.find(|end: char| end.is_ascii_alphabetic()).is_some_and(|end| sequence[end..].starts_with('m'))
    });
    assert_eq!(colours.count(), 0, "{drawn:?}");
}

/// A Python that takes its time before it finds no Prefect.
#[test]
fn slow_work_without_a_terminal_says_so_every_few_seconds() {
    let place = TempDir::new().unwrap();
    let python = place.path().join("python3");
    fs::write(&python, "#!/bin/sh\nsleep 7\necho null\n").unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let from = python.to_str().unwrap();
    let quiet = thread::spawn({
        let mut command = on(place.path(), &["assets", "--quiet", "--from", from]);
        move || command.output().unwrap()
    });
    let output = on(place.path(), &["assets", "--from", from]).output().unwrap();
    let told = text(&output.stderr);
    let progress: Vec<&str> = told.lines().filter(|line| !line.starts_with("proctor: ")).collect();
    assert!(matches!(progress[..], ["Looking for Prefect: 4 s" | "Looking for Prefect: 5 s"]), "{told}");
    assert!(text(&quiet.join().unwrap().stderr).starts_with("proctor: can't take Prefect's data from"));
}

#[test]
fn each_shell_has_its_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = proctor(&["completions", shell]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        let script = text(&output.stdout);
        for word in ["assets", "data-keys", "dead-letters", "rotate", "--json", "--key-file"] {
            assert!(script.contains(word.trim_start_matches("--")), "{shell} does not know {word}");
        }
    }
    assert_eq!(proctor(&["completions", "cmd"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn bash_reads_its_script_and_completes() {
    let place = TempDir::new().unwrap();
    let script = place.path().join("proctor.bash");
    fs::write(&script, proctor(&["completions", "bash"]).output().unwrap().stdout).unwrap();
    let parsed = Command::new("bash").arg("-n").arg(&script).output().unwrap();
    assert!(parsed.status.success() && parsed.stderr.is_empty(), "{}", text(&parsed.stderr));
    for (words, word, offered) in [
        ("proctor d", "d", "data-keys dead-letters"),
        ("proctor keys create --role ", "", "read-only worker admin"),
        ("proctor completions p", "p", "powershell"),
    ] {
        let complete = r#"source "$1"; COMP_WORDS=($2); [ -n "$3" ] || COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _proctor proctor "$3" "${COMP_WORDS[COMP_CWORD - 1]}"; echo "${COMPREPLY[@]}""#;
        let arguments = ["-c", complete, "bash", script.to_str().unwrap(), words, word];
        let completed = Command::new("bash").args(arguments).output().unwrap();
        assert_eq!(text(&completed.stdout).trim(), offered, "{words:?}: {}", text(&completed.stderr));
    }
}

#[test]
fn keys_are_documents_without_their_secrets() {
    let place = TempDir::new().unwrap();
    let run = |arguments: &[&str]| document(on(place.path(), arguments));
    assert_eq!(run(&["keys", "list"]), Value::Array(vec![]));
    let created = run(&["keys", "create", "--role", "read-only", "--name", "ci", "--expires-in", "1d"]);
    has_documented_fields(&created, "keys create");
    let secret = created["key"].as_str().unwrap();
    let id = created["id"].as_str().unwrap();
    assert!(key::id(secret).is_some() && secret.starts_with(id));

    let listed = run(&["keys", "list"]);
    let [known] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    has_documented_fields(known, "keys list");
    assert_eq!((&known["id"], &known["name"], &known["role"]), (&id.into(), &"ci".into(), &"read-only".into()));
    assert_eq!((&known["status"], &known["revoked"]), (&"active".into(), &Value::Null));
    assert!(known["expiration"].as_str().unwrap() > known["created"].as_str().unwrap());
    let expired = run(&["keys", "expire", id, "--in", "0s"]);
    has_documented_fields(&expired, "keys expire");
    assert_eq!(expired["status"], "expired");
    let revoked = run(&["keys", "revoke", id]);
    has_documented_fields(&revoked, "keys revoke");
    assert_eq!(revoked["status"], "revoked");
    for document in [listed, expired, revoked] {
        let text = document.to_string();
        assert!(!text.contains(secret) && !text.contains(&key::digest(secret)), "{text}");
    }
}

#[tokio::test]
async fn a_check_is_a_document_and_fails_while_something_is_wrong() {
    let place = TempDir::new().unwrap();
    document(on(place.path(), &["keys", "create", "--role", "admin", "--name", "me"]));
    let well = document(on(place.path(), &["check"]));
    has_documented_fields(&well, "check");
    assert!(well["items"].as_u64().unwrap() > 0 && well["findings"] == Value::Array(vec![]), "{well}");
    damage(place.path()).await;
    for (arguments, step) in [(["check"].as_slice(), "check --repair"), (&["check", "--repair"], "over the API")] {
        let output = on(place.path(), arguments).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(step), "{}", text(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&found["found"], &found["mended"]), (&1.into(), &0.into()));
        has_documented_fields(&found["findings"][0], "findings");
        assert_eq!(
            (&found["findings"][0]["pk"], &found["findings"][0]["problem"]),
            (&"nonsense".into(), &"unknown_kind".into())
        );
    }
}

#[test]
fn data_keys_are_documents_without_the_keys() {
    let place = TempDir::new().unwrap();
    let run = |arguments: &[&str]| document(on(place.path(), arguments));
    let empty = run(&["data-keys", "list"]);
    has_documented_fields(&empty, "data-keys list");
    let rotated = run(&["data-keys", "rotate"]);
    has_documented_fields(&rotated, "data-keys rotate");
    assert_eq!(rotated["resealed"], 0);
    let listed = run(&["data-keys", "list"]);
    let [known] = listed["keys"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    has_documented_fields(known, "keys");
    assert_eq!((&known["id"], &known["is_in_use"]), (&rotated["in_use"], &true.into()));
    let forgotten = run(&["data-keys", "forget"]);
    has_documented_fields(&forgotten, "data-keys forget");
    assert_eq!(forgotten["forgotten"], Value::Array(vec![]));
    let file = fs::read_to_string(place.path().join("proctor.key")).unwrap();
    for key in serde_json::from_str::<Value>(&file).unwrap()["keys"].as_array().unwrap() {
        let secret = key["key"].as_str().unwrap();
        assert!(![&empty, &rotated, &listed].iter().any(|document| document.to_string().contains(secret)));
    }
}

#[tokio::test]
async fn dead_letters_are_documents() {
    let place = TempDir::new().unwrap();
    let run = |arguments: &[&str]| document(on(place.path(), arguments));
    assert_eq!(run(&["dead-letters", "list"]), Value::Array(vec![]));
    {
        let app = App::new(store(place.path()), Settings { shards: 1, ..Settings::default() });
        for number in 0..3 {
            dead_letters::put_text_aside(&app, &format!("no message {number}"), "it is no JSON").await.unwrap();
        }
    }
    let listed = run(&["dead-letters", "list"]);
    let letters = listed.as_array().unwrap();
    assert_eq!(letters.len(), 3);
    has_documented_fields(&letters[0], "dead-letters list");
    assert_eq!((&letters[0]["kind"], &letters[0]["reason"]), (&"message".into(), &"it is no JSON".into()));
    let id = letters[0]["id"].as_str().unwrap();
    let redriven = run(&["dead-letters", "redrive", id]);
    has_documented_fields(&redriven, "dead-letters redrive");
    assert_eq!(redriven["redriven"], serde_json::json!([id]));
    assert_eq!(run(&["dead-letters", "redrive"])["redriven"].as_array().unwrap().len(), 3);
    let deleted = run(&["dead-letters", "delete", id]);
    has_documented_fields(&deleted, "dead-letters delete");
    assert_eq!((&deleted["deleted"], run(&["dead-letters", "list"]).as_array().unwrap().len()), (&id.into(), 2));
}

/// Runs `command`, which must fail with this exit code and print nothing but why, in these words.
#[track_caller]
fn fails(mut command: Command, code: i32, words: &[&str]) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let told = text(&stderr);
    assert_eq!((status.code(), text(&stdout)), (Some(code), String::new()), "{told}");
    for word in words {
        assert!(told.contains(word), "{word:?} in {told}");
    }
    // What else may be said: that a key file was made, and what the log warns of.
    let is_why = |line: &&str| !line.contains(" WARN ") && !line.starts_with("proctor: made ");
    let lines: Vec<&str> = told.lines().filter(is_why).collect();
    assert!(matches!(lines.as_slice(), [line] if line.starts_with("proctor: can't ")), "{told}");
}

#[test]
fn every_error_says_what_was_tried_why_it_failed_and_what_to_do() {
    let place = TempDir::new().unwrap();
    let data = place.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fails(on(&data, &["--port", &port]), 1, &["listen on port", "another server", "with --port"]);
    let database_port = ["--port", "0", "--database-port", &port];
    fails(on(&data, &database_port), 1, &["listen on port", "another server", "with --database-port"]);
    fails(on(&data, &["--host", "192.0.2.1"]), 1, &["listen on 192.0.2.1", "--host"]);

    let unknown = "01980000-0000-7000-8000-000000000001";
    fails(on(&data, &["keys", "revoke", unknown]), 1, &["revoke the API key: there is no key", "`proctor keys list`"]);
    fails(on(&data, &["keys", "expire", unknown, "--in", "1d"]), 1, &["there is no key", "`proctor keys list`"]);
    for action in ["redrive", "delete"] {
        let words = ["the dead letter", "not found", "`proctor dead-letters list`"];
        fails(on(&data, &["dead-letters", action, unknown]), 1, &words);
    }

    let file = place.path().join("file");
    fs::write(&file, "no directory").unwrap();
    fails(on(&file.join("data"), &["check"]), 1, &["use the directory", "--data"]);
    let broken = place.path().join("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("proctor.db"), "no database ".repeat(1_000)).unwrap();
    fails(on(&broken, &["keys", "list"]), 1, &["open the database", "proctor.db", "--data"]);
    fails(on(&data, &["assets", "--from", file.to_str().unwrap()]), 1, &["can't run", "--from"]);
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let none = on(&data, &["assets", "--from", empty.to_str().unwrap()]);
    fails(none, 1, &["there is no Prefect package", "--from"]);
}

#[test]
fn a_table_that_can_t_be_reached_names_what_to_look_at() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (arguments, tried) in [
        (["keys", "list"].as_slice(), "list the API keys"),
        (&["check"], "check the database"),
        (&["dead-letters", "list"], "list the dead letters"),
        (&["data-keys", "list"], "list the data keys"),
    ] {
        let mut command = proctor(arguments);
        command.args(["--table", "records"]).env("AWS_ENDPOINT_URL", format!("http://{closed}"));
        command.envs([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "eu-west-1")]);
        command.envs([("AWS_MAX_ATTEMPTS", "1"), ("AWS_EC2_METADATA_DISABLED", "true")]);
        fails(command, 1, &[tried, "Connection refused", "AWS_REGION", "repeat the command"]);
    }
}

#[test]
fn misuse_has_its_own_exit_code() {
    let place = TempDir::new().unwrap();
    let mut in_memory = on(place.path(), &["--in-memory"]);
    in_memory.args(["keys", "list"]);
    fails(in_memory, 2, &["in memory", "Leave --in-memory out"]);
    for arguments in [[].as_slice(), &["keys", "list"], &["data-keys", "list"]] {
        let mut setting = on(place.path(), arguments);
        setting.env("PROCTOR_AUTH_MODE", "guess").env("PREFECT_SERVER_API_PORT", "0");
        fails(setting, 2, &["PROCTOR_AUTH_MODE", "none, basic, keys", "unset it"]);
    }
    for arguments in [["keys", "create"], ["keys", "frobnicate"], ["check", "--jsno"], ["completions", "cmd"]] {
        let output = on(place.path(), &arguments).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        assert!(text(&output.stderr).contains("--help"), "{arguments:?}");
    }
}

#[test]
fn an_outcome_that_can_t_be_written_is_a_failure_and_one_that_nobody_reads_is_none() {
    let place = TempDir::new().unwrap();
    let create = ["keys", "create", "--role", "admin", "--name", "me"];
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let nobody = || io::pipe().unwrap().1;
    let run = |arguments: &[&str], out: Stdio| on(place.path(), arguments).stdout(out).output().unwrap();
    for arguments in [["keys", "list"].as_slice(), &["check"], &["data-keys", "list"], &["completions", "bash"]] {
        let output = run(arguments, full().into());
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("can't write to standard output: No space left"), "{told}");
        let output = run(arguments, nobody().into());
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    }
    for out in [Stdio::from(full()), nobody().into()] {
        let told = text(&run(&create, out).stderr);
        let id = told.split("`proctor keys revoke ").nth(1).expect(&told).split('`').next().unwrap();
        assert!(on(place.path(), &["keys", "revoke", id]).output().unwrap().status.success(), "{told}");
    }
}
