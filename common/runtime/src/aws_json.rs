//! Calls of AWS services that a function needs an operation or two of.
//!
//! They are put together here of the parts that the clients of DynamoDB and SQS consist of: signing, retries, connections.
//! The SDK's own clients for them are larger (docs/build.md).

use std::{fmt, time::Duration};

use aws_config::{
    SdkConfig, environment::EnvironmentVariableCredentialsProvider, retry::RetryConfig, timeout::TimeoutConfig,
};
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
    orchestrator::operation::{Operation, OperationBuilder},
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
        identity::{SharedIdentityCache, SharedIdentityResolver},
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
use error::{Error, Result};
use serde_json::Value;

/// How long a connection may take, and each attempt to read: together far less than a request may take.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(4));

/// What the name of a variable starts with that names another endpoint, of all services or of one.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// A service of AWS that speaks JSON, version 1.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    /// The name of the service in signatures and host names.
    pub(crate) name: &'static str,
    /// What the variable ends with that names another endpoint of it.
    pub(crate) endpoint: &'static str,
    /// What stands before the name of an operation.
    pub(crate) target: &'static str,
}

/// Where a service is called, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    region: String,
    credentials: SharedCredentialsProvider,
    http_client: SharedHttpClient,
}

impl Caller {
    /// Calls in the region and with the credentials that Lambda puts into the environment.
    pub(crate) fn of_environment(http_client: SharedHttpClient) -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.ok_or_else(|| Error::Internal("AWS_REGION is not set".into()))?;
        let credentials = SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new());
        Ok(Self { region, credentials, http_client })
    }

    /// Calls as the SDK is configured to.
    pub(crate) fn of_config(config: &SdkConfig) -> Result<Self> {
        let missing = |what: &str| Error::Internal(format!("the SDK has no {what}"));
        let region = config.region().ok_or_else(|| missing("region: set AWS_REGION"))?.to_string();
        let credentials = config.credentials_provider().ok_or_else(|| missing("credentials"))?;
        let http_client = config.http_client().ok_or_else(|| missing("HTTP client"))?;
        Ok(Self { region, credentials, http_client })
    }

    /// Returns the address of a service, which a variable that ends with `suffix` may name, or one of all services.
    pub(crate) fn endpoint(&self, service: &str, suffix: &str) -> String {
        let variable = |name: &str| std::env::var(name).ok();
        let named = variable(&format!("{ENDPOINT}_{suffix}")).or_else(|| variable(ENDPOINT));
        named.unwrap_or_else(|| endpoint_in(service, &self.region))
    }
}

/// What is asked of a service.
struct Question {
    target: String,
    body: String,
}

impl fmt::Debug for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.target)
    }
}

/// What a service answered, which may be secret.
struct Answer(Value);

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Answer")
    }
}

/// Why a service did not answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// It refused the call, with this code.
    Refused(String),
    /// It could not be reached, or not in time.
    Unreachable(String),
}

/// A service that is called.
pub(crate) struct Service {
    protocol: Protocol,
    operation: Operation<Question, Answer, ErrorMetadata>,
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.protocol.name)
    }
}

impl Service {
    /// Prepares calls of a service.
    pub(crate) fn new(protocol: Protocol, caller: Caller) -> Self {
        let endpoint = caller.endpoint(protocol.name, protocol.endpoint);
        Self { protocol, operation: operation(protocol, &endpoint, caller) }
    }

    /// Calls an operation with a body; an answer that lacks the field `wanted` is a refusal as well.
    pub(crate) async fn call(
        &self,
        operation: &str,
        body: &Value,
        wanted: &str,
    ) -> std::result::Result<Value, CallError> {
        let target = format!("{}.{operation}", self.protocol.target);
        match self.operation.invoke(Question { target, body: body.to_string() }).await {
            Ok(Answer(answer)) if answer.get(wanted).is_some() => Ok(answer),
            Ok(_) => Err(CallError::Refused(format!("there is no {wanted}"))),
            Err(error) => match error.as_service_error().map(ErrorMetadata::code) {
                Some(code) => Err(CallError::Refused(code.unwrap_or("unknown").to_owned())),
                None => Err(CallError::Unreachable(format!("{error:?}"))),
            },
        }
    }
}

/// Returns a service's address in `region`, whose partition has a domain of its own.
fn endpoint_in(service: &str, region: &str) -> String {
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{service}.{region}.{domain}")
}

fn operation(protocol: Protocol, endpoint: &str, caller: Caller) -> Operation<Question, Answer, ErrorMetadata> {
    let (connect, attempt) = PATIENCE;
    signed(protocol.name, endpoint, caller, IdentityCache::no_cache())
        .standard_retry(&RetryConfig::standard())
        .retry_classifier(HttpStatusCodeClassifier::default())
        .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
        .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
        .timeout_config(TimeoutConfig::builder().connect_timeout(connect).operation_attempt_timeout(attempt).build())
        .serializer(request)
        .deserializer(answer)
        .build()
}

/// Prepares calls of a service that are signed; what they say, and how long they may take, is left to add.
pub(crate) fn signed(
    service: &'static str,
    endpoint: &str,
    caller: Caller,
    identities: SharedIdentityCache,
) -> OperationBuilder {
    let Caller { region, credentials, http_client } = caller;
    let mut signing = Layer::new("signing");
    signing.store_put(AuthSchemeOptionResolverParams::new(()));
    signing.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(Region::new(region))),
        name: Some(SigningName::from_static(service)),
        ..SigV4OperationSigningConfig::default()
    });
    let identity = SharedIdentityResolver::new(credentials);
    let signer = RuntimeComponentsBuilder::new("signing")
        .with_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()))
        .with_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )))
        .with_identity_cache(Some(identities))
        .with_identity_resolver(SCHEME_ID, identity);
    Operation::builder()
        .service_name(service)
        .operation_name("call")
        .behavior_version(BehaviorVersion::latest())
        .http_client(http_client)
        .endpoint_url(endpoint)
        .runtime_plugin(StaticRuntimePlugin::new().with_config(signing.freeze()).with_runtime_components(signer))
        .sleep_impl(TokioSleep::new())
        .time_source(SystemTimeSource::new())
}

fn request(question: Question) -> std::result::Result<HttpRequest, BoxError> {
    let mut request = HttpRequest::new(SdkBody::from(question.body));
    request.set_method("POST")?;
    request.headers_mut().insert("content-type", "application/x-amz-json-1.1");
    request.headers_mut().insert("x-amz-target", question.target);
    Ok(request)
}

fn answer(response: &HttpResponse) -> std::result::Result<Answer, OrchestratorError<ErrorMetadata>> {
    let body: Value = serde_json::from_slice(response.body().bytes().unwrap_or_default()).unwrap_or_default();
    if response.status().is_success() {
        return Ok(Answer(body));
    }
    // `namespace#Code` in the protocol, and the code alone in fact.
    let code = body.get("__type").and_then(Value::as_str).and_then(|kind| kind.rsplit('#').next());
    let code = code.unwrap_or("it is no text");
    Err(OrchestratorError::operation(ErrorMetadata::builder().code(code).build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_an_endpoint() {
        assert_eq!(endpoint_in("kms", "eu-central-1"), "https://kms.eu-central-1.amazonaws.com");
        assert_eq!(endpoint_in("kms", "cn-north-1"), "https://kms.cn-north-1.amazonaws.com.cn");
    }

    #[test]
    fn what_is_asked_and_answered_is_not_shown() {
        let question = Question { target: "T".into(), body: "secret".into() };
        assert_eq!(format!("{question:?} {:?}", Answer("secret".into())), "T Answer");
    }
}
