//! Paths whose percent-encoding is no UTF-8.
//!
//! Prefect's server decodes a path before anything is routed, and puts U+FFFD in the place of what is no text; then it
//! looks for a record of that name, as for any other. axum would refuse the request where its route takes a parameter.

use std::iter;

use axum::{extract::Request, http::Uri};

/// How U+FFFD is written in a path.
const REPLACEMENT: &[u8] = b"%EF%BF%BD";

/// Replaces what of the request's path is no text.
pub(super) async fn replace(mut request: Request) -> Request {
    if let Some(uri) = as_text(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

/// Returns the address with a path that is text, if it has another one.
fn as_text(uri: &Uri) -> Option<Uri> {
    let mut path = replaced(uri.path())?;
    if let Some(query) = uri.query() {
        path = format!("{path}?{query}");
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.try_into().ok()?);
    Uri::from_parts(parts).ok()
}

fn replaced(path: &str) -> Option<String> {
    let mut rest = path.as_bytes();
    // Each byte beside the way it is written, so that all else stays as it was sent: an encoded slash does not divide.
    let written: Vec<(u8, &[u8])> = iter::from_fn(|| {
        let (byte, length) = first_byte(rest)?;
        let (this, others) = rest.split_at_checked(length)?;
        rest = others;
        Some((byte, this))
    })
    .collect();
    let bytes: Vec<u8> = written.iter().map(|(byte, _)| *byte).collect();
    if std::str::from_utf8(&bytes).is_ok() {
        return None;
    }
    let mut written = written.into_iter();
    let mut path = Vec::new();
    for chunk in bytes.utf8_chunks() {
        path.extend(written.by_ref().take(chunk.valid().len()).flat_map(|(_, this)| this));
        if written.by_ref().take(chunk.invalid().len()).count() > 0 {
            path.extend(REPLACEMENT);
        }
    }
    String::from_utf8(path).ok()
}

/// Returns the first byte of an encoded text, and in how many it is written.
fn first_byte(text: &[u8]) -> Option<(u8, usize)> {
    let digit = |place: usize| u8::try_from(char::from(*text.get(place)?).to_digit(16)?).ok();
    match (*text.first()?, digit(1), digit(2)) {
        (b'%', Some(high), Some(low)) => Some((16 * high + low, 3)),
        (plain, ..) => Some((plain, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(replaced(path).as_deref(), expected, "{path}");
    }

    #[test]
    fn leaves_text_alone() {
        for path in ["/", "/a/%2F%00b", "/%C3%BC", "/%", "/%z", "/%f", "/%e2%82%ac", "/100%25", "/a%zzb", "/%+1"] {
            check(path, None);
        }
    }

    #[test]
    fn replaces_what_is_no_text() {
        check("/name/f/my%deployment", Some("/name/f/my%EF%BF%BDployment"));
        check("/%ff", Some("/%EF%BF%BD"));
        check("/a%2Fb/%ff/c%20d", Some("/a%2Fb/%EF%BF%BD/c%20d"));
        check("/%C3%28", Some("/%EF%BF%BD%28"));
        check("/%e2%82/%c3%bc%zz", Some("/%EF%BF%BD/%c3%bc%zz"));
    }

    #[test]
    fn replaces_as_often_as_the_real_server() {
        let replacements = |path: &str| replaced(path).map(|path| path.matches("%EF%BF%BD").count());
        assert_eq!(replacements("/%f0%9f%98"), Some(1), "the start of one character");
        assert_eq!(replacements("/%c0%af"), Some(2), "longer than it has to be");
        assert_eq!(replacements("/%ed%a0%80"), Some(3), "half a surrogate pair");
        assert_eq!(replacements("/%f4%90%80%80"), Some(4), "beyond Unicode");
    }

    #[test]
    fn keeps_the_rest_of_the_address() {
        let uri: Uri = "http://host:1/a/%ff?b=%ff".parse().unwrap();
        assert_eq!(as_text(&uri).unwrap(), "http://host:1/a/%EF%BF%BD?b=%ff");
        assert_eq!(as_text(&"/a?b=%ff".parse().unwrap()), None);
    }
}
