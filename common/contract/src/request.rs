//! Validating a whole request: the order of its parts, and what FastAPI does around pydantic.

use budget::{Bound, Exceeded, JsonText};
use http::{HeaderMap, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use super::{
    Checks,
    check::{At, Checker, Preparation, default_of},
    fault::{Complaint, Step},
    refinements,
    rejection::Rejection,
    scalar,
    schema::{Compiler, Field, Node, Schemas},
};
use domain::json::{self, Unreadable};

const API_VERSION: &str = "x-prefect-api-version";
/// The oldest API version that Prefect serves.
const OLDEST_API: [i64; 3] = [0, 8, 0];

/// A request, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The path parameters by their names in the template, percent-decoded.
    pub path: &'a [(&'a str, &'a str)],
    /// The query string, without the question mark.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body; empty when there is none.
    pub body: &'a [u8],
}

/// A valid request, coerced to the contract's types.
///
/// Times are RFC 3339 in UTC, UUIDs lower case with dashes, durations seconds. A field that wasn't sent has its
/// default; it is absent where Prefect makes the value up (a name, the current time), and so is `null` in the place
/// of a run's name that was sent empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// The path parameters.
    pub path: Map<String, Value>,
    /// The query parameters.
    pub query: Map<String, Value>,
    /// The headers that the operation declares, by lower-case name.
    pub headers: Map<String, Value>,
    /// The body with its defaults; null when the operation takes none.
    pub body: Value,
    raw: Value,
}

impl Validated {
    /// Returns the coerced body without the defaults: only the fields that the client set, at every level.
    pub fn sent(&self) -> Value {
        match (&self.body, &self.raw) {
            (Value::Object(_), Value::Null) => Value::Object(Map::new()),
            (body, raw) => only_sent(body, raw),
        }
    }
}

fn only_sent(coerced: &Value, raw: &Value) -> Value {
    match (coerced, raw) {
        (Value::Object(fields), Value::Object(sent)) => fields
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), only_sent(value, sent.get(key)?))))
            .collect::<Map<_, _>>()
            .into(),
        (Value::Array(items), Value::Array(sent)) if items.len() == sent.len() => {
            items.iter().zip(sent).map(|(item, sent)| only_sent(item, sent)).collect()
        }
        (value, _) => value.clone(),
    }
}

/// The compiled schemas of one operation.
#[derive(Debug)]
pub(super) struct Plan {
    schemas: Schemas,
    path: Vec<Field>,
    query: Vec<Field>,
    /// The headers that dependencies read, before the operation's own parameters.
    dependency_headers: Vec<Field>,
    headers: Vec<Field>,
    checks_api_version: bool,
    /// Whether the body has filters, each value of which is held against many records.
    has_filters: bool,
    body: Body,
}

#[derive(Debug)]
enum Body {
    None,
    /// The body is one value.
    Single(Field),
    /// The body is an object, and each of its fields a parameter of its own.
    Embedded {
        page_limit: Option<Field>,
        fields: Vec<Field>,
    },
}

