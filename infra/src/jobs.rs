//! The nested stack of the queue of work: the queue, its worker, where what could not be worked off ends up, and the
//! schedule that looks for what is due.

use common::jobs::{self, ACCESS};
use serde_json::{Map, Value, json};

use crate::{
    attribute,
    function::{Environment, Function, reserved},
    parameters, reference, tallies,
    websocket::{self, Reach},
};

/// The worker's binary.
pub(crate) const WORKER: &str = registry::functions::JOB_RUNNER;

/// How long one batch may take, in seconds: a few times what a step allows itself.
const TIMEOUT: u32 = 60;

/// How long a message is hidden from other workers, in seconds.
///
/// Six times the function's time-out (AWS: "Creating and configuring an Amazon SQS event source mapping").
const HIDDEN: u32 = 6 * TIMEOUT;

/// How often a message is delivered before the queue gives it up.
///
/// The worker puts it aside before that, and may die a few times while it does so.
const RECEIVES: u32 = common::jobs::RECEIVES + 10;

/// Renders the nested stack.
pub(crate) fn template() -> Value {
    let queue = attribute("Queue", "Arn");
    let mut function = Function {
        name: WORKER,
        description: "Operations on many flow runs, removals, and what automations do, step by step".into(),
        timeout: TIMEOUT,
        access: ACCESS,
        reads_assets: false,
        statements: vec![
            json!({
                "Sid": "WorksOffTheQueue",
                "Effect": "Allow",
                "Action": ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"],
                "Resource": queue
            }),
            tallies::on_items("MarksAsCounted", "dynamodb:UpdateItem", &["flow_run#*", "event#*"]),
        ],
        environment: Environment::Table,
    };
    let address = websocket::reaching(&mut function, "WebsocketApi", Reach::Sends);
    let id = function.id();
    let mut resources = function.resources();
    websocket::tell(&mut resources, &id, address);
    resources[&id]["Properties"]["Environment"]["Variables"][QUEUE_URL] = reference("Queue");
    resources[&id]["Properties"]["ReservedConcurrentExecutions"] = reserved("JobReservedConcurrency");
    resources.extend(Map::from_iter([
        ("DeadLetters".to_owned(), self::dead_letters()),
        ("Queue".to_owned(), self::queue()),
        (format!("{id}Source"), source(&id)),
    ]));
    resources.extend(timers());
    let outputs = json!({
        "Queue": { "Description": "The queue's ARN", "Value": attribute("Queue", "Arn") },
        "QueueUrl": { "Description": "The queue's address", "Value": reference("Queue") },
        "QueueName": { "Description": "The queue's name", "Value": attribute("Queue", "QueueName") },
        "DeadLetters": { "Description": "The queue of what was given up", "Value": attribute("DeadLetters", "QueueName") }
    });
    crate::template(
        "Proctor: the queue of work and its worker",
        &[
            ("Parameters", parameters::of_a_nested_stack(&parameters::OF_THE_QUEUE)),
            ("Conditions", parameters::conditions_of_a_nested_stack(&resources)),
            ("Resources", resources.into()),
            ("Outputs", outputs),
        ],
    )
}

/// The variable that names the queue's address to the functions that use it.
pub(crate) const QUEUE_URL: &str = "PROCTOR_QUEUE_URL";

fn queue() -> Value {
    json!({
        "Type": "AWS::SQS::Queue",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "VisibilityTimeout": HIDDEN,
            "MessageRetentionPeriod": 14 * 24 * 3_600,
            "SqsManagedSseEnabled": true,
            "RedrivePolicy": { "deadLetterTargetArn": attribute("DeadLetters", "Arn"), "maxReceiveCount": RECEIVES }
        }
    })
}

/// Declares a queue for what was given up, which keeps it as long as SQS does.
pub(crate) fn dead_letters() -> Value {
    json!({
        "Type": "AWS::SQS::Queue",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": { "MessageRetentionPeriod": 14 * 24 * 3_600, "SqsManagedSseEnabled": true }
    })
}

/// The binary of the function that looks for what is due.
const TIMERS: &str = registry::functions::FIRE_TIMERS;

/// Declares the function that looks for what is due, and the schedule that calls it every minute.
fn timers() -> Map<String, Value> {
    let mut function = Function {
        name: TIMERS,
        description: "Finds what is due, deployments that need runs, and workers of background tasks that are gone"
            .into(),
        timeout: 30,
        access: jobs::timers::ACCESS,
        reads_assets: false,
        statements: vec![json!({
            "Sid": "LeavesWork",
            "Effect": "Allow",
            "Action": ["sqs:SendMessage"],
            "Resource": attribute("Queue", "Arn")
        })],
        environment: Environment::Table,
    };
    let address = websocket::reaching(&mut function, "WebsocketApi", Reach::LooksAfter);
    let id = function.id();
    let mut resources = function.resources();
    websocket::tell(&mut resources, &id, address);
    resources[&id]["Properties"]["Environment"]["Variables"][QUEUE_URL] = reference("Queue");
    let schedule = format!("{id}Schedule");
    resources.insert(
        format!("{id}Permission"),
        json!({
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": reference(&id),
                "Principal": "events.amazonaws.com",
                "SourceArn": attribute(&schedule, "Arn")
            }
        }),
    );
    resources.insert(
        schedule,
        json!({
            "Type": "AWS::Events::Rule",
            "Properties": {
                "Description": "Looks for what is due",
                "ScheduleExpression": "rate(1 minute)",
                "Targets": [{ "Id": id, "Arn": attribute(&id, "Arn")  }]
            }
        }),
    );
    resources
}

fn source(function: &str) -> Value {
    json!({
        "Type": "AWS::Lambda::EventSourceMapping",
        "DependsOn": format!("{function}Role"),
        "Properties": {
            "EventSourceArn": attribute("Queue", "Arn"),
            "FunctionName": reference(function),
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": { "MaximumConcurrency": reference("JobConcurrency") }
        }
    })
}
