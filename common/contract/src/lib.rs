//! The OpenAPI contract as the validator of requests.
//!
//! Every operation of the contract is compiled, on its first request, into a tree that validates and coerces path,
//! query, headers and body as Prefect's FastAPI and pydantic do, with the same error dictionaries in the same order.
//! What the contract can't express is listed in `refinements.rs`.
//!
//! ```
//! use contract::{Operation, Request};
//! use http::{HeaderMap, header::CONTENT_TYPE};
//!
//! let operation = Operation::find("POST", "/flows/").ok_or("no such operation")?;
//! let mut headers = HeaderMap::new();
//! headers.insert(CONTENT_TYPE, "application/json".parse()?);
//! let request = Request { path: &[], query: "", headers: &headers, body: br#"{"name": "a flow"}"# };
//! let validated = operation.validate(&request).map_err(|rejection| format!("{rejection:?}"))?;
//! assert_eq!(validated.body["tags"], serde_json::json!([]));
//! assert_eq!(validated.sent(), serde_json::json!({"name": "a flow"}));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base_job_template;
mod check;
mod document;
mod fault;
mod faults;
mod message;
mod pendulum;
mod refinements;
mod rejection;
mod request;
mod scalar;
mod schema;

pub use document::{Mount, docs_page, document, redoc_page};
pub use fault::{Fault, Step};
pub use message::Message;
pub use rejection::Rejection;
pub use request::{Request, Validated};

use std::sync::OnceLock;

use request::Plan;
use serde_json::{Map, Value};

/// The release of Prefect whose contract this is.
pub const RELEASE: &str = "3.9.1";

/// The API version that this release says it serves.
pub const API_VERSION: &str = "0.8.4";

/// How many entries a page of a filter has by default, and at most, unless a server is told otherwise.
pub const PAGE_LIMIT: u32 = 200;

/// Holds parameters against a JSON Schema, and says what is wrong in Prefect's words.
///
/// Few operations need it and it is large, so that it is not linked with the contract: their routes bring it along.
pub type ParameterCheck = fn(parameters: &Value, schema: &Value) -> Result<(), String>;

/// Checks templates, and says what is wrong in Prefect's words. The routes that need it bring it along, as [`ParameterCheck`].
#[derive(Clone, Copy, Debug)]
pub struct TemplateCheck {
    /// Checks one template.
    pub text: fn(template: &str) -> Result<(), String>,
    /// Checks the templates in the parameters of a run that an action creates.
    pub parameters: fn(parameters: &Map<String, Value>) -> Result<(), String>,
}

/// What a route brings along to validate its requests with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checks {
    /// What parameters have to pass that are said to fit a schema.
    pub parameters: Option<ParameterCheck>,
    /// What templates have to pass.
    pub templates: Option<TemplateCheck>,
}

include!(concat!(env!("OUT_DIR"), "/operations.rs"));

/// One operation of the contract.
#[derive(Debug)]
pub struct Operation {
    method: &'static str,
    path: &'static str,
    id: &'static str,
    rank: usize,
    source: &'static str,
    plan: OnceLock<Plan>,
}

impl Operation {
    const fn new(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        rank: usize,
        source: &'static str,
    ) -> Self {
        Self { method, path, id, rank, source, plan: OnceLock::new() }
    }

