//! The command `assets`, on packages that a test has made: each fault is named, and leaves what was there.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a package of the right form, whose modules declare nothing that Prefect's do.
fn package(version: &str) -> Files {
    let modules = ["blocks/abstract", "blocks/webhook", "blocks/system", "filesystems", "blocks/notifications"];
    let modules = modules.map(|module| (format!("prefect/{module}.py"), "raise SystemExit('it was run')\n".to_owned()));
    let others = [
        ("prefect/__init__.py", "raise SystemExit('it was run')\n".to_owned()),
        ("prefect/server/collection_blocks_data.json", r#"{"collections": {}}"#.to_owned()),
        ("prefect/server/api/collections_data/views/aggregate-worker-metadata.json", "{}".to_owned()),
        ("prefect/server/ui/index.html", "<html>".to_owned()),
        ("prefect/server/ui-v2/index.html", "<html>".to_owned()),
        ("prefect-0.dist-info/METADATA", format!("Metadata-Version: 2.5\nName: prefect\nVersion: {version}\n\ntext\n")),
        ("prefect-0.dist-info/licenses/LICENSE", "Apache".to_owned()),
    ];
    let others = others.map(|(path, text)| (path.to_owned(), text));
    modules.into_iter().chain(others).map(|(path, text)| (path, text.into_bytes())).collect()
}

/// Adds the list of the files, as pip and wheels have it.
fn recorded(mut files: Files) -> Files {
    let line = |(path, content): (&String, &Vec<u8>)| {
        format!("{path},sha256={},{}\n", URL_SAFE_NO_PAD.encode(Sha256::digest(content)), content.len())
    };
    let list: String = files.iter().map(line).collect();
    files.insert("prefect-0.dist-info/RECORD".into(), list.into_bytes());
    files
}

/// Packs a wheel by Python, which the command needs too.
fn wheel(directory: &Path, files: &Files) -> PathBuf {
    const PACK: &str = "import json, sys, zipfile\n\
        with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as wheel:\n    \
            for name, content in json.load(sys.stdin).items(): wheel.writestr(name, bytes(content))";
    let path = directory.join("prefect.whl");
    let mut packing =
        Command::new("python3").args(["-c", PACK]).arg(&path).stdin(Stdio::piped()).spawn().expect("python3 starts");
    packing.stdin.take().unwrap().write_all(&serde_json::to_vec(files).unwrap()).unwrap();
    assert!(packing.wait().unwrap().success());
    path
}

fn installed(directory: &Path, files: &Files) -> PathBuf {
    let folder = directory.join("site-packages");
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn assets(from: &Path, into: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proctor"));
    command.arg("assets").arg("--from").arg(from).arg("--into").arg(into).output().unwrap()
}

/// Checks that the command fails in these words, and leaves the folder and what is beside it.
fn fails(from: &Path, words: &str) {
    let place = TempDir::new().unwrap();
    let folder = place.path().join("assets");
    fs::create_dir(&folder).unwrap();
    for folder in [&folder, &place.path().join("none")] {
        let output = assets(from, folder);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(words), "{words:?} in {told:?}");
    }
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["assets"]);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn another_release_is_refused() {
    let place = TempDir::new().unwrap();
    let files = recorded(package("3.8.8"));
    fails(&wheel(place.path(), &files), "has Prefect 3.8.8");
    fails(&installed(place.path(), &files), "has Prefect 3.8.8");
}

#[test]
fn what_is_no_package_is_named() {
    let place = TempDir::new().unwrap();
    fails(place.path(), "no Prefect package");
    fails(&place.path().join("nothing.whl"), "nothing.whl");
    fails(&place.path().join("python3"), "can't run");
    fs::write(place.path().join("text.whl"), "text").unwrap();
    fails(&place.path().join("text.whl"), "damaged");
    fails(&wheel(place.path(), &Files::from([("other/a.py".into(), Vec::new())])), "no Prefect package");
}

#[test]
fn a_file_that_was_changed_or_is_missing_is_named() {
    let changed = "prefect/server/ui/index.html";
    let mut files = recorded(package("3.9.1"));
    files.insert(changed.into(), b"<html onload=steal()>".to_vec());
    let place = TempDir::new().unwrap();
    fails(&wheel(place.path(), &files), changed);
    fails(&installed(place.path(), &files), changed);
    files.remove(changed);
    let place = TempDir::new().unwrap();
    fails(&wheel(place.path(), &files), changed);
    fails(&installed(place.path(), &files), changed);
}

#[test]
fn a_package_without_its_list_or_one_of_its_parts_is_refused() {
    let place = TempDir::new().unwrap();
    fails(&wheel(place.path(), &package("3.9.1")), "RECORD");
    for part in
        ["prefect/server/collection_blocks_data.json", "prefect-0.dist-info/licenses/LICENSE", "prefect/filesystems.py"]
    {
        let mut files = package("3.9.1");
        files.remove(part);
        fails(&wheel(place.path(), &recorded(files)), part.strip_prefix("prefect-0.dist-info/").unwrap_or(part));
    }
}

#[test]
fn a_wheel_that_is_cut_short_is_refused() {
    let place = TempDir::new().unwrap();
    let path = wheel(place.path(), &recorded(package("3.9.1")));
    let whole = fs::read(&path).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        fails(&path, "damaged");
    }
}

/// Its modules end the process if they are run, and declare no block types if they are read.
#[test]
fn no_code_of_the_package_runs() {
    let place = TempDir::new().unwrap();
    let files = recorded(package("3.9.1"));
    for from in [wheel(place.path(), &files), installed(place.path(), &files)] {
        fails(&from, "its block types are not those of 3.9.1");
    }
}
