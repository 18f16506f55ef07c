//! The consumer of the table's stream that counts, beside the one that does what follows from a write.

use common::{
    services::tally_consumer::ACCESS,
    store::{table, tallies::FOLLOWED},
};
use serde_json::{Map, Value, json};

use crate::{
    attribute,
    function::{Environment, Function, TABLE},
    reference, substitute,
};

/// The consumer's binary.
pub(crate) const COUNTER: &str = registry::functions::TALLY_CONSUMER;

/// How long one batch may take, in seconds.
const TIMEOUT: u32 = 60;

/// How many changes are counted together at most, and for how many seconds they are gathered.
///
/// An item of tallies is written once for all of them.
const BATCH: u32 = 1_000;
const GATHERED: u32 = 5;

/// How long a window is, in seconds: the longest, for only its end costs an invocation.
const WINDOW: u32 = 900;

/// Returns the statement that allows `action` on items of the table whose partition keys are like `keys`, and on no
/// others.
pub(crate) fn on_items(sid: &str, action: &str, keys: &[&str]) -> Value {
    json!({
        "Sid": sid,
        "Effect": "Allow",
        "Action": [action],
        "Resource": substitute(TABLE),
        "Condition": { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": keys } }
    })
}

/// Declares the function and its event source mapping; `statements` let it read the stream and give up on records.
pub(crate) fn resources(mut statements: Vec<Value>) -> Map<String, Value> {
    statements.extend([
        on_items("Counts", "dynamodb:UpdateItem", &["tally#*"]),
        on_items("BeginsTheFill", "dynamodb:PutItem", &["tallies"]),
    ]);
    let function = Function {
        name: COUNTER,
        description: "Counts flow runs and events by what they are, where they belong and when".into(),
        timeout: TIMEOUT,
        access: ACCESS,
        reads_assets: false,
        statements,
        environment: Environment::Table,
    };
    let id = function.id();
    let mut resources = function.resources();
    resources.insert(format!("{id}Source"), source(&id));
    resources
}

fn source(function: &str) -> Value {
    let filter = |(begins_with, sort)| json!({ "Pattern": pattern(begins_with, sort).to_string() });
    json!({
        "Type": "AWS::Lambda::EventSourceMapping",
        "DependsOn": format!("{function}Role"),
        "Properties": {
            "EventSourceArn": reference("TableStream"),
            "FunctionName": reference(function),
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": BATCH,
            "MaximumBatchingWindowInSeconds": GATHERED,
            // A batch of a shard is counted before the next one: watermarks rely on it.
            "ParallelizationFactor": 1,
            // With a window the event names its shard.
            "TumblingWindowInSeconds": WINDOW,
            "BisectBatchOnFunctionError": true,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "MaximumRetryAttempts": -1,
            "MaximumRecordAgeInSeconds": -1,
            "DestinationConfig": { "OnFailure": { "Destination": attribute("DeadLetters", "Arn") } },
            "FilterCriteria": {
                "Filters": FOLLOWED.map(filter)
            }
        }
    })
}

/// Returns the pattern of changes of items, by what their partition keys and sort keys begin with.
fn pattern(begins_with: &str, sort: &str) -> Value {
    let keys = json!({
        (table::PARTITION): { "S": [{ "prefix": begins_with }] },
        (table::SORT): { "S": [{ "prefix": sort }] }
    });
    json!({ "dynamodb": { "Keys": keys } })
}