    /// Finds the operation of `method` (upper case) and `path`, a template as the contract has it: `/flow_runs/{id}`.
    pub fn find(method: &str, path: &str) -> Option<&'static Self> {
        let index = OPERATIONS.binary_search_by(|operation| (operation.method, operation.path).cmp(&(method, path)));
        index.ok().and_then(|index| OPERATIONS.get(index))
    }

    /// Returns every operation of the contract, by method and path.
    pub fn all() -> &'static [Self] {
        &OPERATIONS
    }

    /// Returns the HTTP method, in upper case.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Returns the path template, without the API's prefix.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Returns the contract's operation id.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// Returns the operation's name: its id without the path and the method that Prefect's framework appends.
    ///
    /// A few operations of different resources share a name.
    pub fn name(&self) -> &'static str {
        let appended = self.path.len() + self.method.len() + 1;
        self.id.get(..self.id.len().saturating_sub(appended)).unwrap_or(self.id).trim_end_matches('_')
    }

    /// Returns the operation's place among all, in the order in which Prefect's router tries them.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Tells whether Prefect's router takes the path with these parameters for this operation, whatever the method.
    ///
    /// Some parameters must look like UUIDs for that.
    pub fn takes_path(&self, parameters: &[(&str, &str)]) -> bool {
        self.plan().path_matches(parameters)
    }

    /// Tells whether some requests of this operation can't be validated without a [`ParameterCheck`].
    pub fn checks_parameters(&self) -> bool {
        self.plan().checks_parameters()
    }

    /// Tells whether some requests of this operation can't be validated without a [`TemplateCheck`].
    pub fn checks_templates(&self) -> bool {
        self.plan().checks_templates()
    }

    fn plan(&self) -> &Plan {
        self.plan.get_or_init(|| Plan::compile(self.id, self.source))
    }

    /// Validates and coerces a request.
    ///
    /// The first call parses and compiles the operation's schemas; later ones take a few microseconds. Parameters that
    /// have to fit a schema are refused: [`Self::validate_with`] takes what checks them.
    ///
    /// # Errors
    /// The [`Rejection`] that Prefect answers with.
    pub fn validate(&self, request: &Request<'_>) -> Result<Validated, Rejection> {
        self.validate_with(request, PAGE_LIMIT, Checks::default())
    }

    /// Validates as [`Self::validate`], where a page has `page_limit` entries by default and at most, and where
    /// parameters and templates have to pass `checks`.
    ///
    /// # Errors
    /// The [`Rejection`] that Prefect answers with.
    pub fn validate_with(
        &self,
        request: &Request<'_>,
        page_limit: u32,
        checks: Checks,
    ) -> Result<Validated, Rejection> {
        self.plan().validate(self.method, request, page_limit, checks)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::{Value, json};

    use super::*;

    fn validate(method: &str, path: &str, body: &Value) -> Result<Validated, Value> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/json".parse().unwrap());
        let id = "01a2034c-a60e-77df-8caf-82a280613781";
        let body = body.to_string();
        let request = Request { path: &[("id", id)], query: "", headers: &headers, body: body.as_bytes() };
        let operation = Operation::find(method, path).unwrap();
        operation.validate(&request).map_err(|rejection| rejection.into_answer().1)
    }

    #[test]
    fn knows_every_operation_and_compiles_it() {
        assert_eq!(Operation::all().len(), 188 + 13, "Prefect's, and ours");
        for operation in Operation::all() {
            assert!(std::ptr::eq(Operation::find(operation.method(), operation.path()).unwrap(), operation));
            let request = Request { path: &[], query: "", headers: &HeaderMap::new(), body: b"" };
            let _ = operation.validate(&request);
        }
        assert!(Operation::find("GET", "/nothing").is_none());
    }

    #[test]
    fn names_operations_as_the_contracts_functions() {
        let names: Vec<_> = ["/flows/", "/csrf-token", "/flow_runs/{id}/input/{key}"]
            .into_iter()
            .filter_map(|path| Operation::all().iter().find(|operation| operation.path() == path))
            .map(Operation::name)
            .collect();
        assert_eq!(names, ["create_flow", "create_csrf_token", "delete_flow_run_input"]);
    }

    #[test]
    fn fills_defaults_and_remembers_what_was_sent() {
        let body = json!({"name": "x", "empirical_policy": {"max_retries": "3"}});
        let validated = validate("PATCH", "/flow_runs/{id}", &body).unwrap();
        assert_eq!(validated.body["empirical_policy"]["retries"], 3);
        assert_eq!(validated.body["empirical_policy"]["pause_keys"], json!([]));
        assert_eq!(validated.sent(), json!({"name": "x", "empirical_policy": {"max_retries": 3, "retries": 3}}));
    }

    #[test]
    fn tells_faults_in_the_order_of_the_fields() {
        let answer = validate("POST", "/flows/", &json!({"extra": 1, "tags": "x"})).unwrap_err();
        let kinds: Vec<&Value> =
            answer["exception_detail"].as_array().unwrap().iter().map(|fault| &fault["type"]).collect();
        assert_eq!(kinds, ["missing", "list_type", "extra_forbidden"]);
        assert_eq!(answer["request_body"], json!({"extra": 1, "tags": "x"}));
    }

    #[test]
    fn refuses_a_page_beyond_the_limit_before_anything_else() {
        let answer = validate("POST", "/flows/filter", &json!({"limit": 201, "offset": -1})).unwrap_err();
        assert_eq!(answer, json!({"detail": "Invalid limit: must be less than or equal to 200."}));
    }

    #[test]
    fn sets_the_page_limit_when_none_is_sent() {
        let validated = validate("POST", "/flows/filter", &json!({})).unwrap();
        assert_eq!((&validated.body["limit"], &validated.body["flows"]), (&json!(200), &Value::Null));
    }
}
