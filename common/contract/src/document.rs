//! The OpenAPI document and the pages that show it.

use std::collections::HashSet;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::RELEASE;

const CONTRACT: &str = include_str!(concat!(env!("OUT_DIR"), "/contract.json"));
const SCHEMAS: &str = "#/components/schemas/";

/// Where a document is served; Prefect serves one at the root and one below the API's base path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount<'p> {
    /// `/openapi.json`, `/docs` and `/redoc`.
    Root,
    /// The same under this base path, such as `/api`.
    App(&'p str),
}

impl<'p> Mount<'p> {
    /// Returns what the paths of the documents start with.
    pub fn prefix(self) -> &'p str {
        match self {
            Self::Root => "",
            Self::App(base_path) => base_path,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Root => "Prefect Server",
            Self::App(_) => "Prefect REST API",
        }
    }
}

/// Returns the OpenAPI document of the `declared` operations (method in upper case, path as in the contract).
///
/// It is the contract with only those operations and the components that they reach, and the `info` and `servers` that
/// Prefect gives at that mount. Parsing the contract takes milliseconds, so the caller should keep the result.
pub fn document(mount: Mount<'_>, declared: &[(&str, &str)]) -> Value {
    let mut contract: Value = serde_json::from_str(CONTRACT).unwrap_or_default();
    let mut reached = Vec::new();
    if let Some(paths) = contract.get_mut("paths").and_then(Value::as_object_mut) {
        paths.retain(|path, operations| {
            let Some(operations) = operations.as_object_mut() else { return false };
            operations.retain(|method, _| declared.contains(&(method.to_uppercase().as_str(), path.as_str())));
            operations.values_mut().for_each(describe_responses);
            operations.values().for_each(|operation| references(operation, &mut reached));
            !operations.is_empty()
        });
    }
    if let Some(components) = contract.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        keep_reached(components, reached);
    }
    let Some(fields) = contract.as_object_mut() else { return contract };
    match mount {
        Mount::Root => {
            let logo = json!({"url": "static/prefect-logo-mark-gradient.png"});
            let info = json!({"title": "Prefect REST API", "version": RELEASE, "x-logo": logo});
            fields.insert("info".to_owned(), info);
        }
        Mount::App(base_path) => {
            fields.insert("servers".to_owned(), json!([{ "url": base_path }]));
        }
    }
    contract
}

/// Gives every response the description that OpenAPI wants and the contract was stripped of.
fn describe_responses(operation: &mut Value) {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    for (status, response) in responses.into_iter().flatten() {
        let reason = StatusCode::from_bytes(status.as_bytes()).ok().and_then(|status| status.canonical_reason());
        if let Some(response) = response.as_object_mut() {
            response.shift_insert(0, "description".to_owned(), reason.unwrap_or("Response").into());
        }
    }
}

fn keep_reached(components: &mut Map<String, Value>, mut pending: Vec<String>) {
    let mut kept = HashSet::new();
    while let Some(name) = pending.pop() {
        if let Some(component) = components.get(&name)
            && kept.insert(name)
        {
            references(component, &mut pending);
        }
    }
    components.retain(|name, _| kept.contains(name));
}

fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(keywords) => {
            let reference = keywords.get("$ref").and_then(Value::as_str);
            found.extend(reference.and_then(|name| name.strip_prefix(SCHEMAS)).map(str::to_owned));
            keywords.values().for_each(|value| references(value, found));
        }
        Value::Array(schemas) => schemas.iter().for_each(|schema| references(schema, found)),
        _ => {}
    }
}

/// Returns the HTML page at `/docs`: Swagger UI, loaded from the same CDN as Prefect's.
pub fn docs_page(mount: Mount<'_>) -> String {
    let (title, prefix) = (mount.title(), mount.prefix());
    format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Swagger UI</title>
<link rel="stylesheet" href="https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/swagger-ui.css">
</head>
<body>
<main id="swagger-ui"></main>
<script src="https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({{url: "{prefix}/openapi.json", dom_id: "#swagger-ui", deepLinking: true, showExtensions: true}});
</script>
</body>
</html>
"##
    )
}

/// Returns the HTML page at `/redoc`: `ReDoc`, loaded from the same CDN as Prefect's.
pub fn redoc_page(mount: Mount<'_>) -> String {
    let (title, prefix) = (mount.title(), mount.prefix());
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - ReDoc</title>
</head>
<body style="margin: 0">
<redoc spec-url="{prefix}/openapi.json"></redoc>
<script src="https://cdn.jsdelivr.net/npm/redoc@2/bundles/redoc.standalone.js"></script>
</body>
</html>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_declared_operations_and_what_they_reach() {
        let document = document(Mount::App("/api"), &[("GET", "/flows/{id}"), ("POST", "/flows/")]);
        let names = |pointer: &str| -> Vec<String> {
            document.pointer(pointer).and_then(Value::as_object).unwrap().keys().cloned().collect()
        };
        assert_eq!(names("/paths"), ["/flows/", "/flows/{id}"]);
        assert_eq!(names("/paths/~1flows~1{id}"), ["get"]);
        assert_eq!(names("/components/schemas"), ["Flow", "FlowCreate", "HTTPValidationError", "ValidationError"]);
        assert_eq!(document["servers"], json!([{"url": "/api"}]));
    }

    #[test]
    fn is_the_contract_that_the_project_shares() {
        let recorded = include_str!("../documents/openapi-3.9.1.json");
        let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contract/openapi-3.9.1.json");
        match std::fs::read_to_string(shared) {
            Ok(text) => assert!(text == recorded, "common/contract/documents/openapi-3.9.1.json differs from {shared}"),
            Err(error) => eprintln!("{shared} isn't beside the repository, so it was not compared: {error}"),
        }
    }

    #[test]
    fn pages_load_the_document_of_their_mount() {
        assert!(docs_page(Mount::Root).contains(r#"url: "/openapi.json""#));
        assert!(redoc_page(Mount::App("/api")).contains(r#"spec-url="/api/openapi.json""#));
    }
}
