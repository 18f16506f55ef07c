//! A file that is served: compressed once, with what a browser needs to keep it.

use std::{
    io::Write,
    ops::{Bound, RangeInclusive},
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse, Response},
};
use brotli::enc::BrotliEncoderParams;
use common::http::Json;
use flate2::{Compression, write::GzEncoder};
use headers::{
    AcceptRanges, ContentRange, ETag, HeaderMapExt, IfModifiedSince, IfNoneMatch, IfRange, LastModified, Range,
};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The file that a folder is opened with.
pub(super) const INDEX: &str = "index.html";

/// The size from which a file is compressed, in bytes.
const COMPRESSED_FROM: usize = 500;

/// How hard Brotli tries, of 11: beyond that, megabytes take seconds.
const BROTLI_QUALITY: i32 = 5;

/// How long browsers keep files whose names don't change with their content, without asking again.
const KEPT: &str = "public, max-age=3600";

/// How long they keep those whose names do: for ever.
pub(super) const KEPT_FOR_EVER: &str = "public, max-age=31536000, immutable";

/// How long they keep what opens the interface: only as long as the server says that it has not changed.
pub(super) const NOT_KEPT: &str = "no-cache";

/// A file with all that is sent with it.
#[derive(Debug)]
pub(super) struct File {
    media_type: HeaderValue,
    cache_control: HeaderValue,
    modified: SystemTime,
    plain: Encoded,
    /// Smaller forms of it, the smallest first, with the names of their encodings.
    compressed: Vec<(&'static str, Encoded)>,
}

#[derive(Debug)]
struct Encoded {
    content: Bytes,
    tag: Option<ETag>,
}

impl File {
    /// Makes ready the file at `path`.
    pub(super) fn new(path: &str, content: Bytes, modified: SystemTime) -> Self {
        let digest = format!("{:x}", Sha256::digest(&content));
        let encoded = |content: Bytes, suffix: &str| Encoded {
            content,
            tag: format!("\"{}{suffix}\"", &digest[..32]).parse().ok(),
        };
        let media_type = media_type(path);
        let is_worth_it = content.len() >= COMPRESSED_FROM && is_compressible(&media_type);
        let candidates = [("br", brotli as fn(&[u8]) -> Option<Vec<u8>>), ("gzip", gzip)];
        let smaller = candidates.into_iter().filter(|_| is_worth_it).filter_map(|(name, compress)| {
            let compressed = compress(&content).filter(|compressed| compressed.len() < content.len())?;
            Some((name, encoded(compressed.into(), &format!("-{name}"))))
        });
        let compressed = smaller.collect();
        Self {
            cache_control: HeaderValue::from_static(kept(path)),
            media_type: HeaderValue::from_str(&media_type).unwrap_or(HeaderValue::from_static(BYTES)),
            // Browsers know times in seconds.
            modified: whole_seconds(modified),
            plain: encoded(content, ""),
            compressed,
        }
    }

