//! The nested stack of the consumers of the table's stream, and of where records go that nobody could consume.

use common::{
    store::{
        backend::PARTS_TOKEN,
        table::{self, EntityKind, Key, Piece},
    },
    stream::ACCESS,
};
use serde_json::{Map, Value, json};

use crate::{
    attribute,
    function::{Environment, Function, reserved},
    jobs::{QUEUE_URL, dead_letters},
    parameters, reference, tallies,
    websocket::{self, Reach},
};

/// The consumer's binary.
pub(crate) const CONSUMER: &str = registry::functions::STREAM_CONSUMER;

/// How long one batch may take, in seconds.
const TIMEOUT: u32 = 60;

/// Renders the nested stack.
pub(crate) fn template() -> Value {
    let reads_and_gives_up = [
        json!({
            "Sid": "ReadsTheStream",
            "Effect": "Allow",
            "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            "Resource": reference("TableStream")
        }),
        json!({
            "Sid": "ListsStreams",
            "Effect": "Allow",
            "Action": ["dynamodb:ListStreams"],
            "Resource": "*"
        }),
        json!({
            "Sid": "GivesUp",
            "Effect": "Allow",
            "Action": ["sqs:SendMessage"],
            "Resource": attribute("DeadLetters", "Arn")
        }),
    ];
    let mut statements = reads_and_gives_up.to_vec();
    statements.push(json!({
        "Sid": "LeavesWork",
        "Effect": "Allow",
        "Action": ["sqs:SendMessage"],
        "Resource": reference("Queue")
    }));
    let mut function = Function {
        name: CONSUMER,
        description: "What follows from a write: events, recorded task runs, removals, what clients are told".into(),
        timeout: TIMEOUT,
        access: ACCESS,
        reads_assets: false,
        statements,
        environment: Environment::Table,
    };
    let address = websocket::reaching(&mut function, "WebsocketApi", Reach::Sends);
    let id = function.id();
    let mut resources = function.resources();
    websocket::tell(&mut resources, &id, address);
    resources[&id]["Properties"]["Environment"]["Variables"][QUEUE_URL] = reference("QueueUrl");
    resources[&id]["Properties"]["ReservedConcurrentExecutions"] = reserved("StreamReservedConcurrency");
    resources
        .extend(Map::from_iter([("DeadLetters".to_owned(), dead_letters()), (format!("{id}Source"), source(&id))]));
    resources.extend(tallies::resources(reads_and_gives_up.to_vec()));
    let outputs = json!({
        "DeadLetters": { "Description": "The queue of what was given up", "Value": attribute("DeadLetters", "QueueName") }
    });
    crate::template(
        "Proctor: the consumers of the table's stream",
        &[
            ("Parameters", parameters::of_a_nested_stack(&parameters::OF_THE_STREAM)),
            ("Conditions", parameters::conditions_of_a_nested_stack(&resources)),
            ("Resources", resources.into()),
            ("Outputs", outputs),
        ],
    )
}

fn source(function: &str) -> Value {
    json!({
        "Type": "AWS::Lambda::EventSourceMapping",
        "DependsOn": format!("{function}Role"),
        "Properties": {
            "EventSourceArn": reference("TableStream"),
            "FunctionName": reference(function),
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 100,
            "ParallelizationFactor": reference("StreamParallelization"),
            "BisectBatchOnFunctionError": true,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            // What passes is waited for, as long as the stream remembers; what does not, the function puts aside itself.
            "MaximumRetryAttempts": -1,
            "MaximumRecordAgeInSeconds": -1,
            "DestinationConfig": { "OnFailure": { "Destination": attribute("DeadLetters", "Arn") } },
            "FilterCriteria": {
                "Filters": patterns().map(|pattern| json!({ "Pattern": pattern.to_string() }))
            }
        }
    })
}

/// Returns the patterns of the changes that the consumer hears of, of which a mapping takes five.
fn patterns() -> [Value; 4] {
    // What was in parts is deleted with what named it, whatever that is.
    let had_parts = |text: &str| {
        let reference = json!({ "M": { (PARTS_TOKEN): { "S": [{ "exists": true }] } } });
        json!({ "dynamodb": { "OldImage": { (text): reference } } })
    };
    [what_is_consumed(), logs(), had_parts("head"), had_parts("tail")]
}

/// Returns the pattern of the changes of logs, whose sort keys begin with no word.
fn logs() -> Value {
    json!({ "dynamodb": { "Keys": { (table::PARTITION): { "S": [{ "prefix": "logs#" }] } } } })
}

/// Returns the pattern of the changes that something follows from, but for logs.
fn what_is_consumed() -> Value {
    let words = |kind: &EntityKind| match kind.sort {
        [Piece::Word(word)] => json!(word),
        [Piece::Word(word), ..] => json!({ "prefix": format!("{word}#") }),
        _ => Value::Null,
    };
    let mut sort_keys = vec![json!(Key::TOMBSTONE)];
    for words in table::CONSUMED.iter().map(words).filter(|words| !words.is_null()) {
        if !sort_keys.contains(&words) {
            sort_keys.push(words);
        }
    }
    json!({ "dynamodb": { "Keys": { (table::SORT): { "S": sort_keys } } } })
}
