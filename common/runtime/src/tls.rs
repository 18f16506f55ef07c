//! Which certificates a function trusts when it talks to AWS.
//!
//! The default reads and parses all authorities of the system, which takes half of a cold start. Functions talk to
//! nobody but AWS, whose endpoints are certified by Amazon Trust Services (<https://www.amazontrust.com/repository/>);
//! its five roots are in this binary. Wherever something else may answer, the system's authorities are trusted.

use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use error::{Error, Result};

/// Amazon Root CA 1 to 4 and Starfield Services Root Certificate Authority - G2, valid until 2037 and longer.
const AMAZONS_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// Variables that say themselves whom to trust, as OpenSSL and rustls have them.
const CHOICES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Variables that may name an endpoint that is not AWS's.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"];

/// What encrypts: ring, as the C of the SDK's default takes minutes to compile.
const PROVIDER: Provider = Provider::Rustls(CryptoMode::Ring);

/// Returns the HTTP client of a function, which trusts AWS alone unless the environment says that something else may answer.
///
/// # Errors
/// [`Error::Internal`] if the TLS library refuses its settings.
pub fn http_client() -> Result<SharedHttpClient> {
    if is_aws_alone(|name| std::env::var(name).ok()) { client_of_amazon() } else { Ok(client_of_everybody()) }
}

/// Returns an HTTP client that trusts the authorities of the system, or those that the environment names.
pub fn client_of_everybody() -> SharedHttpClient {
    Builder::new().tls_provider(PROVIDER).build_https()
}

fn client_of_amazon() -> Result<SharedHttpClient> {
    let roots = TrustStore::empty().with_pem_certificate(AMAZONS_ROOTS);
    let context = TlsContext::builder().with_trust_store(roots).build();
    let context = context.map_err(|error| Error::Internal(format!("TLS can't be set up: {error}")))?;
    Ok(Builder::new().tls_provider(PROVIDER).tls_context(context).build_https())
}

fn is_aws_alone(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_elsewhere = |name: &&str| variable(name).is_some_and(|address| address.starts_with("https:"));
    let is_chosen = |name: &&str| variable(name).is_some();
    // The regions of China have authorities of their own.
    let is_in_china = variable("AWS_REGION").is_some_and(|region| region.starts_with("cn-"));
    !is_in_china && !CHOICES.iter().any(is_chosen) && !ENDPOINTS.iter().any(is_elsewhere)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{
        Client, Config,
        config::{BehaviorVersion, Credentials, Region, retry::RetryConfig},
    };

    use super::*;
    use store::{Shards, Store};

    #[test]
    fn trusts_amazon_alone_only_where_nothing_else_can_answer() {
        let alone =
            |name: &'static str, value: &'static str| is_aws_alone(|asked| (asked == name).then(|| value.to_owned()));
        assert!(alone("AWS_REGION", "eu-central-1"));
        assert!(alone("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8001"));
        assert!(!alone("AWS_ENDPOINT_URL", "https://emulator"));
        assert!(!alone("SSL_CERT_FILE", "/etc/ssl/ours.pem"));
        assert!(!alone("AWS_REGION", "cn-north-1"));
    }

    #[tokio::test]
    async fn the_roots_are_readable() {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("local"))
            .credentials_provider(Credentials::for_tests())
            .retry_config(RetryConfig::disabled())
            // Nobody listens there: the client gets as far as connecting.
            .endpoint_url("https://127.0.0.1:9")
            .http_client(client_of_amazon().unwrap());
        let store = Store::new(Client::from_conf(config.build()), "proctor-records", Shards(1));
        let failure = store.is_ready().await.unwrap_err();
        assert!(matches!(failure, Error::Unavailable(_)), "{failure}");
    }
}
