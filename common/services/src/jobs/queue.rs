//! The queue of jobs that is done after its request was answered: the only place that knows SQS.
//!
//! Messages derive from the table's stream, whose consumer alone sends them: what is written is followed up, and what
//! is not written is not, whichever process dies in between. A message says where the work stands in the table, so that
//! one that comes twice or late finds nothing left to do.

use std::{fmt::Display, sync::Arc, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{BatchResultErrorEntry, QueueAttributeName, SendMessageBatchRequestEntry},
};
use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};

use domain::model::{
    BulkOperationId, CleanupMessage, DeadLetterId, DeploymentId, FiringId, FlowRunId, StateType, Timestamp,
    deployment::VoidRuns,
};
use error::{Error, Result};
use store::Key;

use crate::connections::backfill::Look;

/// How many messages one call sends (AWS: "`SendMessageBatch`").
const BATCH: usize = 10;

/// How long a message can be delayed, in seconds (AWS: "Amazon SQS message quotas").
const LONGEST_DELAY: u64 = 900;

/// A piece of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Message {
    /// A step of a part of an operation on many flow runs.
    BulkStep {
        /// The operation.
        operation: BulkOperationId,
        /// The part's number.
        part: usize,
        /// How many steps of it were done when the message was sent.
        step: u64,
    },
    /// The timers of a partition that are due, or nearly.
    Timers {
        /// The partition.
        partition: String,
        /// The place of the timer from which on; those before were fired, or can't be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// A timer that is due, or a flow run that is late.
    Timer {
        /// The key of the run, the state or the lease that it belongs to.
        of: Key,
    },
    /// The flow runs of a partition that are late if they were not started, or soon will be.
    LateRuns {
        /// The partition.
        partition: String,
        /// The time or the place of the run behind which they are; those before were looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// The last time that they were to start at.
        until: Timestamp,
    },
    /// The deployments of a partition whose schedules are to be looked at.
    Schedules {
        /// The partition.
        partition: String,
    },
    /// A deployment whose schedules are to be looked at.
    Schedule {
        /// The deployment.
        deployment: DeploymentId,
    },
    /// The deletion of the runs that a change of a deployment has made void.
    VoidRuns {
        /// The deployment.
        deployment: DeploymentId,
        /// Which runs.
        void: VoidRuns,
    },
    /// The cancellation of what runs within a flow run that was cancelled.
    CancelChildren {
        /// The flow run.
        flow_run: FlowRunId,
    },
    /// An action of an automation that was triggered.
    Act {
        /// The firing.
        firing: FiringId,
        /// The action's place among all that the firing has carried out.
        action: usize,
    },
    /// Another try of work that failed for good.
    Redrive {
        /// The dead letter that holds it.
        letter: DeadLetterId,
    },
    /// A look for the first and the last state of a type and name, since one of them was deleted.
    ObservedState {
        /// The type.
        state_type: StateType,
        /// The name.
        state_name: String,
    },
    /// A cleanup that no worker acknowledged, as a dead letter; it is delivered anew.
    Cleanup {
        /// The cleanup.
        message: Box<CleanupMessage>,
    },
    /// A step of the count of runs and events that were there before tallies.
    TallyFill {
        /// How many steps were done when the message was sent.
        step: u64,
    },
    /// A look at what happened before a client was told of events as they happen.
    Backfill {
        /// The gateway's id of the connection.
        connection: String,
        /// Which events, and how far the client was told of them.
        look: Look,
    },
    /// The removal of what belonged to a record that was deleted.
    Removal {
        /// The record's key.
        of: Key,
        /// Whether everything that was found before is gone already.
        #[serde(default)]
        is_second_look: bool,
    },
}

/// The queue; clones share it.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: Arc<str>,
}

impl Queue {
    /// Reaches the queue at `url` through `client`.
    pub fn new(client: Client, url: &str) -> Self {
        Self { client, url: url.into() }
    }

    /// Sends `messages`, in no order.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if one could not be sent; others may have been.
    pub async fn send(&self, messages: &[Message]) -> Result<()> {
        let deliveries: Vec<_> = messages.iter().map(|message| (message.clone(), Duration::ZERO)).collect();
        self.send_later(&deliveries).await
    }

