//! `/docs`: every operation, to read and to try, by Swagger UI from this binary; no CDN is asked.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
    response::Html,
    routing::{MethodRouter, get},
};
use common::http::ui::DOCS_POLICY;
use swagger_ui_dist::{ApiDefinition, OpenApiSource, generate_routes};
use tokio::sync::OnceCell;
use tower::ServiceExt;

use super::file::{File, INDEX};

/// Where the files of the page are, as `docs.html` names them.
const FOLDER: &str = "/docs";

const STYLES: &str = "/docs/swagger-ui.css";
const BUNDLE: &str = "/docs/swagger-ui-bundle.js";
const START: &str = "/docs/start.js";

/// The page and its files.
#[derive(Debug)]
pub(super) struct Docs {
    html: String,
    /// What has Swagger UI in it.
    packed: Router,
    files: [(&'static str, OnceCell<Arc<File>>); 3],
    started: SystemTime,
}

impl Docs {
    /// Makes the page of the API at `api`, which may ask for a token before a write.
    pub(super) fn new(api: &str, asks_for_token: bool) -> Self {
        let html = include_str!("docs.html").replace("{api}", api).replace("{token}", &asks_for_token.to_string());
        let packed = ApiDefinition { uri_prefix: FOLDER, api_definition: OpenApiSource::Uri(""), title: None };
        Self {
            html,
            packed: generate_routes(packed),
            files: [STYLES, BUNDLE, START].map(|path| (path, OnceCell::new())),
            started: SystemTime::now(),
        }
    }

    /// Returns the page and its files by the paths that they have in a folder, and their content.
    pub(super) async fn all(&self) -> Option<Vec<(String, Bytes)>> {
        let mut all = vec![(format!("{FOLDER}/{INDEX}"), Bytes::from(self.html.clone()))];
        for (path, _) in &self.files {
            all.push(((*path).to_owned(), self.content(path).await?));
        }
        Some(all)
    }

    /// Returns what answers with the page.
    pub(super) fn page(&self) -> MethodRouter {
        let html = self.html.clone();
        get(async move || {
            let headers = [
                (CACHE_CONTROL, "no-cache"),
                (CONTENT_SECURITY_POLICY, DOCS_POLICY),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (X_FRAME_OPTIONS, "DENY"),
            ];
            (headers, Html(html))
        })
    }

    /// Returns the page's file at `path`, if there is one.
    pub(super) async fn file(&self, path: &str) -> Option<Arc<File>> {
        let (name, cell) = self.files.iter().find(|(name, _)| *name == path)?;
        let name: &'static str = name;
        let made = cell.get_or_try_init(async || {
            let (content, started) = (self.content(name).await.ok_or(())?, self.started);
            let made = tokio::task::spawn_blocking(move || Arc::new(File::new(name, content, started)));
            made.await.map_err(drop)
        });
        made.await.ok().cloned()
    }

    async fn content(&self, path: &str) -> Option<Bytes> {
        if path == START { Some(include_str!("docs.js").into()) } else { self.packed(path).await }
    }

    /// Takes a file out of the package of Swagger UI, which gives it as an answer only.
    async fn packed(&self, path: &str) -> Option<Bytes> {
        let request = Request::get(path).body(Body::empty()).ok()?;
        let answer = self.packed.clone().oneshot(request).await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        to_bytes(answer.into_body(), usize::MAX).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_package_has_every_file_of_the_page() {
        let docs = Docs::new("/api", false);
        for path in [STYLES, BUNDLE, START] {
            assert!(docs.html.contains(path));
            assert!(docs.file(path).await.is_some(), "{path}");
        }
        assert!(docs.file("/docs/other.js").await.is_none());
    }
}
