//! The queue of one machine behind the AWS SDK, in place of SQS.
//!
//! The sender speaks through `aws-sdk-sqs`, whose HTTP client is given one that answers from a [`LocalQueue`].

use std::{ops::Deref, time::Duration};

use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_smithy_runtime::client::auth::no_auth::NO_AUTH_SCHEME_ID;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use serde::Deserialize;
use serde_json::json;
use sqlite::{Depth, LocalQueue, OutgoingMessage, SqliteError};
use uuid::Uuid;

use crate::connector;

/// A queue to which the AWS SDK sends; clones share it.
#[derive(Clone, Debug)]
pub struct EmbeddedQueue(LocalQueue);

impl Deref for EmbeddedQueue {
    type Target = LocalQueue;

    fn deref(&self) -> &LocalQueue {
        &self.0
    }
}

impl EmbeddedQueue {
    /// Lets the AWS SDK send to `queue`.
    pub fn new(queue: LocalQueue) -> Self {
        Self(queue)
    }

    /// Returns an SDK configuration that sends to this queue, whatever address is named.
    pub fn sdk_config(&self) -> aws_sdk_sqs::Config {
        let connector = SharedHttpConnector::new(Connector(self.clone()));
        aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("local"))
            .allow_no_auth()
            .auth_scheme_preference([NO_AUTH_SCHEME_ID])
            .http_client(http_client_fn(move |_settings, _components| connector.clone()))
            .build()
    }

    async fn take(&self, request: SendMessageBatch) -> Result<serde_json::Value, SqliteError> {
        let sent: Vec<_> =
            request.entries.iter().map(|entry| json!({ "Id": entry.id, "MessageId": Uuid::new_v4() })).collect();
        let message = |entry: Entry| OutgoingMessage {
            body: entry.message_body,
            delay: Duration::from_secs(entry.delay_seconds.into()),
        };
        self.0.send(request.entries.into_iter().map(message).collect()).await?;
        Ok(json!({ "Successful": sent, "Failed": [] }))
    }

    /// Counts the messages, by SQS's names for what is counted.
    async fn attributes(&self) -> Result<serde_json::Value, SqliteError> {
        let Depth { waiting, in_hand, delayed } = self.0.depth().await?;
        Ok(json!({ "Attributes": {
            "ApproximateNumberOfMessages": waiting.to_string(),
            "ApproximateNumberOfMessagesNotVisible": in_hand.to_string(),
            "ApproximateNumberOfMessagesDelayed": delayed.to_string(),
        } }))
    }
}

/// The request of SQS's operation of the same name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch {
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    message_body: String,
    #[serde(default)]
    delay_seconds: u32,
}

#[derive(Clone, Debug)]
struct Connector(EmbeddedQueue);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let queue = self.0.clone();
        HttpConnectorFuture::new(async move {
            let refused = |reason: String| ConnectorError::user(reason.into());
            let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
            let answer = match target.as_str() {
                "AmazonSQS.SendMessageBatch" => {
                    let body = request.body().bytes().unwrap_or_default();
                    queue.take(serde_json::from_slice(body).map_err(|error| refused(error.to_string()))?).await
                }
                "AmazonSQS.GetQueueAttributes" => queue.attributes().await,
                _ => return Err(refused(format!("the embedded queue does not know {target}"))),
            };
            connector::respond(200, answer.map_err(|error| refused(error.to_string()))?.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::{
        Client,
        types::{QueueAttributeName, SendMessageBatchRequestEntry},
    };

    use super::*;
    use crate::EmbeddedDatabase;

    #[tokio::test]
    async fn what_the_sdk_sends_is_handed_out_and_counted() {
        let queue = EmbeddedDatabase::in_memory().unwrap().queue().unwrap();
        let client = Client::from_conf(queue.sdk_config());
        let entry = |id: &str, delay| {
            SendMessageBatchRequestEntry::builder().id(id).message_body(id).delay_seconds(delay).build().unwrap()
        };
        let request = client.send_message_batch().queue_url("http://queue");
        let sent = request.entries(entry("one", 0)).entries(entry("two", 0)).entries(entry("later", 60)).send().await;
        assert_eq!(sent.unwrap().successful().len(), 3);
        let received = queue.hand_out(1, Duration::from_mins(1)).await.unwrap();
        assert_eq!(received.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["one"]);
        let asked = client.get_queue_attributes().queue_url("http://queue");
        let answer = asked.attribute_names(QueueAttributeName::All).send().await.unwrap();
        let count = |name| answer.attributes().unwrap()[&name].clone();
        assert_eq!(count(QueueAttributeName::ApproximateNumberOfMessages), "1");
        assert_eq!(count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible), "1");
        assert_eq!(count(QueueAttributeName::ApproximateNumberOfMessagesDelayed), "1");
    }
}
