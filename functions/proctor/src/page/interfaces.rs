//! The files of Prefect's user interfaces, each made ready to be served when it is first asked for.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use axum::body::Bytes;
use common::{
    Error,
    assets::{Assets, INTERFACES, Manifest},
    http::ui::NAMES,
};
use memchr::memmem;
use tokio::sync::OnceCell;

use super::file::{File, INDEX};

/// What the built files have in place of the path that they are served at.
const PLACEHOLDER: &[u8] = b"/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER";

/// The files that have it.
const WITH_PLACEHOLDER: [&str; 5] = ["css", "html", "js", "json", "txt"];

/// One of Prefect's two user interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Interface {
    First,
    Second,
}

impl Interface {
    pub(super) const ALL: [Self; 2] = [Self::First, Self::Second];

    /// Returns where the interface stands in lists of both.
    pub(super) fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }

    /// Returns Prefect's name for it.
    pub(super) fn name(self) -> &'static str {
        NAMES[self.index()]
    }

    /// Finds the interface by Prefect's name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interface| interface.name() == name)
    }

    fn path_of(self, file: &str) -> String {
        format!("{}/{file}", INTERFACES[self.index()])
    }
}

/// The interfaces in the folder of assets, which may be made or replaced while the server runs.
#[derive(Debug)]
pub(super) struct Interfaces {
    assets: Arc<Assets>,
    bases: [String; 2],
    current: Mutex<Option<Arc<Current>>>,
}

/// The interfaces of one making of the folder, with the files that somebody has asked for.
#[derive(Debug)]
pub(super) struct Current {
    assets: Arc<Assets>,
    bases: [String; 2],
    manifest: Arc<Manifest>,
    written: SystemTime,
    files: Mutex<HashMap<String, Arc<OnceCell<Arc<File>>>>>,
}

impl Interfaces {
    pub(super) fn new(assets: Arc<Assets>, bases: [String; 2]) -> Self {
        Self { assets, bases, current: Mutex::default() }
    }

    /// Returns the interfaces that are there now; none if the folder has none.
    ///
    /// # Errors
    /// As [`Assets::check`].
    pub(super) async fn current(&self) -> Result<Option<Arc<Current>>, Error> {
        let (manifest, written) = self.assets.current().await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let current = match &*current {
            Some(known) if known.written == written => known.clone(),
            _ => {
                let (assets, bases) = (self.assets.clone(), self.bases.clone());
                let new = Arc::new(Current { assets, bases, manifest, written, files: Mutex::default() });
                current.insert(new).clone()
            }
        };
        Ok(Some(current).filter(|current| current.available() != [false, false]))
    }
}

impl Current {
    /// Says which of the interfaces there are.
    pub(super) fn available(&self) -> [bool; 2] {
        Interface::ALL.map(|interface| self.manifest.files.contains_key(&interface.path_of(INDEX)))
    }

    /// Returns the file of `interface` at `path` below its base, or the index of the folder of that path.
    ///
    /// # Errors
    /// As [`Assets::file`].
    pub(super) async fn file(&self, interface: Interface, path: &str) -> Result<Option<Arc<File>>, Error> {
        let Some(path) = resolved(path) else { return Ok(None) };
        let index = if path.is_empty() { INDEX.to_owned() } else { format!("{path}/{INDEX}") };
        let candidates = [interface.path_of(&path), interface.path_of(&index)];
        let Some(path) = candidates.into_iter().find(|path| self.manifest.files.contains_key(path)) else {
            return Ok(None);
        };
        let cell = self.files.lock().unwrap_or_else(PoisonError::into_inner).entry(path.clone()).or_default().clone();
        let file = cell.get_or_try_init(async || {
            let content = self.assets.file(&path).await?;
            let content = content.ok_or_else(|| gone(&path))?;
            let (base, written) = (self.bases[interface.index()].clone(), self.written);
            let made = tokio::task::spawn_blocking(move || {
                Arc::new(File::new(&path, with_base(&path, content, &base), written))
            });
            made.await.map_err(|error| Error::Internal(error.to_string()))
        });
        Ok(Some(file.await?.clone()))
    }

    /// Returns every file of the interfaces by the path that it is served at, without the first slash.
    ///
    /// # Errors
    /// As [`Assets::file`].
    pub(super) async fn all(&self) -> Result<Vec<(String, Bytes)>, Error> {
        let mut all = Vec::new();
        for interface in Interface::ALL {
            let base = &self.bases[interface.index()];
            let start = interface.path_of("");
            for (path, name) in self.manifest.files.keys().filter_map(|path| Some((path, path.strip_prefix(&start)?))) {
                let content = self.assets.file(path).await?.ok_or_else(|| gone(path))?;
                let served = format!("{}/{name}", base.trim_matches('/'));
                all.push((served.trim_start_matches('/').to_owned(), with_base(path, content, base)));
            }
        }
        Ok(all)
    }
}

fn gone(path: &str) -> Error {
    Error::Internal(format!("{path} is gone"))
}

/// Returns the content of the file at `path` as it is served below `base`.
fn with_base(path: &str, content: Bytes, base: &str) -> Bytes {
    let kind = Path::new(path).extension();
    let is_text = kind.is_some_and(|kind| WITH_PLACEHOLDER.iter().any(|text| kind == *text));
    if is_text { placed(&content, base.trim_end_matches('/')).into() } else { content }
}

/// Returns `content` with `base` in each place that is kept for it.
fn placed(content: &[u8], base: &str) -> Vec<u8> {
    let mut placed = Vec::with_capacity(content.len());
    let mut rest = 0;
    for start in memmem::find_iter(content, PLACEHOLDER) {
        placed.extend_from_slice(&content[rest..start]);
        placed.extend_from_slice(base.as_bytes());
        rest = start + PLACEHOLDER.len();
    }
    placed.extend_from_slice(&content[rest..]);
    placed
}

/// Returns the path without empty parts and with its dots resolved; nothing if it leads out of the folder.
fn resolved(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_put_into_every_place() {
        let text = b"a /PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER/b\"/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER\"";
        assert_eq!(placed(text, "/prefect"), b"a /prefect/b\"/prefect\"");
        assert_eq!(placed(text, ""), b"a /b\"\"");
        assert_eq!(placed(b"nothing", "/prefect"), b"nothing");
    }

    #[test]
    fn a_path_stays_in_the_folder() {
        assert_eq!(resolved("//assets/./x/../a.js/").as_deref(), Some("assets/a.js"));
        assert_eq!(resolved("/").as_deref(), Some(""));
        assert_eq!(resolved("/a/../../b"), None);
    }
}
