//! The root stack: what there is one of, and the nested stacks.

use serde_json::{Map, Value, json};

use crate::{
    STREAM, WEBSOCKETS, WORK, api, attribute, edge, file, logical_id, operations, parameters, reference, stacks,
    substitute, table, websocket,
};

/// Renders the root stack's template.
pub(crate) fn template() -> Value {
    let mut resources = Map::from_iter([("Table".to_owned(), table::resource())]);
    resources.extend(api::resources());
    resources.extend(websocket::resources());
    resources.extend(stacks().map(|stack| (logical_id(stack), nested(stack))));
    resources.extend(edge::resources());
    resources.extend(operations::resources());
    crate::template(
        "Proctor: the Prefect 3 API on AWS Lambda and DynamoDB",
        &[
            ("Parameters", parameters::of_the_root()),
            ("Conditions", parameters::conditions_of_the_root()),
            ("Rules", parameters::rules()),
            ("Resources", resources.into()),
            ("Outputs", outputs()),
        ],
    )
}

fn nested(stack: &str) -> Value {
    let table = ("Table", reference("Table"));
    let more = match stack {
        STREAM => {
            let of_queue = |output: &str| attribute(&logical_id(WORK), &format!("Outputs.{output}"));
            let stream = ("TableStream", attribute("Table", "StreamArn"));
            vec![table, stream, ("Queue", of_queue("Queue")), ("QueueUrl", of_queue("QueueUrl"))]
        }
        WORK => vec![table],
        WEBSOCKETS => vec![table, ("Api", reference("WebsocketApi"))],
        _ => vec![table, ("Api", reference("HttpApi"))],
    };
    json!({
        "Type": "AWS::CloudFormation::Stack",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": { "TemplateURL": file(stack), "Parameters": parameters::handed_down(&more) }
    })
}

fn outputs() -> Value {
    let address = |host: &Value| json!({ "Fn::Join": ["", ["https://", host, common::http::PREFIX]] });
    let distribution = attribute("Distribution", "DomainName");
    let host = json!({ "Fn::If": ["HasDomain", reference("CustomDomain"), distribution] });
    json!({
        "PrefectApiUrl": {
            "Description": "The client's PREFECT_API_URL",
            "Value": address(&host)
        },
        "DistributionDomain": {
            "Description": "What the DNS record of CustomDomain points to",
            "Value": distribution
        },
        "HttpApiUrl": {
            "Description": "The HTTP API behind CloudFront",
            "Value": address(&substitute("${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"))
        },
        "EventsUrl": {
            "Description": "The WebSocket API behind CloudFront",
            "Value": substitute(&format!(
                "wss://${{WebsocketApi}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/{}", websocket::STAGE
            ))
        },
        "TableName": { "Description": "The table, which outlives the stack", "Value": reference("Table") }
    })
}
