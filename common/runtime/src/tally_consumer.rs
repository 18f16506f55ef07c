//! The Lambda function that counts what the table's stream tells, in the order of each of its shards.
//!
//! Its event source mapping has a tumbling window for one reason: only with a window does an event say of which shard
//! its records are (AWS: "Implementing stateful DynamoDB stream processing in Lambda"). The window's state is not used,
//! so that nothing is lost with it: each batch is written before it is answered. At the end of a window Lambda invokes
//! the function without records.

use std::process::ExitCode;

use aws_lambda_events::dynamodb::{EventRecord, StreamRecord};
use lambda_http::Error;
use lambda_runtime::LambdaEvent;
use serde::Deserialize;
use serde_json::{Value, json};

use services::{App, tally_consumer};
use store::tallies::CountedChange;

use crate::{
    connect,
    lambda::{finish, image, reported, start},
    logging,
};

/// A batch of one shard, as the mapping hands it over.
#[derive(Debug, Deserialize)]
struct Batch {
    #[serde(rename = "Records", default)]
    records: Vec<EventRecord>,
    #[serde(rename = "shardId")]
    shard: Option<String>,
}

/// Runs the Lambda function that counts runs and events until the runtime ends the process.
///
/// Its event source mapping is to hand out one batch of a shard at a time, and to report batch item failures.
///
/// Returns a failure if the environment lacks a setting or the runtime API is gone; the cause is in the log.
pub fn run() -> ExitCode {
    logging::start();
    finish(start(serve()))
}

async fn serve() -> Result<(), Error> {
    let app = connect::from_env().await?;
    let app = &app;
    lambda_runtime::run(lambda_runtime::service_fn(|event: LambdaEvent<Batch>| async move {
        let id = event.context.request_id;
        Ok::<_, Error>(reported(app, "tally_consumer", id, consume(app, event.payload)).await)
    }))
    .await
}

/// Counts a batch; returns the answer that names the record from which on all are to be handed out again.
async fn consume(app: &App, batch: Batch) -> Value {
    let first = batch.records.first().and_then(|record| record.change.sequence_number.clone());
    let failures = match count(app, batch).await {
        Ok(()) => Vec::new(),
        Err(error) => {
            tracing::error!(%error, first, "a batch could not be counted");
            vec![json!({ "itemIdentifier": first.unwrap_or_default() })]
        }
    };
    // An answer without a state is a failure.
    json!({ "state": {}, "batchItemFailures": failures })
}

async fn count(app: &App, batch: Batch) -> error::Result<()> {
    if batch.records.is_empty() {
        return Ok(());
    }
    let without_window = || error::Error::Internal("the event has no shardId: its mapping has no window".into());
    let shard = batch.shard.ok_or_else(without_window)?;
    let mut changes = Vec::with_capacity(batch.records.len());
    for record in batch.records {
        let StreamRecord { keys, old_image, new_image, sequence_number, approximate_creation_date_time, .. } =
            record.change;
        let (number, time) = (sequence_number.unwrap_or_default(), approximate_creation_date_time.timestamp());
        changes.push(CountedChange::read(&number, time, keys, image(old_image), image(new_image))?);
    }
    tally_consumer::count(app, shard, changes).await
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::retry::RetryConfig;
    use embedded::{
        EmbeddedDatabase,
        faults::{Fault, Faults},
    };

    use super::*;
    use domain::{filter::RunFilters, model::Timestamp};
    use settings::Settings;
    use store::Store;

    /// The sample, which has the shape of AWS's example.
    fn sample() -> Value {
        serde_json::from_str(include_str!("../../../events/tally_consumer.json")).unwrap()
    }

    fn event(shard: Option<&str>, records: &Value, is_last: bool) -> Batch {
        let mut event = sample();
        event["Records"] = records.clone();
        event["shardId"] = json!(shard);
        event["isFinalInvokeForWindow"] = is_last.into();
        serde_json::from_value(event).unwrap()
    }

    fn run(number: &str) -> Value {
        let mut record = sample()["Records"][0].clone();
        record["dynamodb"]["SequenceNumber"] = number.into();
        record
    }

    async fn app(faults: &Faults) -> App {
        let database = EmbeddedDatabase::in_memory().unwrap();
        let config = EmbeddedDatabase::config_with(faults.before(database.http_client()));
        let config = config.to_builder().retry_config(RetryConfig::disabled()).build();
        let settings = Settings::default();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), &settings.table, settings.shards);
        store.create_table().await.unwrap();
        App::new(store, settings)
    }

    fn done() -> Value {
        json!({ "state": {}, "batchItemFailures": [] })
    }

    #[tokio::test]
    async fn a_batch_of_a_window_is_counted_once_however_often_it_comes() {
        let app = app(&Faults::default()).await;
        let records = json!([run("100000000000000000001"), run("100000000000000000002")]);
        for _ in 0..2 {
            let answer = consume(&app, event(Some("shardId-00000001573689847184-864758bb"), &records, false)).await;
            assert_eq!(answer, done());
        }
        assert_eq!(consume(&app, event(Some("shardId-1"), &json!([]), true)).await, done());
        // The stage of a new table: nothing is without a mark.
        app.store.begin_tally_fill(Timestamp::now()).await.unwrap();
        let mut found = app.store.tally_fill().await.unwrap().unwrap();
        while !found.record.is_complete() {
            app.store.go_on_filling_tallies(&mut found.record, Timestamp::now()).await.unwrap();
        }
        app.store.advance_tally_fill(&found.record, found.version).await.unwrap();
        assert_eq!(app.store.count_flow_runs(&RunFilters::default()).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_batch_that_fails_is_handed_out_again_from_its_first_record() {
        let faults = Faults::on("UpdateItem");
        let app = app(&faults).await;
        let records = json!([run("7"), run("8")]);
        faults.then(Fault::InternalError);
        let failed = json!({ "state": {}, "batchItemFailures": [{ "itemIdentifier": "7" }] });
        assert_eq!(consume(&app, event(Some("shardId-1"), &records, false)).await, failed);
        assert_eq!(consume(&app, event(Some("shardId-1"), &records, false)).await, done());
        assert_eq!(consume(&app, event(None, &records, false)).await, failed, "nobody knows which shard it is");
    }
}