impl Plan {
    /// Compiles the document that `build.rs` wrote for the operation `id`.
    pub(super) fn compile(id: &str, source: &str) -> Self {
        let document: Value = serde_json::from_str(source).unwrap_or_default();
        let nothing = Map::new();
        let components = document.get("schemas").and_then(Value::as_object).unwrap_or(&nothing);
        let mut compiler = Compiler::new(components);
        let mut plan = Self {
            schemas: Schemas::default(),
            path: Vec::new(),
            query: Vec::new(),
            dependency_headers: Vec::new(),
            headers: Vec::new(),
            checks_api_version: false,
            has_filters: has_filters(id, components),
            body: Body::None,
        };
        for parameter in document.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            let (name, Some(schema)) = (text("name"), parameter.get("schema")) else { continue };
            let required = parameter.get("required") == Some(&Value::Bool(true));
            match text("in") {
                "path" => plan.path.push(compiler.field(id, name, schema, required, true)),
                "query" => plan.query.push(compiler.field(id, name, schema, required, true)),
                _ if name == API_VERSION => plan.checks_api_version = true,
                _ => plan.headers.push(compiler.field(id, name, schema, required, true)),
            }
        }
        for (name, uuid) in refinements::hidden_headers(id) {
            let schema: &'static Value = refinements::hidden_header_schema(uuid);
            plan.dependency_headers.push(compiler.field(id, name, schema, false, true));
        }
        if let Some(schema) = document.get("body").filter(|schema| !schema.is_null()) {
            plan.body = Body::compile(id, schema, &document, &mut compiler);
        }
        plan.schemas = compiler.finish();
        plan
    }

    pub(super) fn validate(
        &self,
        method: &str,
        request: &Request<'_>,
        page_limit: u32,
        checks: Checks,
    ) -> Result<Validated, Rejection> {
        if !self.path_matches(request.path) {
            return Err(Rejection::NotFound);
        }
        let mut raw = self.read_body(method, request)?;
        if self.checks_api_version {
            check_api_version(request.headers)?;
        }
        let lacked_parameters = raw.value.get("parameters").is_none();
        if self.schemas.prepares {
            self.prepare_body(&mut raw.value, checks);
        }
        let query: Vec<(String, Value)> =
            form_urlencoded::parse(request.query.as_bytes()).map(|(key, value)| (key.into(), value.into())).collect();
        let query = |name: &str| query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value);
        let path: Vec<(&str, Value)> = request.path.iter().map(|(name, value)| (*name, (*value).into())).collect();
        let path = |name: &str| path.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
        let headers: Vec<(&str, Value)> = self
            .dependency_headers
            .iter()
            .chain(&self.headers)
            .filter_map(|field| Some((field.name.as_str(), header(request.headers, &field.name)?.into())))
            .collect();
        let headers = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value);

        let mut checker = Checker::new(&self.schemas);
        checker.raw_bytes = raw.is_bytes;
        checker.checks = checks;
        let mut parts = Parts { schemas: &self.schemas, checker };
        let mut own_headers = parts.parameters("header", &self.dependency_headers, headers);
        let mut fields = Map::new();
        if let Body::Embedded { page_limit: Some(field), .. } = &self.body {
            parts.page_limit(field, page_limit.into(), &raw, &mut fields)?;
        }
        let path = parts.parameters("path", &self.path, path);
        let query = parts.parameters("query", &self.query, query);
        own_headers.extend(parts.parameters("header", &self.headers, headers));
        let body = match &self.body {
            Body::None => Value::Null,
            Body::Single(field) => parts.single(field, &raw),
            Body::Embedded { fields: embedded, .. } => {
                parts.embedded(embedded, &raw, &mut fields);
                Value::Object(fields)
            }
        };
        if parts.checker.steps.left() == 0 {
            return Err(parts.checker.steps.exceeded().into());
        }
        let faults = parts.checker.faults.into_list();
        if faults.is_empty() {
            // What a rule has put in for the errors' echo is not what the client sent.
            if lacked_parameters && let Some(sent) = raw.value.as_object_mut() {
                sent.shift_remove("parameters");
            }
            Ok(Validated { path, query, headers: own_headers, body, raw: raw.value })
        } else {
            Err(Rejection::Invalid { faults, body: raw.value })
        }
    }

    /// Tells whether some parameters of the request have to fit a schema.
    pub(super) fn checks_parameters(&self) -> bool {
        self.schemas.checks_parameters
    }

    /// Tells whether some texts of the request have to be templates.
    pub(super) fn checks_templates(&self) -> bool {
        self.schemas.checks_templates
    }

    /// Tells whether every path parameter that Prefect's router wants to be a UUID is one.
    pub(super) fn path_matches(&self, path: &[(&str, &str)]) -> bool {
        self.path.iter().filter(|field| refinements::routed_as_uuid(&field.name)).all(|field| {
            let wants_uuid = matches!(self.schemas.node(field.node), Node::Uuid);
            let value = path.iter().find(|(name, _)| *name == field.name).map_or("", |(_, value)| value);
            !wants_uuid || is_uuid_segment(value)
        })
    }

    fn read_body(&self, method: &str, request: &Request<'_>) -> Result<Raw, Rejection> {
        if matches!(self.body, Body::None) || request.body.is_empty() {
            return Ok(Raw { value: Value::Null, is_bytes: false });
        }
        let is_json = match request.headers.get(CONTENT_TYPE) {
            Some(kind) => is_json(&latin1(kind.as_bytes())),
            // Old clients send JSON without saying so; Prefect lets them.
            None => matches!(method, "POST" | "PUT" | "PATCH"),
        };
        if !is_json {
            return Ok(Raw { value: String::from_utf8_lossy(request.body).into(), is_bytes: true });
        }
        if self.has_filters {
            Bound::FilterValues.check(JsonText::measure(request.body).values)?;
        }
        match json::parse(request.body) {
            Ok(value) => {
                if self.has_filters {
                    check_patterns(&value, false)?;
                }
                Ok(Raw { value, is_bytes: false })
            }
            Err(Unreadable::Exceeded(exceeded)) => Err(exceeded.into()),
            Err(Unreadable::Undecodable) => {
                Err(Rejection::BadRequest("There was an error parsing the body".to_owned()))
            }
            Err(Unreadable::Invalid { text, offset, error }) => {
                let loc = vec![Step::Key("body".to_owned()), Step::Index(offset)];
                let complaint = Complaint::new("json_invalid", "JSON decode error").with("error", error);
                let fault = complaint.at(loc, Value::Object(Map::new()));
                Err(Rejection::Invalid { faults: vec![fault], body: text.into() })
            }
        }
    }

    fn prepare_body(&self, raw: &mut Value, checks: Checks) {
        let mut preparation = Preparation::new(&self.schemas, checks);
        match &self.body {
            Body::None => {}
            Body::Single(field) => preparation.prepare(field.node, raw),
            Body::Embedded { fields, .. } => {
                for field in fields {
                    if let Some(value) = raw.get_mut(&field.name) {
                        preparation.prepare(field.node, value);
                    }
                }
            }
        }
    }
}

