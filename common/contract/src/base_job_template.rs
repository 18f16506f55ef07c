//! Base job templates: what Prefect's `validate_base_job_template` asks of them.

use std::sync::LazyLock;

use indexmap::IndexSet;
use regex::Regex;
use serde_json::{Map, Value};

use domain::filter::python_json;

/// A placeholder in the JSON text of a template, such as `{{ image }}`.
#[allow(clippy::expect_used, reason = "the expression is constant, and tested")]
static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{\s*([\w.\-\[\]$]+)\s*\}\}").expect("the expression is valid"));

/// Checks that a template is empty, or describes a job and declares the variables that the job uses.
///
/// # Errors
/// Says what is wrong, in Prefect's words.
pub(super) fn check(template: &Map<String, Value>) -> Result<(), String> {
    if template.is_empty() {
        return Ok(());
    }
    let part = |name| template.get(name).and_then(Value::as_object).filter(|part| !part.is_empty());
    let (Some(job), Some(variables)) = (part("job_configuration"), part("variables")) else {
        return Err("The `base_job_template` must contain both a `job_configuration` key and a `variables` key.".into());
    };
    let declared = variables.get("properties").and_then(Value::as_object);
    let mut missing: IndexSet<String> = IndexSet::new();
    for value in job.values() {
        let mut text = String::new();
        python_json::write_value(&mut text, value);
        for name in PLACEHOLDER.captures_iter(&text).filter_map(|found| found.get(1)) {
            let is_declared = declared.is_some_and(|declared| declared.contains_key(name.as_str()));
            if !is_declared && !missing.contains(name.as_str()) {
                missing.insert(name.as_str().to_owned());
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "The variables specified in the job configuration template must be present as properties in the variables \
         schema. Your job configuration uses the following undeclared variable(s): {}.",
        missing.into_iter().collect::<Vec<_>>().join(" ,")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_uses_declared_variables_only() {
        let check = |template: Value| check(template.as_object().unwrap());
        let variables = json!({"type": "object", "properties": {"image": {"type": "string"}}});
        let with = |job: Value| check(json!({"job_configuration": job, "variables": variables}));
        assert_eq!(check(json!({})), Ok(()));
        assert_eq!(with(json!({"image": "{{ image }}", "command": ["{{image}} x", {"a": 1}]})), Ok(()));
        for template in [json!({"x": 1}), json!({"job_configuration": {}, "variables": {"a": 1}})] {
            assert!(check(template).unwrap_err().contains("must contain both"));
        }
        let refusal = with(json!({"env": {"{{ key }}": "{{ image }}{{ key }} {{ other.part }}"}})).unwrap_err();
        assert!(refusal.ends_with("undeclared variable(s): key ,other.part."), "{refusal}");
    }
}
