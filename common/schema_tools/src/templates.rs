//! Jinja templates of users, rendered with what they can name: for most of them nothing.
//!
//! They are bounded as Prefect bounds them (`prefect.server.utilities.user_templates`): ranges of 100 numbers, 10
//! loops, 2 of them within each other. And they are bounded as the server has to be:
//!
//! - Before the parser: by their length, and by how much of them can nest. The parser, the compiler and what drops a
//!   tree go a stack's frame deeper with each operator, so the bound stands in front of them ([`Bound::TemplateNesting`]).
//! - While they are rendered: by fuel, which pays for instructions and for each byte and item that they make
//!   ([`Bound::TemplateWork`]).
//! - By what values have in them ([`parts`]): fuel pays for a list once, and a list that has another twice, thirty
//!   times over, is compared, hashed and written a thousand million times as long.

pub mod context;
mod filters;
mod humanize;
mod lexer;
mod methods;
mod parts;
mod syntax;
mod tojson;
mod values;

use std::{collections::HashMap, sync::Arc};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, functions,
    machinery::{self, CompiledTemplate, TemplateConfig},
    syntax::SyntaxConfig,
    value::Value,
};

use budget::{Bound, Exceeded, Meter, evaluate};
use domain::python;

use self::values::Model;
pub use self::{
    context::{Context, Part, named},
    lexer::Fault,
    values::Class,
};
use crate::allowance::Allowance;

const LONGEST_RANGE: usize = 100;

/// What errors call a template.
const NAME: &str = "<string>";

/// The words that make an expression or a condition deeper.
const NESTING_WORDS: [&str; 8] = ["and", "or", "not", "if", "elif", "else", "is", "in"];

/// The signs that never make anything deeper.
const FLAT_SIGNS: [char; 7] = [',', ';', ':', '_', '"', '\'', '\\'];

/// How many bytes of a template cost as much as an instruction, for they are read, parsed and compiled.
const BYTES_OF_AN_INSTRUCTION: usize = 16;

/// What each template costs besides.
const EACH: u64 = 50;

/// Why a template was not rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRendered {
    /// Something is wrong with it, in Prefect's words where Prefect has some.
    Invalid(String),
    /// It is too much.
    Exceeded(Exceeded),
}

impl From<Exceeded> for NotRendered {
    fn from(exceeded: Exceeded) -> Self {
        Self::Exceeded(exceeded)
    }
}

/// Checks that `template` is one, and keeps the bounds on its loops.
///
/// # Errors
/// [`Exceeded`] if it is too long or nests too deeply to be checked; within, what is wrong with it.
pub fn validate(template: &str, allowance: &Allowance) -> Result<Result<(), Fault>, Exceeded> {
    afford(template, allowance)?;
    evaluate(|| syntax::check(template))
}

/// Checks one template of a record, and says what is wrong.
///
/// # Errors
/// What is wrong, in Jinja's words, or which bound it goes beyond.
pub fn check_text(template: &str) -> Result<(), String> {
    match validate(template, &Allowance::default()) {
        Ok(checked) => checked.map_err(|fault| fault.message),
        Err(exceeded) => Err(exceeded.to_string()),
    }
}

/// Checks as [`validate`].
///
/// # Errors
/// Those of [`render`].
pub(super) fn check(template: &str, allowance: &Allowance) -> Result<(), NotRendered> {
    validate(template, allowance)?.map_err(|fault| NotRendered::Invalid(fault.message))
}

/// Renders `template` with what it can name in `context`; a text without any markup is returned as it is.
///
/// # Errors
/// [`NotRendered`].
pub fn render(template: &str, context: &Context, allowance: &Allowance) -> Result<String, NotRendered> {
    if !["{{", "{%", "{#"].iter().any(|markup| template.contains(markup)) {
        return Ok(template.to_owned());
    }
    afford(template, allowance)?;
    evaluate(|| rendered(template, context, &allowance.instructions))
}

/// Checks the bounds that a template has before it is parsed, and takes what parsing it costs.
fn afford(template: &str, allowance: &Allowance) -> Result<(), Exceeded> {
    Bound::TemplateLength.check(template.len())?;
    Bound::TemplateNesting.check(nesting(template))?;
    allowance.instructions.take(EACH)?;
    allowance.instructions.take_size(template.len() / BYTES_OF_AN_INSTRUCTION)
}