    /// Answers a request with these headers.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let range = request.typed_get::<Range>();
        let chosen = self.compressed.iter().find(|(name, _)| range.is_none() && takes(request, name));
        let (encoding, form) = chosen.map_or((None, &self.plain), |(name, form)| (Some(*name), form));
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, self.cache_control.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.typed_insert(LastModified::from(self.modified));
        form.tag.iter().for_each(|tag| headers.typed_insert(tag.clone()));
        if self.is_known(request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.insert(CONTENT_TYPE, self.media_type.clone());
        headers.typed_insert(AcceptRanges::bytes());
        encoding.map(|encoding| headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding)));
        let is_same = request.typed_get::<IfRange>().is_none_or(|condition| {
            !condition.is_modified(self.plain.tag.as_ref(), Some(&LastModified::from(self.modified)))
        });
        match range.filter(|_| is_same) {
            None => (headers, Body::from(form.content.clone())).into_response(),
            Some(range) => self.part(&range, headers),
        }
    }

    /// Says whether the browser has the file, in whichever encoding.
    fn is_known(&self, request: &HeaderMap) -> bool {
        let mut tags = [&self.plain].into_iter().chain(self.compressed.iter().map(|(_, form)| form));
        match (request.typed_get::<IfNoneMatch>(), request.typed_get::<IfModifiedSince>()) {
            (Some(known), _) => tags.any(|form| form.tag.as_ref().is_some_and(|tag| !known.precondition_passes(tag))),
            (None, Some(since)) => !since.is_modified(self.modified),
            (None, None) => false,
        }
    }

    fn part(&self, range: &Range, mut headers: HeaderMap) -> Response {
        let content = &self.plain.content;
        let mut ranges = range.satisfiable_ranges(content.len() as u64);
        match (ranges.next().map(|range| inclusive(range, content.len())), ranges.next()) {
            // Several parts would be an answer of another form; the whole file is allowed instead.
            (_, Some(_)) => (headers, Body::from(content.clone())).into_response(),
            (Some(Some(range)), None) => {
                if let Ok(told) = ContentRange::bytes(*range.start() as u64..=*range.end() as u64, content.len() as u64)
                {
                    headers.typed_insert(told);
                }
                (StatusCode::PARTIAL_CONTENT, headers, Body::from(content.slice(range))).into_response()
            }
            _ => {
                let mut headers = HeaderMap::new();
                headers.typed_insert(ContentRange::unsatisfied_bytes(content.len() as u64));
                let refusal = json!({ "detail": "Requested range not satisfiable" });
                (StatusCode::RANGE_NOT_SATISFIABLE, headers, Json(refusal)).into_response()
            }
        }
    }
}

/// Returns the positions of a range in `length` bytes, if there are any.
fn inclusive(range: (Bound<u64>, Bound<u64>), length: usize) -> Option<RangeInclusive<usize>> {
    let start = match range.0 {
        Bound::Included(start) => usize::try_from(start).ok()?,
        _ => 0,
    };
    let last = length.checked_sub(1)?;
    let end = match range.1 {
        Bound::Included(end) => usize::try_from(end).unwrap_or(last).min(last),
        _ => last,
    };
    (start <= end).then_some(start..=end)
}

/// Says whether `Accept-Encoding` takes the encoding.
fn takes(request: &HeaderMap, encoding: &str) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).and_then(|quality| quality.parse::<f64>().ok());
        is_named && quality.is_none_or(|quality| quality > 0.0)
    })
}

const BYTES: &str = "application/octet-stream";

/// Returns the media type of a file, in the words of Prefect's server.
pub(super) fn media_type(path: &str) -> String {
    let kind = match path.rsplit_once('.').map(|(_, kind)| kind) {
        Some("ico") => "image/vnd.microsoft.icon",
        Some("webmanifest") => "application/manifest+json",
        Some("xml") => "application/xml",
        _ => mime_guess::from_path(path).first_raw().unwrap_or(BYTES),
    };
    if kind.starts_with("text/") { format!("{kind}; charset=utf-8") } else { kind.to_owned() }
}

fn is_compressible(media_type: &str) -> bool {
    let is_text = ["text/", "image/svg", "application/json", "application/manifest", "application/xml", "font/ttf"];
    is_text.iter().any(|start| media_type.starts_with(start)) || media_type == "image/vnd.microsoft.icon"
}

/// Returns how long browsers keep the file at `path`.
pub(super) fn kept(path: &str) -> &'static str {
    // The build puts a hash of the content before the ending: `assets/index-Bny_92F-.js`.
    const HASH: usize = 8;
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let start = stem.len().saturating_sub(HASH + 1);
    let is_hash = |hash: &str| {
        hash.len() == HASH + 1
            && hash.starts_with('-')
            && hash.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
    };
    if name == INDEX {
        NOT_KEPT
    } else if path.contains("assets/") && stem.get(start..).is_some_and(is_hash) {
        KEPT_FOR_EVER
    } else {
        KEPT
    }
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn brotli(content: &[u8]) -> Option<Vec<u8>> {
    let parameters =
        BrotliEncoderParams { quality: BROTLI_QUALITY, size_hint: content.len(), ..BrotliEncoderParams::default() };
    let (mut content, mut compressed) = (content, Vec::new());
    brotli::BrotliCompress(&mut content, &mut compressed, &parameters).ok()?;
    Some(compressed)
}

