//! How Prefect's user interface is shown (`PREFECT_SERVER_UI_*`, `PREFECT_UI_*`, `PROCTOR_UI_*`).

use error::Result;

use super::Variables;

/// What the second user interface's address ends with.
const SECOND: &str = "/v2";

/// How Prefect's user interface is shown.
///
/// `PREFECT_UI_STATIC_DIRECTORY` names where Prefect copies the interface's files to; nothing is copied here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSettings {
    /// Whether it is shown at all (`PREFECT_SERVER_UI_ENABLED`).
    pub enabled: bool,
    /// Whether a browser without a preference gets the second interface (`PREFECT_SERVER_UI_V2_ENABLED`).
    pub prefers_second: bool,
    /// Where the browser finds the API (`PREFECT_UI_API_URL`, or else `PREFECT_API_URL`), if that is set.
    pub api_url: Option<String>,
    /// The paths of the first interface and of the second (`PREFECT_UI_SERVE_BASE`).
    pub bases: [String; 2],
    /// What pages may load besides what this server has (`PROCTOR_UI_ALLOWED_SOURCES`), as in a content security policy.
    pub allowed_sources: String,
    /// Which pages may show the interface in a frame (`PROCTOR_UI_FRAME_ANCESTORS`), as in a content security policy.
    pub frame_ancestors: String,
    /// The whole content security policy in place of ours (`PROCTOR_UI_CONTENT_SECURITY_POLICY`); none if it is empty.
    pub policy: Option<String>,
}

impl Default for PageSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            prefers_second: true,
            api_url: None,
            bases: bases(""),
            allowed_sources: String::new(),
            frame_ancestors: "'none'".into(),
            policy: None,
        }
    }
}

impl PageSettings {
    pub(super) fn overridden_by(self, variables: &Variables) -> Result<Self> {
        let sources = |name: &str| variables.with(name, |text| sources(text).map(str::to_owned));
        let url = |name: &str| variables.get(name).filter(|url| !url.is_empty()).map(str::to_owned);
        Ok(Self {
            enabled: variables.flag("PREFECT_SERVER_UI_ENABLED")?.unwrap_or(self.enabled),
            prefers_second: variables.flag("PREFECT_SERVER_UI_V2_ENABLED")?.unwrap_or(self.prefers_second),
            api_url: url("PREFECT_SERVER_UI_API_URL").or_else(|| url("PREFECT_API_URL")).or(self.api_url),
            bases: variables.with("PREFECT_SERVER_UI_SERVE_BASE", checked_bases)?.unwrap_or(self.bases),
            allowed_sources: sources("PROCTOR_UI_ALLOWED_SOURCES")?.unwrap_or(self.allowed_sources),
            frame_ancestors: sources("PROCTOR_UI_FRAME_ANCESTORS")?.unwrap_or(self.frame_ancestors),
            policy: variables
                .with("PROCTOR_UI_CONTENT_SECURITY_POLICY", |text| is_visible(text).then(|| text.trim().to_owned()))?
                .or(self.policy),
        })
    }
}

impl PageSettings {
    /// Returns the interface for browsers without a preference, 0 or 1, of those that are available.
    pub fn default_interface(&self, available: [bool; 2]) -> Option<usize> {
        [self.prefers_second.into(), 0, 1].into_iter().find(|index| available[*index])
    }
}

/// Returns the paths of both interfaces, as Prefect derives them from what is set; only the root ends with a slash.
fn bases(set: &str) -> [String; 2] {
    let path = set.trim_matches('/');
    let first = if path.is_empty() { "/".to_owned() } else { format!("/{path}") };
    match first.strip_suffix(SECOND) {
        Some("") => ["/".to_owned(), first],
        Some(above) => [above.to_owned(), first],
        None => [first.clone(), format!("{}{SECOND}", first.trim_end_matches('/'))],
    }
}

/// Returns the paths, unless what is set would be more than a path where it is put into scripts and pages.
fn checked_bases(set: &str) -> Option<[String; 2]> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~/".contains(letter);
    (set.chars().all(is_plain) && !set.contains("..")).then(|| bases(set))
}

/// Returns sources of a content security policy, unless they would begin another directive.
fn sources(text: &str) -> Option<&str> {
    (is_visible(text) && !text.contains([';', ','])).then(|| text.trim())
}

fn is_visible(text: &str) -> bool {
    text.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(name: &str, value: &str) -> Result<PageSettings> {
        PageSettings::default().overridden_by(&[(name, value)].into_iter().collect())
    }

    #[test]
    fn a_base_is_a_path_and_the_second_interface_lies_below_it() {
        for (set, first, second) in [
            ("", "/", "/v2"),
            ("/", "/", "/v2"),
            ("/prefect", "/prefect", "/prefect/v2"),
            ("prefect/", "/prefect", "/prefect/v2"),
            ("/v2", "/", "/v2"),
            ("/prefect/v2/", "/prefect", "/prefect/v2"),
        ] {
            assert_eq!(page("PREFECT_UI_SERVE_BASE", set).unwrap().bases, [first, second], "{set}");
        }
        for wrong in ["/a b", "/\"", "/../x", "/<x>"] {
            assert!(page("PREFECT_UI_SERVE_BASE", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_address_of_the_interface_goes_before_that_of_clients() {
        let variables = [("PREFECT_API_URL", "http://a/api"), ("PREFECT_UI_API_URL", "http://b/api")];
        let page = |taken| PageSettings::default().overridden_by(&variables.into_iter().take(taken).collect()).unwrap();
        assert_eq!(page(0).api_url, None);
        assert_eq!(page(1).api_url.as_deref(), Some("http://a/api"));
        assert_eq!(page(2).api_url.as_deref(), Some("http://b/api"));
    }

    #[test]
    fn sources_begin_no_directive_of_their_own() {
        assert_eq!(page("PROCTOR_UI_ALLOWED_SOURCES", " https: ").unwrap().allowed_sources, "https:");
        assert!(page("PROCTOR_UI_ALLOWED_SOURCES", "https:; script-src *").is_err());
        assert!(page("PROCTOR_UI_FRAME_ANCESTORS", "'self'\r\nx: y").is_err());
    }
}
