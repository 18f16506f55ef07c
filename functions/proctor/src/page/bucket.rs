//! `page`: the page's files as the bucket of a deployed stack takes them.
//!
//! What browsers are told of a file, its media type and how long to keep it, is said to S3 when it is uploaded. So the
//! files of which they are told the same are in one folder, which one command uploads. `infra/README.md` has these
//! commands.

use std::{collections::BTreeMap, fmt::Write, path::PathBuf, sync::Arc};

use axum::body::Bytes;
use clap::{Args, ValueHint};
use common::{
    Error,
    assets::{Assets, COMMAND, RELEASE},
    http::PREFIX,
    settings::PageSettings,
};

use super::{
    docs::Docs,
    file::{KEPT_FOR_EVER, NOT_KEPT, kept, media_type},
    interfaces::Interfaces,
};
use crate::{
    assets::{Report, folder},
    failure::Failure,
    output::Form,
    views,
};

/// The file that lists the folders: name, media type and `Cache-Control`, with tabs between them.
const LIST: &str = "folders.tsv";

/// The arguments of `page`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder to make.
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub into: PathBuf,
    /// How the work and its outcome are shown.
    #[command(flatten)]
    pub form: Form,
}

/// What browsers are told of a file.
///
/// In the order of the uploads: a page comes after what it names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    is_page: bool,
    is_asked_for_again: bool,
    is_replaced: bool,
    cache_control: &'static str,
    media_type: String,
}

impl Told {
    fn new(media_type: String, cache_control: &'static str) -> Self {
        Self {
            is_page: media_type.starts_with("text/html"),
            is_asked_for_again: cache_control == NOT_KEPT,
            is_replaced: cache_control != KEPT_FOR_EVER,
            cache_control,
            media_type,
        }
    }
}

/// Makes the folder, or finds that it is as it should be, of what Prefect ships as data in `assets`.
///
/// # Errors
/// [`Failure::Work`] if there are no interfaces in `assets`, and [`Failure::Assets`] if the folder can't be written.
pub async fn carry_out(arguments: &Arguments, assets: PathBuf) -> Result<Report, Failure> {
    let progress = arguments.form.progress();
    progress.wait("Making the files ready");
    let files = files(assets).await.map_err(|error| Failure::Work {
        tried: "make the page ready",
        error,
        next: format!("`{COMMAND}` takes its files from Prefect's package"),
    })?;
    let (count, bytes) = (files.len(), files.iter().map(|(_, _, content)| content.len()).sum());
    let is_written = folder::write(&arguments.into, &laid_out(files), &progress)?;
    Ok(Report {
        of: "the page of Prefect",
        release: RELEASE,
        folder: arguments.into.clone(),
        files: count,
        bytes,
        is_written,
    })
}

/// Returns the path in the bucket, what browsers are told, and the content of each file of the page.
async fn files(assets: PathBuf) -> Result<Vec<(String, Told, Bytes)>, Error> {
    let settings = PageSettings::default();
    let interfaces = Interfaces::new(Arc::new(Assets::new(Some(assets))), settings.bases).current().await?;
    let Some(interfaces) = interfaces.filter(|current| current.available() == [true, true]) else {
        return Err(Error::not_found_in_words("the folder was made without the user interfaces"));
    };
    let docs = Docs::new(PREFIX, false).all().await;
    let docs = docs.ok_or_else(|| Error::Internal("a file of the page of operations is gone".into()))?;
    let mut files = Vec::new();
    for (path, content) in interfaces.all().await?.into_iter().chain(docs) {
        let told = Told::new(media_type(&path), kept(&path));
        files.push((path.trim_start_matches('/').to_owned(), told, content));
    }
    let views_path = views::path(PREFIX);
    for (path, media_type, content) in views::all() {
        let path = format!("{}{path}", views_path.trim_start_matches('/'));
        files.push((path, Told::new(media_type.to_owned(), NOT_KEPT), Bytes::from_static(content)));
    }
    Ok(files)
}

/// Puts the files of which browsers are told the same into one folder, and lists these folders.
fn laid_out(files: Vec<(String, Told, Bytes)>) -> BTreeMap<String, Vec<u8>> {
    let mut folders: BTreeMap<Told, Vec<(String, Bytes)>> = BTreeMap::new();
    for (path, told, content) in files {
        folders.entry(told).or_default().push((path, content));
    }
    let (mut laid_out, mut list) = (BTreeMap::new(), String::new());
    for (place, (told, files)) in folders.into_iter().enumerate() {
        let folder = place + 1;
        // Writing to a text does not fail.
        let _ = writeln!(list, "{folder}\t{}\t{}", told.media_type, told.cache_control);
        laid_out.extend(files.into_iter().map(|(path, content)| (format!("{folder}/{path}"), content.to_vec())));
    }
    laid_out.insert(LIST.into(), list.into_bytes());
    laid_out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, media_type: &str, cache_control: &'static str) -> (String, Told, Bytes) {
        (path.to_owned(), Told::new(media_type.to_owned(), cache_control), Bytes::from_static(b"content"))
    }

    #[test]
    fn files_that_are_told_the_same_are_in_one_folder_and_pages_in_the_last() {
        let laid_out = laid_out(vec![
            file("v2/index.html", "text/html; charset=utf-8", NOT_KEPT),
            file("proctor/main.js", "text/javascript; charset=utf-8", NOT_KEPT),
            file("robots.txt", "text/plain; charset=utf-8", "public, max-age=3600"),
            file("assets/a-12345678.js", "text/javascript; charset=utf-8", KEPT_FOR_EVER),
            file("assets/b-12345678.js", "text/javascript; charset=utf-8", KEPT_FOR_EVER),
        ]);
        let list = String::from_utf8(laid_out[LIST].clone()).unwrap();
        assert_eq!(
            list,
            "1\ttext/javascript; charset=utf-8\tpublic, max-age=31536000, immutable\n\
             2\ttext/plain; charset=utf-8\tpublic, max-age=3600\n\
             3\ttext/javascript; charset=utf-8\tno-cache\n\
             4\ttext/html; charset=utf-8\tno-cache\n"
        );
        let paths: Vec<&str> = laid_out.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "1/assets/a-12345678.js",
                "1/assets/b-12345678.js",
                "2/robots.txt",
                "3/proctor/main.js",
                "4/v2/index.html",
                LIST
            ]
        );
    }

    #[tokio::test]
    async fn without_the_interfaces_there_is_nothing_to_upload() {
        let nowhere = tempfile::tempdir().unwrap();
        let arguments = Arguments { into: nowhere.path().join("page"), form: Form::default() };
        let failure = carry_out(&arguments, nowhere.path().join("assets")).await.unwrap_err();
        assert!(failure.to_string().contains(COMMAND), "{failure}");
        assert!(!arguments.into.exists());
    }
}
