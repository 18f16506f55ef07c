//! CORS: which pages' scripts may call the API.
//!
//! Browsers would be content with tower-http's layer, but Prefect's answers differ from it in status, headers and
//! body: a refused preflight is 400 and names what is disallowed.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
        },
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use settings::Settings;

const PRIVATE_NETWORK: &str = "access-control-request-private-network";
const PREFLIGHT_VARIES: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network",
);
/// What `*` stands for among the methods.
const METHODS: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY"];
/// The headers that a page may always send.
const SAFE_HEADERS: [&str; 4] = ["Accept", "Accept-Language", "Content-Language", "Content-Type"];
/// How long a browser may keep the answer to a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Who may call from elsewhere, and how.
#[derive(Debug)]
pub(super) struct Cors {
    /// None stands for any.
    origins: Option<Vec<String>>,
    methods: Vec<String>,
    /// None stands for any.
    headers: Option<Vec<String>>,
}

impl Cors {
    pub(super) fn new(settings: &Settings) -> Arc<Self> {
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let unless_any = |text: &str| Some(list(text)).filter(|list| !list.iter().any(|item| item == "*"));
        let methods = unless_any(&settings.cors_allowed_methods);
        let headers = unless_any(&settings.cors_allowed_headers).map(|mut headers| {
            headers.extend(SAFE_HEADERS.map(str::to_owned));
            headers.sort();
            headers.dedup();
            headers
        });
        Arc::new(Self {
            origins: unless_any(&settings.cors_allowed_origins),
            methods: methods.unwrap_or_else(|| METHODS.map(str::to_owned).into()),
            headers,
        })
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        let listed = |origins: &Vec<String>| origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
        self.origins.as_ref().is_none_or(listed)
    }

    fn preflight(&self, request: &HeaderMap, origin: &HeaderValue, method: &HeaderValue) -> Response {
        let mut headers = HeaderMap::new();
        let mut refused = Vec::new();
        headers.insert(VARY, PREFLIGHT_VARIES);
        insert(&mut headers, ACCESS_CONTROL_ALLOW_METHODS, &self.methods.join(", "));
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        if self.allows(origin) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin_answer(origin));
        } else {
            refused.push("origin");
        }
        if !self.methods.iter().any(|allowed| allowed.as_bytes() == method.as_bytes()) {
            refused.push("method");
        }
        let wanted = request.get(ACCESS_CONTROL_REQUEST_HEADERS);
        match &self.headers {
            None => headers.extend(wanted.map(|wanted| (ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone()))),
            Some(allowed) => {
                insert(&mut headers, ACCESS_CONTROL_ALLOW_HEADERS, &allowed.join(", "));
                let is_allowed = |name: &str| allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
                let readable = |wanted: &HeaderValue| wanted.to_str().map(str::to_owned).unwrap_or_default();
                if !wanted.map(readable).iter().flat_map(|wanted| wanted.split(',')).all(|name| is_allowed(name.trim()))
                {
                    refused.push("headers");
                }
            }
        }
        if request.contains_key(PRIVATE_NETWORK) {
            refused.push("private-network");
        }
        if refused.is_empty() {
            (StatusCode::OK, headers, "OK").into_response()
        } else {
            (StatusCode::BAD_REQUEST, headers, format!("Disallowed CORS {}", refused.join(", "))).into_response()
        }
    }

    fn origin_answer(&self, origin: &HeaderValue) -> HeaderValue {
        if self.origins.is_none() { HeaderValue::from_static("*") } else { origin.clone() }
    }
}

fn insert(headers: &mut HeaderMap, name: axum::http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Answers preflights, and tells browsers which pages may read the other answers.
pub(super) async fn share(State(cors): State<Arc<Cors>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(ORIGIN).cloned();
    if request.method() == Method::OPTIONS
        && let (Some(origin), Some(method)) = (&origin, request.headers().get(ACCESS_CONTROL_REQUEST_METHOD))
    {
        return cors.preflight(request.headers(), origin, method);
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Some(origin) = origin.filter(|origin| cors.allows(origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, cors.origin_answer(&origin));
    }
    let varies: Vec<&str> = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok()).collect();
    // Prefect writes the name so; caches compare it without regard to case.
    let varies = [varies.join(", ").replace("accept-encoding", "Accept-Encoding"), "Origin".into()];
    insert(headers, VARY, varies.join(", ").trim_start_matches(", "));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &str, headers: &str) -> Arc<Cors> {
        Cors::new(&Settings {
            cors_allowed_origins: origins.into(),
            cors_allowed_headers: headers.into(),
            ..Settings::default()
        })
    }

    fn asked(cors: &Cors, origin: &'static str, wanted: &'static str) -> Response {
        let request: HeaderMap =
            [(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static(wanted))].into_iter().collect();
        cors.preflight(&request, &HeaderValue::from_static(origin), &HeaderValue::from_static("POST"))
    }

    #[test]
    fn any_page_may_call_by_default() {
        let answer = asked(&cors("*", "*"), "http://a", "x-b");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "x-b");
    }

    #[test]
    fn only_listed_pages_and_headers_where_they_are_listed() {
        let cors = cors("http://a,http://b", "X-One");
        let answer = asked(&cors, "http://b", "x-one, accept");
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "http://b");
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(asked(&cors, "http://c", "x-two").status(), StatusCode::BAD_REQUEST);
        assert!(!asked(&cors, "http://c", "x-one").headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