    /// Sends messages, each of which is delivered after a delay of whole seconds, 15 minutes at most.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if one could not be sent, another error if the queue will never take it; others may have been
    /// sent.
    pub async fn send_later(&self, deliveries: &[(Message, Duration)]) -> Result<()> {
        let batches = deliveries.chunks(BATCH).map(|batch| self.send_batch(batch));
        futures::future::try_join_all(batches).await.map(drop)
    }

    async fn send_batch(&self, batch: &[(Message, Duration)]) -> Result<()> {
        let mut request = self.client.send_message_batch().queue_url(&*self.url);
        for (place, (message, delay)) in batch.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(serde_json::to_string(message)?)
                .delay_seconds(i32::try_from(delay.as_secs().min(LONGEST_DELAY)).unwrap_or_default())
                .build()
                .map_err(|error| Error::Internal(error.to_string()))?;
            request = request.entries(entry);
        }
        match request.send().await {
            Ok(answer) => refusal(answer.failed()).map_or(Ok(()), Err),
            Err(error) => Err(match error.into_service_error() {
                error if error.is_batch_request_too_long() => Error::TooLarge(not_taken(&error)),
                error => Error::Unavailable(not_taken(&error)),
            }),
        }
    }
}

/// Says why messages of a batch were not taken, if some were not.
///
/// What is wrong with a message itself, such as its size, is wrong the next time as well. What passes is told of first, so
/// that it is tried again.
fn refusal(failures: &[BatchResultErrorEntry]) -> Option<Error> {
    let failure = failures.iter().find(|failure| !failure.sender_fault()).or(failures.first())?;
    let reason = failure.message().unwrap_or(failure.code());
    Some(if failure.sender_fault() {
        Error::Internal(not_taken(&reason))
    } else {
        Error::Unavailable(not_taken(&reason))
    })
}

fn not_taken(reason: &impl Display) -> String {
    format!("the queue did not take a message: {reason}")
}

/// Where the queue is, for a handler that only measures it: no handler sends a message.
///
/// The client is made by who measures, so that no other function links it.
#[derive(Clone, Debug)]
pub enum QueueLocation {
    /// In SQS.
    Sqs {
        /// How AWS is reached.
        config: SdkConfig,
        /// The queue's address.
        url: String,
    },
    /// Within this process, whatever its address.
    Embedded(aws_sdk_sqs::Config),
}

/// How many messages are in the queue, which SQS counts approximately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct QueueDepth {
    /// How many wait to be handed out.
    pub waiting: u64,
    /// How many were handed out and are not acknowledged.
    pub in_hand: u64,
    /// How many are not to be handed out yet.
    pub delayed: u64,
}

impl QueueLocation {
    /// Counts the messages of the queue.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it can't be asked, or does not tell.
    pub async fn depth(&self) -> Result<QueueDepth> {
        let (client, url) = match self {
            Self::Sqs { config, url } => (Client::new(config), url.as_str()),
            Self::Embedded(config) => (Client::from_conf(config.clone()), "embedded"),
        };
        let [waiting, in_hand, delayed] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let request = client.get_queue_attributes().queue_url(url);
        let names = [&waiting, &in_hand, &delayed].map(Clone::clone);
        let answer = request.set_attribute_names(Some(names.into())).send().await;
        let unavailable = |reason: String| Error::Unavailable(format!("the queue does not tell its depth: {reason}"));
        let answer = answer.map_err(|error| unavailable(error.into_service_error().to_string()))?;
        let count = |name: &QueueAttributeName| {
            let number = answer.attributes().and_then(|attributes| attributes.get(name)?.parse().ok());
            number.ok_or_else(|| unavailable(format!("no {name}")))
        };
        Ok(QueueDepth { waiting: count(&waiting)?, in_hand: count(&in_hand)?, delayed: count(&delayed)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_the_queue_never_takes_is_told_from_one_that_it_takes_later() {
        let failure = |id: &str, code: &str, is_ours: bool| {
            BatchResultErrorEntry::builder().id(id).code(code).sender_fault(is_ours).build().unwrap()
        };
        let (large, later) = (failure("0", "InvalidParameterValue", true), failure("1", "InternalError", false));
        assert!(refusal(&[]).is_none());
        assert!(!refusal(std::slice::from_ref(&large)).unwrap().is_passing());
        assert!(refusal(&[large, later]).unwrap().is_passing());
    }
}