/// Returns how deep the tree of a template can be at most.
///
/// Each level takes an operator, a bracket, a dot, a bar or a word of its own. So they are counted wherever they stand,
/// in plain text too, by no rules of the language that a parser could understand otherwise.
fn nesting(template: &str) -> usize {
    let signs = template.chars().filter(|c| c.is_ascii_punctuation() && !FLAT_SIGNS.contains(c)).count();
    // A number may stand before a word without a space, and its last digits may be letters.
    let words = template.split(|c: char| !c.is_ascii_alphabetic());
    signs + words.filter(|word| NESTING_WORDS.iter().any(|nests| word.ends_with(nests))).count()
}

fn rendered(template: &str, context: &Context, instructions: &Meter) -> Result<String, NotRendered> {
    let config =
        TemplateConfig { syntax_config: SyntaxConfig::default(), default_auto_escape: Arc::new(|_| AutoEscape::None) };
    syntax::check(template)?.map_err(|fault| NotRendered::Invalid(fault.message))?;
    let compiled = CompiledTemplate::new(NAME, template, &config);
    let mut compiled = compiled.map_err(|error| NotRendered::Invalid(error.to_string()))?;
    if !template.contains("{{") && !template.contains("{%") {
        return Ok(template.to_owned());
    }
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(instructions.left()));
    let members = context.members();
    environment.set_formatter(move |out, state, value| write(out, state, value, &members));
    environment.set_unknown_method_callback(methods::call);
    environment.add_function("range", range);
    parts::count(&mut environment, &mut compiled.instructions);
    filters::add(&mut environment, context);
    let mut text = String::new();
    let mut out = machinery::make_string_output(&mut text);
    let (root, escape) = (context.root(), compiled.initial_auto_escape);
    let outcome = machinery::eval(&environment, &compiled.instructions, root, &compiled.blocks, &mut out, escape);
    let (_, state) = outcome.map_err(|error| {
        bound_of(&error).map_or_else(
            || {
                let why = cause(&error);
                NotRendered::Invalid(format!("Failed to render template due to the following error: {why}"))
            },
            NotRendered::Exceeded,
        )
    })?;
    instructions.take(state.fuel_levels().map_or(0, |(consumed, _)| consumed))?;
    drop(state);
    Ok(text)
}

/// Returns the bound that an error comes of, if it comes of one.
fn bound_of(error: &Error) -> Option<Exceeded> {
    let mut errors = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    errors.find_map(|error| match error.downcast_ref::<Error>() {
        Some(error) if error.kind() == ErrorKind::OutOfFuel => Some(Exceeded(Bound::TemplateWork)),
        _ => error.downcast_ref::<Exceeded>().copied(),
    })
}

/// What an error's words begin with that Python's `repr` of the exception follows.
const PYTHON: &str = "in Python: ";

/// Returns the words of an error that Python raises, of which `told` is the `repr`.
fn in_words_of_python(told: &str) -> String {
    format!("{PYTHON}{told}")
}

fn cause(error: &Error) -> String {
    match error.detail() {
        Some(detail) if detail.starts_with(PYTHON) => detail[PYTHON.len()..].to_owned(),
        Some(detail) if detail.starts_with("Range too big") => format!("OverflowError({})", python::repr_str(detail)),
        _ => error.to_string(),
    }
}

