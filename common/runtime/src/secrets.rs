//! Secrets that a function reads from AWS Secrets Manager.
//!
//! One operation is all that a function asks for, so it is put together here of the parts that the clients of DynamoDB
//! and SQS consist of: signing, retries, connections. The SDK's own client for it is larger (docs/build.md).

use std::{fmt, time::Duration};

use access::{Reading, SecretSource, StoredSecret};
use aws_config::{environment::EnvironmentVariableCredentialsProvider, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::{
    auth::{
        SigV4OperationSigningConfig,
        sigv4::{SCHEME_ID, SigV4AuthScheme},
    },
    retries::classifiers::AwsErrorCodeClassifier,
};
use aws_smithy_async::{rt::sleep::TokioSleep, time::SystemTimeSource};
use aws_smithy_runtime::client::{
    identity::IdentityCache,
    orchestrator::operation::Operation,
    retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        auth::{
            AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
            static_resolver::StaticAuthSchemeOptionResolver,
        },
        behavior_version::BehaviorVersion,
        http::SharedHttpClient,
        identity::SharedIdentityResolver,
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        runtime_components::RuntimeComponentsBuilder,
        runtime_plugin::StaticRuntimePlugin,
    },
};
use aws_smithy_types::{body::SdkBody, config_bag::Layer, error::ErrorMetadata};
use aws_types::{
    SigningName,
    region::{Region, SigningRegion},
};
use domain::access::Secret;
use error::{Error, Result};
use serde_json::{Value, json};

/// The variables that name another endpoint, the more special one first.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"];

/// The name of the service in signatures and host names.
const SERVICE: &str = "secretsmanager";

/// How long a connection may take, and each attempt to read: together far less than a request may take.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));

/// Which value of a secret is asked for (AWS: "What's in a Secrets Manager secret?").
#[derive(Clone, Copy, Debug)]
enum Label {
    /// The one that is in use.
    Current,
    /// The one that was in use before.
    Previous,
}

/// What is asked for: the body of a request.
#[derive(Debug)]
struct Question(String);

/// One secret in Secrets Manager.
struct StoredValue {
    id: String,
    operation: Operation<Question, Secret, ErrorMetadata>,
}

impl fmt::Debug for StoredValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("StoredValue").field(&self.id).finish()
    }
}

/// Reads the `user:password` that callers have to know from the secret `id`.
///
/// # Errors
/// If there is no such secret, or it can't be read.
pub async fn auth_string(id: &str, http_client: SharedHttpClient) -> Result<StoredSecret> {
    StoredSecret::read(Box::new(AuthString(StoredValue::new(id, http_client)?))).await
}

/// Reads the value that CloudFront sends, from the secret `id`.
///
/// The previous value is right as well: CloudFront takes minutes to send another one from all of its locations.
///
/// # Errors
/// If there is no such secret, or it can't be read.
pub async fn origin_value(id: &str, http_client: SharedHttpClient) -> Result<StoredSecret> {
    StoredSecret::read(Box::new(OriginValue(StoredValue::new(id, http_client)?))).await
}

#[derive(Debug)]
struct AuthString(StoredValue);

impl SecretSource for AuthString {
    fn read(&self) -> Reading<'_> {
        Box::pin(async move {
            let current = self.0.read(Label::Current).await?;
            Ok(current.map(as_auth_string).into_iter().collect())
        })
    }
}

#[derive(Debug)]
struct OriginValue(StoredValue);

impl SecretSource for OriginValue {
    fn read(&self) -> Reading<'_> {
        Box::pin(async move {
            let Some(current) = self.0.read(Label::Current).await? else { return Ok(Vec::new()) };
            Ok([current].into_iter().chain(self.0.read(Label::Previous).await?).collect())
        })
    }
}

/// Returns `user:password`, which may be written as the object that Secrets Manager's console makes and rotates.
fn as_auth_string(text: Secret) -> Secret {
    let Ok(Value::Object(fields)) = serde_json::from_str(&text.0) else { return text };
    match (fields.get("username"), fields.get("password")) {
        (Some(Value::String(user)), Some(Value::String(password))) => Secret(format!("{user}:{password}")),
        _ => text,
    }
}

