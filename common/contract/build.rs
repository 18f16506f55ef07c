//! Splits the OpenAPI contract into one small document per operation.
//!
//! A Lambda function parses only the few kilobytes of its own operation at cold start. Each document holds
//! `parameters`, `body` (the request body's schema), `body_required` and `schemas`: the components that they reach.
//! Whatever doesn't take part in validating a request (descriptions, titles, examples, responses) is left out.
//! Operations of our own, which Prefect does not have, are described in the same form and come after Prefect's. So are the
//! messages of clients over websockets, of which the OpenAPI contract says nothing: each is the body of an operation.

use std::{collections::BTreeSet, env, error::Error, fmt::Write as _, fs, path::Path};

use serde_json::{Map, Value, json};

const CONTRACT: &str = "documents/openapi-3.9.1.json";
const EXTENSIONS: &str = "documents/extensions.json";
const MESSAGES: &str = "documents/messages.json";
const SCHEMAS: &str = "#/components/schemas/";
const METHODS: [&str; 5] = ["delete", "get", "patch", "post", "put"];
const ANNOTATIONS: [&str; 5] = ["title", "description", "examples", "deprecated", "supported_environment_variables"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={CONTRACT}");
    println!("cargo::rerun-if-changed={EXTENSIONS}");
    println!("cargo::rerun-if-changed={MESSAGES}");
    println!("cargo::rerun-if-changed=build.rs");
    let mut contract: Value = serde_json::from_str(&fs::read_to_string(CONTRACT)?)?;
    let extensions: Value = serde_json::from_str(&fs::read_to_string(EXTENSIONS)?)?;
    extend(&mut contract["paths"], &extensions["paths"])?;
    extend(&mut contract["components"]["schemas"], &extensions["components"]["schemas"])?;
    let components = contract["components"]["schemas"].as_object().ok_or("the contract has no schemas")?;
    let output = env::var("OUT_DIR")?;
    fs::write(Path::new(&output).join("contract.json"), serde_json::to_string(&contract)?)?;
    let mut entries = Vec::new();
    for (path, operations) in contract["paths"].as_object().ok_or("the contract has no paths")? {
        for method in METHODS {
            let Some(operation) = operations.get(method) else { continue };
            let id = operation["operationId"].as_str().ok_or("an operation without an id")?;
            let file = Path::new(&output).join(format!("{id}.json"));
            fs::write(&file, serde_json::to_string(&split(operation, components)?)?)?;
            entries.push((method.to_uppercase(), path.clone(), id.to_owned(), 0));
        }
    }
    for (rank, (path, method)) in declared(&contract).into_iter().enumerate() {
        let entry = entries.iter_mut().find(|(entry, at, ..)| *at == path && entry.eq_ignore_ascii_case(&method));
        entry.ok_or("an operation is lost")?.3 = rank;
    }
    entries.sort();
    let mut source = String::new();
    writeln!(source, "static OPERATIONS: [Operation; {}] = [", entries.len())?;
    for (method, path, id, rank) in &entries {
        let include = format!("include_str!(concat!(env!(\"OUT_DIR\"), \"/{id}.json\"))");
        writeln!(source, "    Operation::new({method:?}, {path:?}, {id:?}, {rank}, {include}),")?;
    }
    writeln!(source, "];")?;
    source.push_str(&messages(Path::new(&output))?);
    fs::write(Path::new(&output).join("operations.rs"), source)?;
    Ok(())
}

/// Writes the document of each message of a client over a websocket; returns the source that lists them.
fn messages(output: &Path) -> Result<String, Box<dyn Error>> {
    let messages: Value = serde_json::from_str(&fs::read_to_string(MESSAGES)?)?;
    let components = messages["schemas"].as_object().ok_or("the messages have no schemas")?;
    let kinds = messages["messages"].as_object().ok_or("there are no messages")?;
    let mut source = format!("static MESSAGES: [Message; {}] = [\n", kinds.len());
    for (kind, schema) in kinds {
        let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        let document = split(&json!({ "requestBody": body }), components)?;
        fs::write(output.join(format!("{kind}.json")), serde_json::to_string(&document)?)?;
        let include = format!("include_str!(concat!(env!(\"OUT_DIR\"), \"/{kind}.json\"))");
        writeln!(source, "    Message::new({kind:?}, {include}),")?;
    }
    source.push_str("];\n");
    Ok(source)
}

/// Adds `more` entries to an object that has none of them.
fn extend(object: &mut Value, more: &Value) -> Result<(), Box<dyn Error>> {
    let object = object.as_object_mut().ok_or("the contract lacks what is to be extended")?;
    for (name, entry) in more.as_object().into_iter().flatten() {
        if object.insert(name.clone(), entry.clone()).is_some() {
            return Err(format!("{name} is the contract's already").into());
        }
    }
    Ok(())
}

/// Returns path and method of every operation, in the order in which Prefect declares its routes.
fn declared(contract: &Value) -> Vec<(String, String)> {
    let paths = contract["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, operations)| {
        let methods = operations.as_object().into_iter().flatten();
        methods.map(|(method, _)| (path.clone(), method.clone()))
    });
    operations.filter(|(_, method)| METHODS.contains(&method.as_str())).collect()
}

fn split(operation: &Value, components: &Map<String, Value>) -> Result<Value, Box<dyn Error>> {
    let parameters: Vec<Value> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|parameter| {
            json!({
                "name": parameter["name"],
                "in": parameter["in"],
                "required": parameter["required"].as_bool().unwrap_or(false),
                "schema": without_annotations(&parameter["schema"]),
            })
        })
        .collect();
    let body = &operation["requestBody"];
    let schema = without_annotations(&body["content"]["application/json"]["schema"]);
    let mut wanted = BTreeSet::new();
    references(&schema, &mut wanted);
    for parameter in &parameters {
        references(&parameter["schema"], &mut wanted);
    }
    let mut schemas = Map::new();
    while let Some(name) = wanted.iter().find(|name| !schemas.contains_key(*name)).cloned() {
        let component = components.get(&name).ok_or_else(|| format!("{name} is referenced and not defined"))?;
        let component = without_annotations(component);
        references(&component, &mut wanted);
        schemas.insert(name, component);
    }
    Ok(json!({
        "parameters": parameters,
        "body": schema,
        "body_required": body["required"].as_bool().unwrap_or(false),
        "schemas": schemas,
    }))
}

fn without_annotations(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => keywords
            .iter()
            .filter(|(keyword, _)| !ANNOTATIONS.contains(&keyword.as_str()))
            .map(|(keyword, value)| {
                // What lies in `properties` is named by the API, so a property called "title" stays.
                let value = match value {
                    Value::Object(properties) if keyword == "properties" => properties
                        .iter()
                        .map(|(name, schema)| (name.clone(), without_annotations(schema)))
                        .collect::<Map<_, _>>()
                        .into(),
                    value if keyword == "default" => value.clone(),
                    value => without_annotations(value),
                };
                (keyword.clone(), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(schemas) => schemas.iter().map(without_annotations).collect(),
        scalar => scalar.clone(),
    }
}

fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(keywords) => {
            if let Some(name) = keywords.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix(SCHEMAS))
            {
                found.insert(name.to_owned());
            }
            keywords.values().for_each(|value| references(value, found));
        }
        Value::Array(schemas) => schemas.iter().for_each(|schema| references(schema, found)),
        _ => {}
    }
}
