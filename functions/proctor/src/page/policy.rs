//! What the browser is told that the interface may do.

use axum::{
    http::{
        HeaderName, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS},
    },
    response::Response,
};
use common::{http::ui::content_security_policy, settings::PageSettings};

/// The headers of the interface's pages.
#[derive(Debug)]
pub(super) struct Policy {
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Policy {
    pub(super) fn new(settings: &PageSettings) -> Self {
        let policy = settings.policy.clone().unwrap_or_else(|| content_security_policy(settings));
        let frames = match settings.frame_ancestors.as_str() {
            "'none'" | "" => "DENY",
            "'self'" => "SAMEORIGIN",
            // The header can't say it, and the policy does.
            _ => "",
        };
        let headers = [
            (CONTENT_SECURITY_POLICY, policy.as_str()),
            (X_FRAME_OPTIONS, if settings.policy.is_some() { "" } else { frames }),
            // The address of a run is nobody else's business.
            (REFERRER_POLICY, "same-origin"),
        ];
        let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
        Self { headers: headers.filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect() }
    }

    /// Puts the headers on a page; on other files they say nothing.
    pub(super) fn around(&self, mut response: Response) -> Response {
        let is_page =
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if is_page || response.status().is_redirection() {
            response.headers_mut().extend(self.headers.iter().cloned());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::response::{Html, IntoResponse};

    use super::*;

    fn told(settings: &PageSettings) -> axum::http::HeaderMap {
        Policy::new(settings).around(Html("").into_response()).headers().clone()
    }

    #[test]
    fn other_pages_frame_it_only_where_they_are_allowed() {
        assert_eq!(told(&PageSettings::default())[X_FRAME_OPTIONS], "DENY");
        let looser = PageSettings { frame_ancestors: "https://portal.example".into(), ..PageSettings::default() };
        let headers = told(&looser);
        assert!(headers[CONTENT_SECURITY_POLICY].to_str().unwrap().ends_with("frame-ancestors https://portal.example"));
        assert!(headers.get(X_FRAME_OPTIONS).is_none());
    }

    #[test]
    fn the_policy_can_be_replaced_and_left_out() {
        let with = |policy: &str| told(&PageSettings { policy: Some(policy.into()), ..PageSettings::default() });
        assert_eq!(with("default-src *")[CONTENT_SECURITY_POLICY], "default-src *");
        assert!(with("").get(CONTENT_SECURITY_POLICY).is_none());
    }
}
