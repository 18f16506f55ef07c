//! The master key in the cloud: a key in AWS KMS, which never leaves it.
//!
//! A data key is made and wrapped in one call, and bound to the table and to its own id by KMS's encryption context. So who
//! may use the master key for one table can't open what lies in another one.

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use base64::{Engine, prelude::BASE64_STANDARD};
use error::{Error, Result};
use futures::future::BoxFuture;
use sealing::KeyBytes;
use serde_json::{Value, json};
use services::vault::{Generated, Master};

use crate::aws_json::{CallError, Caller, Protocol, Service};

/// How KMS is called.
const KMS: Protocol = Protocol { name: "kms", endpoint: "KMS", target: "TrentService" };

/// The codes with which KMS says that asking again will not help (AWS: "Decrypt", "`GenerateDataKey`").
const FINAL: [&str; 9] = [
    "AccessDeniedException",
    "DisabledException",
    "IncorrectKeyException",
    "InvalidCiphertextException",
    "InvalidGrantTokenException",
    "InvalidKeyUsageException",
    "KMSInvalidStateException",
    "NotFoundException",
    "ValidationException",
];

/// A key in KMS that wraps the data keys of a table.
#[derive(Debug)]
pub struct KmsKey {
    /// The ARN of the key.
    key: String,
    table: String,
    service: Service,
}

impl KmsKey {
    /// Takes the key of the ARN `key` for `table`, which is asked for as the environment says.
    ///
    /// # Errors
    /// [`Error::Internal`] if the environment names no region.
    pub fn of_environment(key: &str, table: &str, http_client: SharedHttpClient) -> Result<Self> {
        Ok(Self::new(key, table, Caller::of_environment(http_client)?))
    }

    /// Takes the key of the ARN `key` for `table`, which is asked for as the SDK is configured.
    ///
    /// # Errors
    /// [`Error::Internal`] if the configuration has no region or no credentials.
    pub fn of_config(key: &str, table: &str, config: &SdkConfig) -> Result<Self> {
        Ok(Self::new(key, table, Caller::of_config(config)?))
    }

    fn new(key: &str, table: &str, caller: Caller) -> Self {
        Self { key: key.into(), table: table.into(), service: Service::new(KMS, caller) }
    }

    /// Asks for an operation; `context` is what the data key is bound to, besides the table.
    async fn call(&self, operation: &str, key: &str, context: &str, mut question: Value) -> Result<Value> {
        question["KeyId"] = key.into();
        question["EncryptionContext"] = json!({ "proctor:table": self.table, "proctor:data-key": context });
        self.service.call(operation, &question, "Plaintext").await.map_err(|error| match error {
            CallError::Refused(code) if FINAL.contains(&code.as_str()) => {
                Error::Sealed(format!("KMS refuses the key {key} of the data of blocks: {code}"))
            }
            CallError::Refused(reason) | CallError::Unreachable(reason) => {
                Error::Unavailable(format!("KMS does not answer for the key {key}: {reason}"))
            }
        })
    }
}

impl Master for KmsKey {
    fn generate<'m>(&'m self, context: &'m str) -> BoxFuture<'m, Result<Generated>> {
        Box::pin(async move {
            let answer = self.call("GenerateDataKey", &self.key, context, json!({ "KeySpec": "AES_256" })).await?;
            let wrapped = answer.get("CiphertextBlob").and_then(Value::as_str).ok_or_else(|| odd("wrapped key"))?;
            // The ARN of the key itself, also where an alias was asked for: an alias may name another one later.
            let master = answer.get("KeyId").and_then(Value::as_str).unwrap_or(&self.key);
            Ok(Generated { key: plain(&answer)?, wrapped: wrapped.into(), master: master.into() })
        })
    }

    fn unwrap<'m>(&'m self, master: &'m str, wrapped: &'m str, context: &'m str) -> BoxFuture<'m, Result<KeyBytes>> {
        Box::pin(async move {
            let answer = self.call("Decrypt", master, context, json!({ "CiphertextBlob": wrapped })).await?;
            plain(&answer)
        })
    }
}

fn plain(answer: &Value) -> Result<KeyBytes> {
    let text = answer.get("Plaintext").and_then(Value::as_str);
    let bytes = text.and_then(|text| BASE64_STANDARD.decode(text).ok());
    bytes.and_then(|bytes| KeyBytes::new(&bytes)).ok_or_else(|| odd("key"))
}

fn odd(what: &str) -> Error {
    Error::Internal(format!("KMS answered with no {what}"))
}
