//! The parameters of the runs that automations create: texts in them may be templates.
//!
//! As the validator of Prefect's action `RunDeployment`: a text with the signs of a template is taken for one, and what
//! can't be filled in whatever the event is, is refused. What is wrong in lists is not told before, as in Prefect.

use domain::model::Object;
use serde_json::{Value, json};

use crate::{
    Allowance,
    hydration::{Form, HydrationError, Placeholder, inspect},
};

/// The key that makes an object a placeholder.
const KIND: &str = "__prefect_kind";

/// Checks the templates and other placeholders in the parameters of an action.
///
/// # Errors
/// What is wrong, by place and in Prefect's words, or which bound the parameters go beyond.
pub fn check(parameters: &Object) -> Result<(), String> {
    let form = inspect(&upgraded(parameters), &Allowance::default()).map_err(|exceeded| exceeded.to_string())?;
    let mut problems = Vec::new();
    match &form.values {
        Value::Object(values) => collect(&form, values, "", &mut problems),
        whole => match form.placeholder(whole) {
            Some(Placeholder::Failed(error)) => problems.push(problem("", error)),
            Some(Placeholder::Template | Placeholder::Variable) => {}
            // Prefect fails with 500 here.
            None => return Err("The parameters are no object".to_owned()),
        },
    }
    if problems.is_empty() { Ok(()) } else { Err(format!("Invalid parameters: \n{}", problems.join("\n  "))) }
}

/// Returns the parameters with the placeholders that texts with the signs of templates stand for.
pub fn upgraded(parameters: &Object) -> Object {
    let mut upgraded = parameters.clone();
    upgrade(&mut upgraded);
    upgraded
}

/// Returns all templates in the placeholders of `parameters`.
pub fn templates_in(parameters: &Object) -> Vec<&str> {
    let own = parameters.get("template").and_then(Value::as_str).filter(|_| parameters.contains_key(KIND));
    own.into_iter().chain(parameters.values().flat_map(templates_in_value)).collect()
}

fn templates_in_value(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => templates_in(fields),
        Value::Array(items) => items.iter().flat_map(templates_in_value).collect(),
        _ => Vec::new(),
    }
}

fn problem(place: &str, error: &HydrationError) -> String {
    let place = if place.is_empty() { String::new() } else { format!("{place}:") };
    format!("{place} {error}")
}

fn collect(form: &Form, values: &Object, prefix: &str, problems: &mut Vec<String>) {
    for (key, value) in values {
        match (value, form.placeholder(value)) {
            (Value::Object(inner), _) => collect(form, inner, &format!("{prefix}{key}."), problems),
            (_, Some(Placeholder::Failed(error))) => problems.push(problem(&format!("{prefix}{key}"), error)),
            _ => {}
        }
    }
}

/// Turns texts with the signs of templates into placeholders, as Prefect's `_upgrade_v1_templates`.
fn upgrade(fields: &mut Object) {
    for value in fields.values_mut() {
        match value {
            Value::Array(items) => items.iter_mut().for_each(upgrade_item),
            other => upgrade_item(other),
        }
    }
}

/// Turns a text into a placeholder, or the texts in an object; what is in a list within a list stays, as in Prefect.
fn upgrade_item(item: &mut Value) {
    match item {
        Value::Object(inner) if !inner.contains_key(KIND) => upgrade(inner),
        Value::String(text) if text.contains("{{") || text.contains("{%") => *item = placeholder(text),
        _ => {}
    }
}

/// Returns the placeholder of a text: an expression alone keeps the type of its value.
fn placeholder(text: &str) -> Value {
    let expression = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    match expression.filter(|_| text.matches("{{").count() == 1) {
        Some(expression) => {
            let template = format!("{{{{ {} | tojson }}}}", expression.trim());
            json!({ KIND: "json", "value": { KIND: "jinja", "template": template } })
        }
        None => json!({ KIND: "jinja", "template": text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(parameters: &Value) -> Result<(), String> {
        check(parameters.as_object().unwrap())
    }

    #[test]
    fn lets_through_what_may_be_filled_in_later() {
        let table = [
            json!({}),
            json!({"a": "{{ x }}", "b": {"c": "{% if x %}y{% endif %}"}, "d": 1}),
            json!({"a": {"__prefect_kind": "workspace_variable", "variable_name": "{{"}}),
            json!({"a": {"__prefect_kind": "json", "value": {"__prefect_kind": "workspace_variable", "variable_name": "x"}}}),
            json!({"a": {"__prefect_kind": "none", "value": "{{"}}),
            json!({"a": {"__prefect_kind": "nothing known"}}),
            json!({"a": ["{{", {"b": "{{"}]}),
            json!({"__prefect_kind": "json", "value": "{\"a\": 1}"}),
        ];
        for parameters in table {
            assert_eq!(checked(&parameters), Ok(()), "{parameters}");
        }
    }

    #[test]
    fn says_what_can_t_be_filled_in_as_the_real_server_does() {
        let table = [
            (
                json!({"a": "{{ x"}),
                "\na: Invalid jinja: unexpected end of template, expected 'end of print statement'.",
            ),
            (
                json!({"a": {"b": "{% if %}"}}),
                "\na.b: Invalid jinja: Expected an expression, got 'end of statement block'",
            ),
            (json!({"a": {"__prefect_kind": "jinja"}}), "\na: Missing 'template' key in __prefect object"),
            (json!({"a": {"__prefect_kind": "none"}}), "\na: Missing 'value' key in __prefect object"),
            (
                json!({"a": "{{ b", "c": "{% d"}),
                "\na: Invalid jinja: unexpected end of template, expected 'end of print statement'.\n  c: Invalid jinja: \
                 Encountered unknown tag 'd'.",
            ),
            (
                json!({"__prefect_kind": "json", "value": "{x"}),
                "\n Invalid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
            ),
        ];
        for (parameters, expected) in table {
            assert_eq!(checked(&parameters), Err(format!("Invalid parameters: {expected}")), "{parameters}");
        }
        assert!(checked(&json!({"__prefect_kind": "json", "value": "[1]"})).is_err());
    }
}