impl StoredValue {
    fn new(id: &str, http_client: SharedHttpClient) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.ok_or_else(|| Error::Internal("AWS_REGION is not set".into()))?;
        let endpoint = ENDPOINTS.into_iter().find_map(variable).unwrap_or_else(|| endpoint_in(&region));
        Ok(Self { id: id.into(), operation: operation(&endpoint, region, http_client) })
    }

    /// Reads the value with the label; `None` if no value has it.
    async fn read(&self, label: Label) -> Result<Option<Secret>> {
        let stage = match label {
            Label::Current => "AWSCURRENT",
            Label::Previous => "AWSPREVIOUS",
        };
        let question = Question(json!({ "SecretId": self.id, "VersionStage": stage }).to_string());
        match self.operation.invoke(question).await {
            Ok(secret) => Ok(Some(secret)),
            Err(error) => match error.as_service_error().map(ErrorMetadata::code) {
                Some(Some("ResourceNotFoundException")) => Ok(None),
                Some(code) => Err(self.unreadable(code.unwrap_or("unknown"))),
                None => Err(self.unreadable(&format!("{error:?}"))),
            },
        }
    }

    fn unreadable(&self, reason: &str) -> Error {
        Error::Unavailable(format!("the secret {} can't be read: {reason}", self.id))
    }
}

/// Returns the service's address in `region`, whose partition has a domain of its own.
fn endpoint_in(region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{SERVICE}.{region}.{domain}")
}

fn operation(
    endpoint: &str,
    region: String,
    http_client: SharedHttpClient,
) -> Operation<Question, Secret, ErrorMetadata> {
    let mut signing = Layer::new("signing");
    signing.store_put(AuthSchemeOptionResolverParams::new(()));
    signing.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(Region::new(region))),
        name: Some(SigningName::from_static(SERVICE)),
        ..SigV4OperationSigningConfig::default()
    });
    let credentials = SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new());
    let identity = SharedIdentityResolver::new(credentials);
    let signer = RuntimeComponentsBuilder::new("signing")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )))
        .with_identity_cache(Some(IdentityCache::no_cache()))
        .with_identity_resolver(SCHEME_ID, identity);
    let (connect, attempt) = PATIENCE;
    Operation::builder()
        .service_name(SERVICE)
        .operation_name("GetSecretValue")
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client)
        .endpoint_url(endpoint)
        .runtime_plugin(StaticRuntimePlugin::new().with_config(signing.freeze()).with_runtime_components(signer))
        .standard_retry(&RetryConfig::standard())
        .retry_classifier(HttpStatusCodeClassifier::default())
        .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
        .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
        .timeout_config(TimeoutConfig::builder().connect_timeout(connect).operation_attempt_timeout(attempt).build())
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
        .serializer(request)
        .deserializer(answer)
        .build()
}

fn request(question: Question) -> std::result::Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(question.0));
    request.set_method("POST")?;
    request.headers_mut().insert("content-type", "application/x-amz-json-1.1");
    request.headers_mut().insert("x-amz-target", "secretsmanager.GetSecretValue");
    Ok(request)
}

fn answer(response: &HttpResponse) -> std::result::Result<Secret, OrchestratorError<ErrorMetadata>> {
    let body: Value = serde_json::from_slice(response.body().bytes().unwrap_or_default()).unwrap_or_default();
    match body.get("SecretString").and_then(Value::as_str) {
        Some(text) if response.status().is_success() => Ok(Secret(text.into())),
        _ => {
            // `namespace#Code` in the protocol, and the code alone in fact.
            let code = body.get("__type").and_then(Value::as_str).and_then(|kind| kind.rsplit('#').next());
            let code = code.unwrap_or("it is no text");
            Err(OrchestratorError::operation(ErrorMetadata::builder().code(code).build()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_plain_or_in_an_object() {
        let read = |text: &str| as_auth_string(Secret(text.into())).0;
        assert_eq!(read("admin:pass"), "admin:pass");
        assert_eq!(read(r#"{"username":"admin","password":"pa:ss"}"#), "admin:pa:ss");
        for plain in [r#"{"username":"admin"}"#, "{admin:pass}", "5", ""] {
            assert_eq!(read(plain), plain);
        }
    }

    #[test]
    fn a_region_has_an_endpoint() {
        assert_eq!(endpoint_in("eu-central-1"), "https://secretsmanager.eu-central-1.amazonaws.com");
        assert_eq!(endpoint_in("cn-north-1"), "https://secretsmanager.cn-north-1.amazonaws.com.cn");
    }
}
