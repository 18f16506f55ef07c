//! Jinja templates of users, rendered without any context.
//!
//! They are bounded as Prefect bounds them (`prefect.server.utilities.user_templates`): ranges of 100 numbers, 10 loops,
//! 2 of them within each other. What goes beyond that in other ways runs out of fuel.

use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, functions, value::Value};

use domain::python;

const LONGEST_RANGE: usize = 100;
const MOST_LOOPS: usize = 10;
const DEEPEST_LOOP: usize = 2;

/// How many instructions a template may take: far more than its loops can.
const FUEL: u64 = 1_000_000;

/// Checks that `template` can be parsed and keeps the bounds.
///
/// # Errors
/// Says what is wrong, of the bounds in Prefect's words.
pub(super) fn check(template: &str) -> Result<(), String> {
    Environment::new().template_from_str(template).map_err(|error| error.to_string())?;
    check_loops(template)
}

/// Renders `template`, in which nothing is defined; a text without any markup is returned as it is.
///
/// # Errors
/// Says what is wrong, of the bounds and ranges in Prefect's words.
pub(super) fn render(template: &str) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(write);
    environment.add_function("range", range);
    let parsed = environment.template_from_str(template).map_err(|error| error.to_string())?;
    check_loops(template)?;
    if !template.contains("{{") && !template.contains("{%") {
        return Ok(template.to_owned());
    }
    let failed = |error: &Error| format!("Failed to render template due to the following error: {}", cause(error));
    parsed.render(()).map_err(|error| failed(&error))
}

fn cause(error: &Error) -> String {
    match error.detail() {
        Some(detail) if detail.starts_with("Range too big") => format!("OverflowError({})", python::repr_str(detail)),
        _ => error.to_string(),
    }
}

/// Writes a value as Python's `str` does: a text as it is, nothing of what is undefined.
fn write(out: &mut Output, _state: &mut State, value: &Value) -> Result<(), Error> {
    let text = match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_undefined() => String::new(),
        None => match serde_json::to_value(value) {
            Ok(value) => python::repr(&value),
            Err(_) => value.to_string(),
        },
    };
    out.write_str(&text).map_err(Error::from)
}

fn range(lower: isize, upper: Option<isize>, step: Option<isize>) -> Result<Value, Error> {
    let range = functions::range(lower, upper, step)?;
    if range.len().is_some_and(|length| length > LONGEST_RANGE) {
        let message =
            format!("Range too big. The sandbox blocks ranges larger than MAX_TEMPLATE_RANGE={LONGEST_RANGE}.");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    Ok(range)
}

fn check_loops(template: &str) -> Result<(), String> {
    let (mut loops, mut depth, mut deepest) = (0, 0_usize, 0);
    for block in template.split("{%").skip(1) {
        match block.trim_start_matches(['-', '+']).split_whitespace().next() {
            Some("for") => {
                loops += 1;
                depth += 1;
                deepest = deepest.max(depth);
            }
            Some(word) if word.starts_with("endfor") => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if loops > MOST_LOOPS {
        return Err(format!("Contains {loops} for loops. Templates can contain no more than {MOST_LOOPS} for loops."));
    }
    if deepest > DEEPEST_LOOP {
        return Err(format!(
            "Contains nested for loops at a depth of {deepest}. Templates can nest for loops no more than {DEEPEST_LOOP} \
             loops deep."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_as_jinja_does() {
        let table = [
            ("plain }} text", "plain }} text"),
            ("{{ 1 + 1 }} {{ x }}{{ x.y.z }}|", "2 |"),
            ("{{ true }} {{ none }} {{ [1, 'a', {'b': 1.5}] }}", "True None [1, 'a', {'b': 1.5}]"),
            ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
            ("{{ 'a' | upper }}{% if x %}y{% else %}n{% endif %}", "An"),
        ];
        for (template, expected) in table {
            assert_eq!(render(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn refuses_what_takes_too_long() {
        let loops = "{% for i in range(2) %}".repeat(3) + &"{% endfor %}".repeat(3);
        assert!(render(&loops).unwrap_err().starts_with("Contains nested for loops at a depth of 3."));
        let many = "{%- for i in x -%}{%- endfor -%}".repeat(11);
        assert!(render(&many).unwrap_err().starts_with("Contains 11 for loops."));
        let error = render("{% for i in range(200) %}{% endfor %}").unwrap_err();
        assert!(error.ends_with(
            "OverflowError('Range too big. The sandbox blocks ranges larger than MAX_TEMPLATE_RANGE=100.')"
        ));
        assert!(render("{{ 1").is_err());
    }
}
