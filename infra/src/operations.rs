//! What tells how the stack is doing: alarms and a dashboard.

use common::{
    observation::{DIMENSION, NAMESPACE},
    store::table::Index,
};
use serde_json::{Map, Value, json};

use crate::{
    STREAM, WORK, attribute, only_if, origin::AUTHORIZER, reference, stream::CONSUMER, substitute, tallies::COUNTER,
};

/// An alarm to be declared: a sum or maximum over five minutes that is more than it should be.
struct Alarm {
    id: String,
    description: &'static str,
    namespace: &'static str,
    metric: &'static str,
    statistic: &'static str,
    dimensions: Vec<(&'static str, Value)>,
    more_than: u32,
}

/// Declares the alarms and the dashboard, for the root stack.
pub(crate) fn resources() -> Map<String, Value> {
    let mut resources: Map<String, Value> =
        alarms().into_iter().map(|alarm| (alarm.id.clone(), alarm.resource())).collect();
    resources.insert("Dashboard".into(), dashboard());
    resources
}

fn consumer() -> Value {
    substitute(&format!("proctor-${{Stage}}-{CONSUMER}"))
}

fn dead_letters(stack: &str) -> Value {
    attribute(&crate::logical_id(stack), "Outputs.DeadLetters")
}

fn alarms() -> Vec<Alarm> {
    let mut alarms = vec![
        Alarm {
            id: "ApiErrorsAlarm".into(),
            description: "Requests were answered with 5xx: a function failed, timed out or was throttled",
            namespace: "AWS/ApiGateway",
            metric: "5xx",
            statistic: "Sum",
            dimensions: vec![("ApiId", reference("HttpApi"))],
            more_than: 0,
        },
        Alarm {
            id: "LambdaThrottlesAlarm".into(),
            description: "Functions were throttled; the limit is the account's, and so is this metric",
            namespace: "AWS/Lambda",
            metric: "Throttles",
            statistic: "Sum",
            dimensions: Vec::new(),
            more_than: 0,
        },
        Alarm {
            id: "ConsumerErrorsAlarm".into(),
            description: "The stream's consumer failed as a whole",
            namespace: "AWS/Lambda",
            metric: "Errors",
            statistic: "Sum",
            dimensions: vec![("FunctionName", consumer())],
            more_than: 0,
        },
        Alarm {
            id: "ConsumerLagAlarm".into(),
            description: "The stream's consumer is more than five minutes behind; records are lost after 24 hours",
            namespace: "AWS/Lambda",
            metric: "IteratorAge",
            statistic: "Maximum",
            dimensions: vec![("FunctionName", consumer())],
            more_than: 300_000,
        },
        Alarm {
            id: "TalliesLagAlarm".into(),
            description: "Counts are more than five minutes old; after 24 hours the stream loses what is not counted",
            namespace: "AWS/Lambda",
            metric: "IteratorAge",
            statistic: "Maximum",
            dimensions: vec![("FunctionName", substitute(&format!("proctor-${{Stage}}-{COUNTER}")))],
            more_than: 300_000,
        },
        Alarm {
            id: "DeadLettersAlarm".into(),
            description: "Changes grew as old as the stream before a consumer of it had them",
            namespace: "AWS/SQS",
            metric: "ApproximateNumberOfMessagesVisible",
            statistic: "Maximum",
            dimensions: vec![("QueueName", dead_letters(STREAM))],
            more_than: 0,
        },
        Alarm {
            id: "GivenUpWorkAlarm".into(),
            description: "Messages can't be read, or were handed out again and again; their queue keeps them for 14 days",
            namespace: "AWS/SQS",
            metric: "ApproximateNumberOfMessagesVisible",
            statistic: "Maximum",
            dimensions: vec![("QueueName", dead_letters(WORK))],
            more_than: 0,
        },
        Alarm {
            id: "WaitingWorkAlarm".into(),
            description: "A message has waited for the queue's worker for more than fifteen minutes",
            namespace: "AWS/SQS",
            metric: "ApproximateAgeOfOldestMessage",
            statistic: "Maximum",
            dimensions: vec![("QueueName", attribute(&crate::logical_id(WORK), "Outputs.QueueName"))],
            more_than: 900,
        },
        Alarm {
            id: "OriginErrorsAlarm".into(),
            description: "The authorizer failed: API Gateway lets nobody through whom it does not remember",
            namespace: "AWS/Lambda",
            metric: "Errors",
            statistic: "Sum",
            dimensions: vec![("FunctionName", substitute(&format!("proctor-${{Stage}}-{AUTHORIZER}")))],
            more_than: 0,
        },
        Alarm {
            id: "PutAsideAlarm".into(),
            description: "Work failed for good and was put aside with its reason; see GET /dead_letters",
            namespace: NAMESPACE,
            metric: "DeadLetters",
            statistic: "Sum",
            dimensions: vec![(DIMENSION, reference("Table"))],
            more_than: 0,
        },
        Alarm {
            id: "UnreadableRecordsAlarm".into(),
            description: "Records can't be read, and were left out of answers; see `proctor check`",
            namespace: NAMESPACE,
            metric: "UnreadableRecords",
            statistic: "Sum",
            dimensions: vec![(DIMENSION, reference("Table"))],
            more_than: 0,
        },
        throttled_writes(None),
    ];
    alarms.extend(Index::ALL.into_iter().map(|index| throttled_writes(Some(index))));
    alarms
}

/// Returns the alarm for writes that the table or an index refused: a hot index throttles the table's writes.
fn throttled_writes(index: Option<Index>) -> Alarm {
    let mut dimensions = vec![("TableName", reference("Table"))];
    dimensions.extend(index.map(|index| ("GlobalSecondaryIndexName", index.name().into())));
    Alarm {
        id: format!("{}WritesThrottledAlarm", crate::logical_id(index.map_or("table", Index::name))),
        description: "Writes were throttled: a partition of the table or of the index is hot",
        namespace: "AWS/DynamoDB",
        metric: "WriteThrottleEvents",
        statistic: "Sum",
        dimensions,
        more_than: 0,
    }
}

impl Alarm {
    fn resource(&self) -> Value {
        let dimensions: Vec<Value> =
            self.dimensions.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        json!({
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmDescription": self.description,
                "Namespace": self.namespace,
                "MetricName": self.metric,
                "Dimensions": dimensions,
                "Statistic": self.statistic,
                "Period": 300,
                "EvaluationPeriods": 1,
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": self.more_than,
                "TreatMissingData": "notBreaching",
                "AlarmActions": only_if("HasAlarmTopic", &json!([reference("AlarmTopicArn")]))
            }
        })
    }
}

