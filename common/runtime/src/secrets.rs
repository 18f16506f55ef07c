//! Secrets that a function reads from AWS Secrets Manager.

use std::fmt;

use access::{Reading, SecretSource, StoredSecret};
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use domain::access::Secret;
use error::{Error, Result};
use serde_json::{Value, json};

use crate::aws_json::{CallError, Caller, Protocol, Service};

/// How Secrets Manager is called.
const SECRETS_MANAGER: Protocol =
    Protocol { name: "secretsmanager", endpoint: "SECRETS_MANAGER", target: "secretsmanager" };

/// Which value of a secret is asked for (AWS: "What's in a Secrets Manager secret?").
#[derive(Clone, Copy, Debug)]
enum Label {
    /// The one that is in use.
    Current,
    /// The one that was in use before.
    Previous,
}

/// One secret in Secrets Manager.
struct StoredValue {
    id: String,
    service: Service,
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
    StoredSecret::read(Box::new(TwoValues(StoredValue::new(id, http_client)?))).await
}

/// Prepares to read the value that functions show to the relay, from the secret `id`.
///
/// # Errors
/// [`Error::Internal`] if the environment names no region.
pub(crate) fn relay_value(id: &str, http_client: SharedHttpClient) -> Result<RelayValue> {
    Ok(RelayValue(StoredValue::new(id, http_client)?))
}

/// Reads the value that functions show to the relay from the secret `id`, as the SDK is configured.
///
/// The previous value is right as well: a function that runs has it until it is refused.
///
/// # Errors
/// If there is no such secret, or it can't be read.
pub async fn relay_values(id: &str, config: &SdkConfig) -> Result<StoredSecret> {
    let service = Service::new(SECRETS_MANAGER, Caller::of_config(config)?);
    StoredSecret::read(Box::new(TwoValues(StoredValue { id: id.into(), service }))).await
}

/// The value that functions show to the relay.
#[derive(Debug)]
pub(crate) struct RelayValue(StoredValue);

impl RelayValue {
    /// Reads the value that is in use.
    pub(crate) async fn read(&self) -> Result<Secret> {
        self.0.read(Label::Current).await?.ok_or_else(|| self.0.unreadable("it is not there"))
    }
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

/// A value that is right as long as it is the current one or the one before.
#[derive(Debug)]
struct TwoValues(StoredValue);

impl SecretSource for TwoValues {
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
        Ok(Self { id: id.into(), service: Service::new(SECRETS_MANAGER, Caller::of_environment(http_client)?) })
    }

    /// Reads the value with the label; `None` if no value has it.
    async fn read(&self, label: Label) -> Result<Option<Secret>> {
        let stage = match label {
            Label::Current => "AWSCURRENT",
            Label::Previous => "AWSPREVIOUS",
        };
        let question = json!({ "SecretId": self.id, "VersionStage": stage });
        match self.service.call("GetSecretValue", &question, "SecretString").await {
            Ok(answer) => match answer.get("SecretString").and_then(Value::as_str) {
                Some(text) => Ok(Some(Secret(text.into()))),
                None => Err(self.unreadable("it is no text")),
            },
            Err(CallError::Refused(code)) if code == "ResourceNotFoundException" => Ok(None),
            Err(CallError::Refused(reason) | CallError::Unreachable(reason)) => Err(self.unreadable(&reason)),
        }
    }

    fn unreadable(&self, reason: &str) -> Error {
        Error::Unavailable(format!("the secret {} can't be read: {reason}", self.id))
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
}