/// Tells whether an operation holds many records against a filter that is sent.
fn has_filters(id: &str, components: &Map<String, Value>) -> bool {
    // What makes a record may have a filter in it that is stored, beside lists of any length.
    let stores = ["create", "update"].iter().any(|verb| id.starts_with(verb));
    !stores && components.keys().any(|name| name.contains("Filter"))
}

/// The fields of filters whose texts are patterns.
const PATTERNS: [&str; 6] = ["like_", "startswith_", "prefix", "exclude_prefix", "id_prefix", "labels"];

/// Checks that no pattern in a body is too long, where `value` lies in one if `is_pattern` says so.
fn check_patterns(value: &Value, is_pattern: bool) -> Result<(), Exceeded> {
    match value {
        Value::String(text) if is_pattern => {
            // Only where a character may be any one is each place of a text looked at with all of the pattern.
            let bound = if text.contains(['_', '?']) { Bound::FilterWildcards } else { Bound::FilterPattern };
            bound.check(text.len())
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_patterns(item, is_pattern)),
        Value::Object(fields) => fields
            .iter()
            .try_for_each(|(name, field)| check_patterns(field, is_pattern || PATTERNS.contains(&name.as_str()))),
        _ => Ok(()),
    }
}

impl Body {
    fn compile<'a>(id: &str, schema: &'a Value, document: &'a Value, compiler: &mut Compiler<'a>) -> Self {
        let required = |list: Option<&Value>, name: &str| {
            list.and_then(Value::as_array).is_some_and(|names| names.iter().any(|required| required == name))
        };
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
        let Some(component) = reference.filter(|name| name.starts_with("Body_")) else {
            let required = document.get("body_required") == Some(&Value::Bool(true));
            return Self::Single(compiler.field(id, "body", schema, required, true));
        };
        let embedded = document.get("schemas").and_then(|schemas| schemas.get(component));
        let properties = embedded.and_then(|body| body.get("properties")).and_then(Value::as_object);
        let names = embedded.and_then(|body| body.get("required"));
        let (mut page_limit, mut fields) = (None, Vec::new());
        for (name, schema) in properties.into_iter().flatten() {
            let required = required(names, name);
            let field = compiler.field(component, name, schema, required, true);
            if refinements::is_page_limit(name, schema, required) {
                page_limit = Some(field);
            } else {
                fields.push(field);
            }
        }
        Self::Embedded { page_limit, fields }
    }
}

/// A body that was read.
struct Raw {
    value: Value,
    is_bytes: bool,
}

impl Raw {
    /// Returns the object whose fields are parameters; `Err` when the body is JSON and not an object.
    fn fields(&self) -> Result<Option<&Map<String, Value>>, ()> {
        match &self.value {
            Value::Object(fields) => Ok(Some(fields)),
            Value::Null => Ok(None),
            _ if self.is_bytes => Ok(None),
            _ => Err(()),
        }
    }
}

struct Parts<'a> {
    schemas: &'a Schemas,
    checker: Checker<'a>,
}