fn gzip(content: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::HeaderName};

    use super::*;

    fn request(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    async fn body(response: Response) -> Bytes {
        to_bytes(response.into_body(), usize::MAX).await.unwrap()
    }

    #[test]
    fn names_with_a_hash_are_kept_for_ever() {
        for path in
            ["ui/assets/index-Bny_92F-.js", "ui/assets/index-BD_kIOMy-DLFMAzri.js", "ui-v2/assets/x._id-C-4sG2M5.js"]
        {
            assert_eq!(kept(path), KEPT_FOR_EVER, "{path}");
        }
        for path in
            ["ui/robots.txt", "ui/ico/apple-touch-icon.png", "ui/assets/short-a.js", "ui/marketing-banner-bg-dark.svg"]
        {
            assert_eq!(kept(path), KEPT, "{path}");
        }
        assert_eq!(kept("ui-v2/index.html"), NOT_KEPT);
    }

    #[tokio::test]
    async fn what_the_browser_has_is_not_sent_again() {
        let text = Bytes::from("text ".repeat(1_000));
        let file = File::new("a.js", text.clone(), SystemTime::now());
        for encodings in ["", "gzip", "br, gzip"] {
            let first = file.answer(&request(&[("accept-encoding", encodings)]));
            let tag = first.headers()["etag"].to_str().unwrap().to_owned();
            let date = first.headers()["last-modified"].to_str().unwrap().to_owned();
            assert_eq!(file.answer(&request(&[("if-none-match", &tag)])).status(), StatusCode::NOT_MODIFIED);
            assert_eq!(file.answer(&request(&[("if-modified-since", &date)])).status(), StatusCode::NOT_MODIFIED);
            assert_eq!(
                file.answer(&request(&[("if-none-match", "\"x\""), ("if-modified-since", &date)])).status(),
                200
            );
        }
        assert_eq!(body(file.answer(&HeaderMap::new())).await, text);
    }

    #[tokio::test]
    async fn the_smallest_encoding_that_is_taken_is_sent() {
        let file = File::new("a.css", Bytes::from("text ".repeat(1_000)), SystemTime::now());
        let encoding = |accepted| {
            file.answer(&request(&[("accept-encoding", accepted)])).headers().get("content-encoding").cloned()
        };
        assert_eq!(encoding("gzip, deflate, br").unwrap(), "br");
        assert_eq!(encoding("gzip, br;q=0").unwrap(), "gzip");
        assert_eq!(encoding("identity"), None);
        let small = File::new("a.css", Bytes::from("text"), SystemTime::now());
        assert!(small.compressed.is_empty());
    }

    #[tokio::test]
    async fn a_range_is_a_part_of_the_plain_file() {
        let file = File::new("a.txt", Bytes::from("0123456789".repeat(100)), SystemTime::now());
        let part = |range: &str| file.answer(&request(&[("range", range), ("accept-encoding", "br")]));
        for (range, told, sent) in [
            ("bytes=0-3", "bytes 0-3/1000", "0123"),
            ("bytes=998-", "bytes 998-999/1000", "89"),
            ("bytes=-3", "bytes 997-999/1000", "789"),
            ("bytes=998-5000", "bytes 998-999/1000", "89"),
        ] {
            let answer = part(range);
            assert_eq!(
                (answer.status(), &answer.headers()["content-range"]),
                (StatusCode::PARTIAL_CONTENT, &told.parse().unwrap())
            );
            assert!(answer.headers().get("content-encoding").is_none());
            assert_eq!(body(answer).await, sent);
        }
        let beyond = part("bytes=1000-");
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(beyond.headers()["content-range"], "bytes */1000");
        assert_eq!(part("pages=1").status(), StatusCode::OK);
        assert_eq!(part("bytes=0-1,4-5").status(), StatusCode::OK);
        let stale = file.answer(&request(&[("range", "bytes=0-3"), ("if-range", "\"other\"")]));
        assert_eq!(stale.status(), StatusCode::OK);
    }
}
