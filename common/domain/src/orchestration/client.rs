//! What the rules ask about the client that proposes a state.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The API version that a client speaks, from its `X-PREFECT-API-VERSION` header, such as `0.8.4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ApiVersion(pub u32, pub u32, pub u32);

/// The header does not have the form `x.y.z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API version has the form x.y.z")]
pub struct InvalidApiVersion;

impl FromStr for ApiVersion {
    type Err = InvalidApiVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Result<Vec<u32>, _> = text.split('.').map(|part| part.trim().parse()).collect();
        match parts.as_deref() {
            Ok([major, minor, patch]) => Ok(Self(*major, *minor, *patch)),
            _ => Err(InvalidApiVersion),
        }
    }
}

/// The release of the `prefect` package that a client runs, such as `3.8.8` or `3.0.0rc20`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientVersion {
    text: String,
    release: (u32, u32, u32),
    is_prerelease: bool,
}

impl ClientVersion {
    /// Reads the version out of a `User-Agent` such as `prefect/3.8.8 (API 0.8.4)`.
    ///
    /// Returns `None` for any other client, as Prefect's `get_prefect_client_version` does.
    pub fn from_user_agent(user_agent: &str) -> Option<Self> {
        let (version, comment) = user_agent.strip_prefix("prefect/")?.split_once(' ')?;
        let api_version = comment.strip_prefix("(API ")?.strip_suffix(')')?;
        if api_version.is_empty() || api_version.contains(char::is_whitespace) {
            return None;
        }
        Self::parse(version)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (major, minor, rest) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
        let digits = rest.find(|symbol: char| !symbol.is_ascii_digit()).unwrap_or(rest.len());
        let (patch, suffix) = rest.split_at(digits);
        let mark = suffix.trim_start_matches('.');
        let is_prerelease = ["dev", "a", "b", "c", "rc", "pre"].iter().any(|kind| mark.starts_with(kind));
        Some(Self { text: text.to_owned(), release: (major, minor, patch.parse().ok()?), is_prerelease })
    }

    /// Returns whether the client renews the lease on its deployment's concurrency slot (since 3.4.11).
    pub fn renews_leases(&self) -> bool {
        let since = (3, 4, 11);
        self.release > since || (self.release == since && !self.is_prerelease)
    }

    /// Returns whether the client knows that a work pool has a storage for results (since 3.3.8).
    ///
    /// A post-release or a build of 3.3.7 counts as later, as it does Prefect.
    pub fn knows_result_storage(&self) -> bool {
        let without = (3, 3, 7);
        self.release > without || (self.release == without && !self.is_prerelease && self.text != "3.3.7")
    }

    /// Returns whether the client's worker takes deployment slots itself, as those of 3.0.0rc20 to 3.0.3 do.
    pub fn manages_deployment_slots(&self) -> bool {
        ["3.0.0rc20", "3.0.0", "3.0.1", "3.0.2", "3.0.3"].contains(&self.text.as_str())
    }
}

/// The client that proposes a state, as far as its request tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The API version that it speaks; `None` stands for the current one.
    pub api_version: Option<ApiVersion>,
    /// The `prefect` release that it runs; `None` when it is not the Python client.
    pub version: Option<ClientVersion>,
}

impl Client {
    /// Returns whether the client knows pauses, as every one does that speaks 0.8.4 or does not say.
    pub fn knows_pauses(&self) -> bool {
        self.api_version.is_none_or(|version| version >= ApiVersion(0, 8, 4))
    }

    /// Returns whether a flow run's retry must reset its failed task runs for the client (before 0.8.3).
    pub fn retries_task_runs_with_the_flow(&self) -> bool {
        self.api_version.is_some_and(|version| version < ApiVersion(0, 8, 3))
    }

    /// Returns whether the client is known to renew the leases that it holds.
    pub fn renews_leases(&self) -> bool {
        self.version.as_ref().is_some_and(ClientVersion::renews_leases)
    }

    /// Returns whether the client knows that a work pool has a storage for results, as all do but old Python clients.
    pub fn knows_result_storage(&self) -> bool {
        self.version.as_ref().is_none_or(ClientVersion::knows_result_storage)
    }

    /// Returns whether the client is known to take deployment slots itself.
    pub fn manages_deployment_slots(&self) -> bool {
        self.version.as_ref().is_some_and(ClientVersion::manages_deployment_slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(user_agent: &str) -> Client {
        Client { version: ClientVersion::from_user_agent(user_agent), ..Client::default() }
    }

    #[test]
    fn tells_who_renews_leases() {
        assert!(client("prefect/3.8.8 (API 0.8.4)").renews_leases());
        assert!(client("prefect/3.4.11 (API 0.8.4)").renews_leases());
        assert!(client("prefect/3.4.11.post1 (API 0.8.4)").renews_leases());
        assert!(!client("prefect/3.4.11.dev1 (API 0.8.4)").renews_leases());
        assert!(!client("prefect/3.4.11rc1 (API 0.8.4)").renews_leases());
        assert!(!client("prefect/3.4.10 (API 0.8.4)").renews_leases());
    }

    #[test]
    fn tells_who_knows_result_storages() {
        for version in ["3.3.8", "3.3.8rc1", "3.3.8.dev1", "3.3.7.post1", "3.3.7+build", "3.3.7.1", "3.8.8", "4.0.0"] {
            assert!(client(&format!("prefect/{version} (API 0.8.4)")).knows_result_storage(), "{version}");
        }
        for version in ["3.3.7", "3.3.7rc1", "3.3.7.dev2", "3.3.6.post1", "3.0.0", "2.20.0"] {
            assert!(!client(&format!("prefect/{version} (API 0.8.4)")).knows_result_storage(), "{version}");
        }
        for other in ["", "curl/8.0", "prefect/3.3 (API 0.8.4)", "prefect/3.3.6"] {
            assert!(client(other).knows_result_storage(), "{other}");
        }
    }

    #[test]
    fn tells_whose_workers_take_slots_themselves() {
        assert!(client("prefect/3.0.0rc20 (API 0.8.4)").manages_deployment_slots());
        assert!(!client("prefect/3.0.4 (API 0.8.4)").manages_deployment_slots());
    }

    #[test]
    fn knows_nothing_of_other_clients() {
        for user_agent in ["", "curl/8.0", "prefect/3.8 (API 0.8.4)", "prefect/3.8.8", "prefect/3.8.8 (API )"] {
            assert_eq!(ClientVersion::from_user_agent(user_agent), None, "{user_agent}");
        }
    }

    #[test]
    fn reads_api_versions() {
        assert_eq!("0.8.4".parse(), Ok(ApiVersion(0, 8, 4)));
        assert_eq!("0.8".parse::<ApiVersion>(), Err(InvalidApiVersion));
        assert_eq!("0.8.x".parse::<ApiVersion>(), Err(InvalidApiVersion));
    }
}