/// Declares the dashboard: the requests, the functions, the consumer, the table.
fn dashboard() -> Value {
    let api = |metric: &str| json!(["AWS/ApiGateway", metric, "ApiId", "${HttpApi}"]);
    let table = |metric: &str| json!(["AWS/DynamoDB", metric, "TableName", "${Table}"]);
    let consumer =
        |metric: &str| json!(["AWS/Lambda", metric, "FunctionName", format!("proctor-${{Stage}}-{CONSUMER}")]);
    let counter = |metric: &str| json!(["AWS/Lambda", metric, "FunctionName", format!("proctor-${{Stage}}-{COUNTER}")]);
    let ours = |metric: &str| json!(["Proctor", metric, "Table", "${Table}"]);
    let search = |metric: &str, statistic: &str| {
        let expression = format!(
            "SEARCH('{{AWS/Lambda,FunctionName}} MetricName=\"{metric}\" FunctionName=\"proctor-${{Stage}}-\"', '{statistic}', 300)"
        );
        json!([{ "expression": expression, "label": "" }])
    };
    let graphs = [
        ("Requests", "Sum", vec![api("Count"), api("4xx"), api("5xx")]),
        ("Latency, milliseconds, 99 of 100", "p99", vec![api("Latency"), api("IntegrationLatency")]),
        ("Duration of each function, milliseconds, 99 of 100", "p99", vec![search("Duration", "p99")]),
        ("Errors of each function", "Sum", vec![search("Errors", "Sum")]),
        ("Each request at the store", "Average", vec![ours("StoreRoundTrips"), ours("ReadUnits"), ours("WriteUnits")]),
        ("Conflicts and retries at the store", "Sum", vec![ours("Conflicts"), ours("Retries")]),
        ("Put aside, and unreadable", "Sum", vec![ours("DeadLetters"), ours("UnreadableRecords")]),
        ("Stream: milliseconds behind", "Maximum", vec![consumer("IteratorAge"), counter("IteratorAge")]),
        ("Capacity units", "Sum", vec![table("ConsumedReadCapacityUnits"), table("ConsumedWriteCapacityUnits")]),
    ];
    let mut widgets = Vec::new();
    for (place, (title, statistic, metrics)) in graphs.into_iter().enumerate() {
        widgets.push(json!({
            "type": "metric",
            "x": place % 2 * 12,
            "y": place / 2 * 6,
            "width": 12,
            "height": 6,
            "properties": {
                "title": title,
                "region": "${AWS::Region}",
                "stat": statistic,
                "period": 300,
                "metrics": metrics
            }
        }));
    }
    json!({
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": substitute("proctor-${Stage}"),
            "DashboardBody": substitute(&json!({ "widgets": widgets }).to_string())
        }
    })
}
