//! Templates of a grammar: long chains, deep brackets, values within values, loops, macros and huge numbers.

use common::{
    model::Object,
    schema_tools::{
        Allowance,
        hydration::{HydrationError, KnownVariables, Unfinished, hydrate},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::explore;

/// Fills in a template that stands in a placeholder, as every request does.
pub(super) fn render(template: &str) -> Result<Result<Value, HydrationError>, Unfinished> {
    let input = Object::from_iter([("v".to_owned(), json!({"__prefect_kind": "jinja", "template": template}))]);
    hydrate(&input, &KnownVariables::new(), &Allowance::default())
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "x", "i", "loop", "loop.index", "m", "loop.cycle", "caller"])
        .prop_map(str::to_owned)
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..20_i64).prop_map(|number| number.to_string()),
        1 => prop::sample::select(vec!["1000", "100000", "1000000", "99999999999", "1e308", "-1", "true", "none"])
            .prop_map(str::to_owned),
        3 => "[a-z %]{0,6}".prop_map(|text| format!("'{text}'")),
        1 => Just("'%s%1000d'".to_owned()),
        2 => Just("[]".to_owned()),
        2 => Just("{}".to_owned()),
    ]
}

fn link() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "+1",
        "-1",
        "~'a'",
        "**2",
        "*2",
        "/1",
        "//1",
        "%3",
        " and 1",
        " or 0",
        ".b",
        "[0]",
        "()",
        "|upper",
        "|list",
        " is none",
        " if 1",
        " if 1 else 2",
        " == 1",
        " < 2",
        " in a",
        " not in a",
        "[1:]",
        "[::2]",
        "(a)",
        "|sort",
        "|e",
        "+a",
        "~a",
        "*a",
        "|zip(a)",
        "|batch(2)",
        "|map('upper')",
        "|tojson",
        "|string",
    ])
    .prop_map(str::to_owned)
}

fn filter() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "upper",
        "lower",
        "title",
        "capitalize",
        "replace",
        "length",
        "count",
        "dictsort",
        "items",
        "reverse",
        "trim",
        "join",
        "split",
        "lines",
        "default",
        "round",
        "abs",
        "int",
        "float",
        "attr",
        "first",
        "last",
        "min",
        "max",
        "sort",
        "list",
        "string",
        "bool",
        "batch",
        "slice",
        "sum",
        "indent",
        "select",
        "reject",
        "selectattr",
        "map",
        "groupby",
        "unique",
        "chain",
        "zip",
        "pprint",
        "format",
        "tojson",
        "safe",
        "escape",
    ])
    .prop_map(str::to_owned)
}

const BEFORE: [&str; 4] = ["-", "not ", "(", "["];

const BETWEEN: [&str; 9] = ["+", "*", "~", "==", "<", " in ", "**", "//", "%"];

fn expression() -> impl Strategy<Value = String> {
    let before = || prop::sample::select(BEFORE.to_vec());
    let between = || prop::sample::select(BETWEEN.to_vec());
    prop_oneof![literal(), name()].prop_recursive(6, 64, 4, move |inner| {
        let chain = (inner.clone(), link(), prop_oneof![2 => 1..12_usize, 1 => 1..6_000_usize]);
        let two = (inner.clone(), inner.clone());
        let many = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| items.join(","));
        prop_oneof![
            3 => chain.prop_map(|(of, link, times)| format!("{of}{}", link.repeat(times))),
            2 => (inner.clone(), before(), 1..4_000_usize).prop_map(|(of, sign, times)| sign.repeat(times) + &of),
            3 => (two.clone(), between()).prop_map(|((one, another), sign)| format!("({one}){sign}({another})")),
            4 => (inner.clone(), filter(), many.clone()).prop_map(|(of, filter, with)| format!("({of})|{filter}({with})")),
            3 => many.clone().prop_map(|items| format!("[{items}]")),
            1 => many.clone().prop_map(|items| format!("({items},)")),
            2 => two.clone().prop_map(|(key, value)| format!("{{{key}: {value}}}")),
            1 => two.clone().prop_map(|(of, at)| format!("({of})[{at}]")),
            1 => two.prop_map(|(one, another)| format!("dict(a={one}, b={another})")),
            1 => many.prop_map(|items| format!("m({items})")),
            1 => inner.prop_map(|of| format!("range({of})")),
        ]
    })
}

/// What makes a value of itself, some of it twice, is what grows.
const GROWTHS: [&str; 28] = [
    "a|chain(a)",
    "a|reverse",
    "a[0:]",
    "a[::-1]",
    "a|list",
    "a|map('string')|list",
    "a|items|list",
    "a|dictsort",
    "[]",
    "{}",
    "[a,a]",
    "[a]",
    "a~a",
    "a+a",
    "a*2",
    "{'k':a}",
    "{'k':a,'l':a}",
    "(a,a)",
    "[a,b]",
    "{a:a}",
    "a|zip(a)|list",
    "a|batch(2,a)|list",
    "a|slice(3,a)|list",
    "dict(x=a,y=a)",
    "[a]*100",
    "'x'*10000",
    "a|join(a|string)",
    "a|replace('x',a)",
];

/// Statements around others, with what is put into them where the signs stand.
const AROUND: [&str; 9] = [
    "<>",
    "{% for i in range(100) %}<>{% endfor %}",
    "{% for i in ? if i recursive %}<>{{ loop([i]) }}{% endfor %}",
    "{% if ? %}<>{% elif a %}<>{% else %}x{% endif %}",
    "{% macro m(a) %}<>{{ m([a, a]) }}{% endmacro %}{{ m(1) }}",
    "{% macro m(a) %}<>{{ m(?) }}{% endmacro %}{{ m(1) }}",
    "{% set a %}<>{% endset %}",
    "{% filter upper %}<>{% endfilter %}",
    "{% with a = [a, a] %}<>{% endwith %}",
];

fn statements() -> impl Strategy<Value = String> {
    let growth = (prop::sample::select(GROWTHS.to_vec()), 1..40_usize);
    let plain = prop_oneof![
        3 => expression().prop_map(|what| format!("{{{{ {what} }}}}")),
        4 => (name(), expression()).prop_map(|(name, what)| format!("{{% set {name} = {what} %}}")),
        3 => growth.prop_map(|(what, times)| format!("{{% set a = {what} %}}").repeat(times)),
        1 => (".{0,40}", 1..200_usize).prop_map(|(text, times)| text.repeat(times)),
        1 => Just("{% set a = ['x'] %}".to_owned()),
        1 => Just("{% set b = a %}{{ a == b }}{{ [a] < [b] }}".to_owned()),
    ];
    plain.prop_recursive(4, 32, 4, |inner| {
        let body = prop::collection::vec(inner, 1..4).prop_map(|parts| parts.concat());
        let around = (prop::sample::select(AROUND.to_vec()), body.clone(), expression());
        let repeated = (body, 1..400_usize);
        prop_oneof![
            6 => around.prop_map(|(around, body, of)| around.replace('?', &of).replace("<>", &body)),
            1 => repeated.prop_map(|(body, times)| body.repeat(times.min(1 + 60_000 / body.len().max(1)))),
        ]
    })
}

#[test]
fn any_template_is_answered_within_bounds() {
    explore("templates", statements, |template| drop(render(template)));
}