/// Writes a value as Python's `str` does: a text as it is, a member of an enumeration with its class, nothing of what
/// is undefined.
fn write(out: &mut Output, state: &mut State, value: &Value, members: &HashMap<String, String>) -> Result<(), Error> {
    if value.is_undefined() {
        return Ok(());
    }
    if let Some(text) = value.as_str() {
        let text = members.get(text).filter(|_| value.is_safe()).map_or(text, String::as_str);
        return out.write_str(text).map_err(Error::from);
    }
    parts::pay(state, value)?;
    let text = match value.downcast_object_ref::<Model>() {
        Some(model) => model.str(members),
        None if values::is_plain(value) => value.to_string(),
        None => values::repr(value, members),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str) -> Result<String, NotRendered> {
        render(template, &Context::default(), &Allowance::default())
    }

    fn refusal(template: &str) -> String {
        match rendered(template) {
            Err(NotRendered::Invalid(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn renders_as_jinja_does() {
        let table = [
            ("plain }} text", "plain }} text"),
            ("{{ 1 + 1 }} {{ x }}{{ x.y.z }}|", "2 |"),
            ("{{ true }} {{ none }} {{ [1, 'a', {'b': 1.5}] }}", "True None [1, 'a', {'b': 1.5}]"),
            ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
            ("{{ 'a' | upper }}{% if x %}y{% else %}n{% endif %}", "An"),
            ("{% set a = [1] %}{{ a + [x] }} {{ a * 2 }} {{ a + a == [1, 1] }}", "[1, None] [1, 1] True"),
            ("{% set a = 1 %}{{ (a,) + (2,) }} {{ 'a' + 'b' }} {{ a * 'x' }} {{ a * 2 + 0.5 }}", "[1, 2] ab x 2.5"),
            ("{% set a = [1, 2, 3] %}{{ a[1:] }} {{ a[::-1] }} {{ 'abc'[:2] }} {{ a[5:] }}", "[2, 3] [3, 2, 1] ab []"),
            ("{% set a = [1, 2] %}{{ a | reverse | list }} {{ 'ab' | reverse }}", "[2, 1] ba"),
            (
                "{% set a = [1] %}{{ a | chain([2]) | list }} {{ {'k': 1} | chain({'l': 2}) }}",
                "[1, 2] {'k': 1, 'l': 2}",
            ),
            ("{% for i in range(3) %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"),
            ("{% set a = 1 %}{{ [a, x] }} {{ {'a': a} }} {{ [a][0] }}{{ [a][1] }}", "[1, None] {'a': 1} 1"),
            ("{% set a = 1 %}{{ {'k': a}['k'] }}{{ {'k': a}.k }}", "11"),
            (
                "{% set a = 1 %}{{ a in [a] }} {{ a not in [a] }} {{ 'a' in {'a': 1} }} {{ 'b' in 'abc' }}",
                "True False True True",
            ),
            ("{% set a = 2 %}{{ [a, 1] | sort | join(',') }} {{ [a] | batch(2, 0) | list }}", "1,2 [[2, 0]]"),
            ("{% set a = 2 %}{{ [a] | zip([1]) | list }}", "[[2, 1]]"),
            (
                "{{ dict(a=1) | items | list }}{% for k, v in dict(b=2) | dictsort %}{{ k }}{{ v }}{% endfor %}",
                "[['a', 1]]b2",
            ),
            ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m([1]) }}{{ m(*[2]) }}{{ m(**{'x': 3}) }}", "<[1]><2><3>"),
            ("{% set a, b = 1, 2 %}{{ a }}{{ b }}{% for c in [a, b] if c > 1 %}{{ c }}{% endfor %}", "122"),
        ];
        for (template, expected) in table {
            assert_eq!(rendered(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn refuses_what_takes_too_long() {
        let loops = "{% for i in range(2) %}".repeat(3) + &"{% endfor %}".repeat(3);
        assert!(refusal(&loops).starts_with("Contains nested for loops at a depth of 3."));
        let many = "{%- for i in x -%}{%- endfor -%}".repeat(11);
        assert!(refusal(&many).starts_with("Contains 11 for loops."));
        let error = refusal("{% for i in range(200) %}{% endfor %}");
        assert!(error.ends_with(
            "OverflowError('Range too big. The sandbox blocks ranges larger than MAX_TEMPLATE_RANGE=100.')"
        ));
        assert!(rendered("{{ 1").is_err());
        for nothing in ["{{ loop.cycle() }}", "{{ loop.cycle(*[]) }}"] {
            let template = format!("{{% for i in range(2) %}}{nothing}{{% endfor %}}");
            assert!(refusal(&template).contains("there is nothing to cycle"));
        }
    }

    /// The chains that end the process where nothing bounds them, or that keep it busy for hours.
    #[test]
    fn names_the_bound_of_what_is_too_much() {
        let chain = |link: &str| format!("{{{{ a{} }}}}", link.repeat(65_000 / link.len()));
        let doubled = |end: &str| format!("{{% set a = ['x'] %}}{}{end}", "{% set a = [a, a] %}".repeat(28));
        let deep = |end: &str| {
            let deeper = "{%set a=[a]%}".repeat(400);
            format!("{{% macro f(a) %}}{deeper}{end}{{{{ f(a) }}}}{{% endmacro %}}{{{{ f(1) }}}}")
        };
        let looped = |body: &str| {
            let (begin, end) = ("{% for i in range(100) %}".repeat(2), "{% endfor %}".repeat(2));
            format!("{{% set s = 'x' * 1000000 %}}{begin}{body}{end}")
        };
        let table = [
            (format!("{{{{ {}1 }}}}", "-".repeat(100_000)), Bound::TemplateLength),
            (format!("{{{{ {}1 }}}}", "-".repeat(60_000)), Bound::TemplateNesting),
            (format!("{{{{ {}1 }}}}", "not ".repeat(16_000)), Bound::TemplateNesting),
            (chain("+1"), Bound::TemplateNesting),
            (chain("~1"), Bound::TemplateNesting),
            (chain("**1"), Bound::TemplateNesting),
            (chain("*1"), Bound::TemplateNesting),
            (chain(" and 1"), Bound::TemplateNesting),
            (chain(".b"), Bound::TemplateNesting),
            (chain("[0]"), Bound::TemplateNesting),
            (format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(5_000)), Bound::TemplateNesting),
            (doubled("{{ a }}"), Bound::TemplateValueParts),
            (doubled("{{ a == a }}"), Bound::TemplateValueParts),
            ("{% set a = [0] * 900 %}{% set a = [a] * 900 %}{{ a }}".to_owned(), Bound::TemplateWork),
            ("{% set a = [0] * 900 %}{% set a = [a] * 900 %}{{ [a] }}".to_owned(), Bound::TemplateValueParts),
            (deep(""), Bound::TemplateValueDepth),
            ("{% set a = ['x'] %}".to_owned() + &"{% set a = a + a %}".repeat(40), Bound::TemplateWork),
            ("{% set a = ['x'] %}".to_owned() + &"{% set a = a | chain(a) %}".repeat(40), Bound::TemplateWork),
            ("{% set a = ['x'] %}".to_owned() + &"{% set a = a * 2 %}".repeat(40), Bound::TemplateWork),
            ("{{ 'x' * 100000000 }}".to_owned(), Bound::TemplateWork),
            ("{% set s = 'x' %}".to_owned() + &"{% set s = s ~ s %}".repeat(60), Bound::TemplateWork),
            ("{{ 'x' | indent(1000000000000) }}".to_owned(), Bound::TemplateWork),
            ("{{ [1] | tojson(indent=1000000000) }}".to_owned(), Bound::TemplateWork),
            ("{{ [1] | batch(1000000000, 0) | list }}".to_owned(), Bound::TemplateWork),
            ("{{ [1] | slice(1000000000, 0) | list }}".to_owned(), Bound::TemplateWork),
            ("{{ '%1000000000d' | format(1) }}".to_owned(), Bound::TemplateWork),
            (looped("{{ {1: 1}[s] }}"), Bound::TemplateWork),
            (looped("{{ s in {1: 1} }}"), Bound::TemplateWork),
            (looped("{{ [s] | unique }}"), Bound::TemplateValueParts),
        ];
        for (template, bound) in table {
            let head: String = template.chars().take(60).collect();
            assert_eq!(rendered(&template), Err(NotRendered::Exceeded(Exceeded(bound))), "{head}");
        }
    }

    #[test]
    fn what_has_no_items_takes_no_time() {
        for grow in ["a + a", "a * 1000000", "a | chain(a)", "a[0:]", "a[::-1]", "a | reverse", "a | zip(a)"] {
            let template =
                "{% set a = [] %}".to_owned() + &format!("{{% set a = {grow} %}}").repeat(200) + "{{ a | list }}";
            assert_eq!(rendered(&template).as_deref(), Ok("[]"), "{grow}");
        }
    }

    #[test]
    fn the_longest_chains_that_are_allowed_have_room_on_the_stack() {
        let most = usize::try_from(Bound::TemplateNesting.most()).unwrap() - 8;
        let length = usize::try_from(Bound::TemplateLength.most()).unwrap();
        let links = [
            "-",
            "not ",
            "+1",
            "~1",
            "**1",
            "*1",
            " and 1",
            " or 1",
            ".b",
            "[0]",
            "()",
            "|upper",
            " is none",
            " if 1",
            " if 1 else 1",
            "<1",
            "(",
            "[",
            "{1:",
        ];
        for link in links {
            for (before, after) in [("{{ ", "1 }}"), ("{{ a", " }}"), ("{{ 1", " }}")] {
                // Some links count more than once, so that all lengths up to the most are tried.
                for links in [1, 2, 3, 5].map(|part| most / part) {
                    let template = format!("{before}{}{after}", link.repeat(links.min((length - 16) / link.len())));
                    drop(rendered(&template));
                }
            }
        }
        drop(rendered(&format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(most / 8))));
        drop(rendered(&("{% if 1 %}".repeat(most / 5) + &"{% endif %}".repeat(most / 5))));
    }
}