impl<'a> Parts<'a> {
    fn parameters(
        &mut self,
        place: &'a str,
        fields: &'a [Field],
        value: impl Fn(&str) -> Option<&'a Value>,
    ) -> Map<String, Value> {
        let mut coerced = Map::new();
        for field in fields {
            self.field(&[At::Key(place), At::Key(&field.name)], field, value(&field.name), &mut coerced);
        }
        coerced
    }

    /// Validates one parameter; an absent one and, in a body, an explicit null stand for the default.
    fn field(&mut self, loc: &[At<'a>], field: &'a Field, value: Option<&'a Value>, coerced: &mut Map<String, Value>) {
        let value = match value.filter(|value| !value.is_null()) {
            Some(value) => self.checker.check_at(loc, field.node, value),
            None if field.required => {
                self.checker.missing_at(loc);
                None
            }
            None => default_of(self.schemas, &field.default),
        };
        if let Some(value) = value {
            coerced.insert(field.name.clone(), value);
        }
    }

    fn single(&mut self, field: &'a Field, raw: &'a Raw) -> Value {
        let mut coerced = Map::new();
        self.field(&[At::Key("body")], field, Some(&raw.value), &mut coerced);
        coerced.swap_remove(&field.name).unwrap_or_default()
    }

    fn embedded(&mut self, fields: &'a [Field], raw: &'a Raw, coerced: &mut Map<String, Value>) {
        let sent = raw.fields();
        for field in fields {
            let loc = [At::Key("body"), At::Key(&field.name)];
            match sent {
                Ok(sent) => self.field(&loc, field, sent.and_then(|sent| sent.get(&field.name)), coerced),
                // FastAPI finds every field missing in a body that isn't an object, the optional ones too.
                Err(()) => self.checker.missing_at(&loc),
            }
        }
    }

    /// Validates the limit of a page, by default and at most `most`, which Prefect reads in a dependency and so before everything else.
    fn page_limit(
        &mut self,
        field: &'a Field,
        most: u64,
        raw: &'a Raw,
        coerced: &mut Map<String, Value>,
    ) -> Result<(), Rejection> {
        let refuse = |words: String| Err(Rejection::Unprocessable(format!("Invalid limit: must be {words}.")));
        let sent = raw.fields().ok().flatten().and_then(|fields| fields.get(&field.name));
        if sent.and_then(scalar::beyond_64_bits).is_some_and(|sign| sign > 0.0) {
            return refuse(format!("less than or equal to {most}"));
        }
        self.embedded(std::slice::from_ref(field), raw, coerced);
        match coerced.get(&field.name) {
            Some(Value::Null) => {
                coerced.insert(field.name.clone(), most.into());
                Ok(())
            }
            Some(limit) if limit.as_i64().is_some_and(|limit| limit < 0) => {
                refuse("greater than or equal to 0".to_owned())
            }
            Some(limit) if limit.as_u64().is_none_or(|limit| limit > most) => {
                refuse(format!("less than or equal to {most}"))
            }
            _ => Ok(()),
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| latin1(value.as_bytes()))
}

/// Decodes a header as Starlette does.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Tells whether a content type is `application/json` or `application/…+json`.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.strip_prefix("application/").is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
}

/// Tells whether a path segment is a UUID to Starlette's router: 32 hexadecimal digits, with or without the dashes.
fn is_uuid_segment(segment: &str) -> bool {
    let mut rest = segment;
    for (index, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let Some((group, tail)) = rest.split_at_checked(length) else { return false };
        if !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

/// Refuses a client whose API version isn't `x.y.z`, or is older than Prefect serves.
fn check_api_version(headers: &HeaderMap) -> Result<(), Rejection> {
    let Some(version) = header(headers, API_VERSION).filter(|version| !version.is_empty()) else { return Ok(()) };
    let numbers: Option<Vec<i64>> = version.split('.').map(scalar::python_integer).collect();
    let refuse = |detail: String| Err(Rejection::BadRequest(detail));
    match numbers.as_deref() {
        Some(numbers @ [_, _, _]) if numbers >= OLDEST_API.as_slice() => Ok(()),
        Some([_, _, _]) => refuse(format!(
            "The request specified API version {version} but this server requires version 0.8.0 or higher."
        )),
        _ => refuse(format!(
            "Invalid X-PREFECT-API-VERSION header format.Expected header in format 'x.y.z' but received {version}"
        )),
    }
}
