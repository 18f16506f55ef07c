//! Sample events: the requests that API Gateway's HTTP API hands to a function (payload format 2.0).

use common::http::{PREFIX, Route};
use serde_json::{Map, Value, json};

const ID: &str = "01980000-0000-7000-8000-000000000001";
const TIME: &str = "2026-01-31T09:30:00Z";
const TEXT: &str = "hello";
/// How deep a sample goes into schemas that may refer to themselves.
const DEEPEST: usize = 8;

/// What a request needs besides what its schema requires: (operation, field, value).
const BESIDES: [(&str, &str, &str); 1] = [("create_block_document", "name", TEXT)];

/// Returns the least request that `route` takes, as an event; `document` is the OpenAPI document.
pub fn event(route: &Route, document: &Value) -> Value {
    let method = route.method.as_str();
    let operation = &document["paths"][route.path][method.to_lowercase()];
    let (mut path, mut query, mut parameters) = (format!("{PREFIX}{}", route.path), String::new(), Map::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let value = text(&value(&parameter["schema"], document, 0));
        match parameter["in"].as_str() {
            Some("path") => {
                path = path.replace(&format!("{{{name}}}"), &value);
                parameters.insert(name.into(), value.into());
            }
            Some("query") if parameter["required"] == true => query = format!("{name}={value}"),
            _ => {}
        }
    }
    let mut headers = json!({ "host": "localhost", "user-agent": "prefect/3.9.1 (API 0.8.4)" });
    let body = operation.pointer("/requestBody/content/application~1json/schema");
    if body.is_some() {
        headers["content-type"] = "application/json".into();
    }
    let mut event = json!({
        "version": "2.0",
        "routeKey": format!("{method} {PREFIX}{}", route.path),
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "pathParameters": parameters,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "localhost",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "prefect/3.9.1 (API 0.8.4)",
            },
            "requestId": "sample",
            "routeKey": format!("{method} {PREFIX}{}", route.path),
            "stage": "$default",
            "time": "31/Jan/2026:09:30:00 +0000",
            "timeEpoch": 1_769_851_800_000_i64,
        },
        "isBase64Encoded": false,
    });
    if let Some(schema) = body {
        let mut least = value(schema, document, 0);
        for (_, field, value) in BESIDES.iter().filter(|(operation, ..)| *operation == route.operation) {
            least[*field] = (*value).into();
        }
        event["body"] = least.to_string().into();
    }
    event
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the least value that `schema` allows.
fn value(schema: &Value, document: &Value, depth: usize) -> Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/schemas/")) {
        return value(&document["components"]["schemas"][name], document, depth);
    }
    if depth > DEEPEST {
        return Value::Null;
    }
    let first = |keyword: &str| schema[keyword].as_array().and_then(|values| values.first());
    if let Some(fixed) = schema.get("const").or_else(|| schema.get("default")).or_else(|| first("enum")) {
        return fixed.clone();
    }
    if let Some(schema) = first("anyOf").or_else(|| first("oneOf")).or_else(|| first("allOf")) {
        return value(schema, document, depth + 1);
    }
    match schema["type"].as_str() {
        Some("string") => match schema["format"].as_str() {
            Some("uuid") => ID.into(),
            Some("date-time") => TIME.into(),
            _ => TEXT.into(),
        },
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| 1.into()),
        Some("boolean") => true.into(),
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or(0);
            (0..least).map(|_| value(&schema["items"], document, depth + 1)).collect()
        }
        _ => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let fields = required.map(|name| (name.into(), value(&schema["properties"][name], document, depth + 1)));
            Value::Object(fields.collect())
        }
    }
}
