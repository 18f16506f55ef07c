//! Schemas that refer to one another at random, and values that are held against them.

use common::{
    budget::{Bound, Exceeded},
    schema_tools::{
        Allowance,
        job_variables::{BlockData, check_defaults, check_of_flow_run},
        validation::{check_parameters, first_fault, validate, validate_incomplete},
    },
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{STACKS, alone, explore, measured, on_stack};

fn reference() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => (0..8_u8).prop_map(|number| json!({"$ref": format!("#/definitions/d{number}")})),
        1 => (0..4_u8).prop_map(|number| json!({"$ref": format!("#a{number}")})),
        1 => (0..4_u8).prop_map(|number| json!({"$dynamicRef": format!("#a{number}")})),
        1 => Just(json!({"$ref": "#"})),
        1 => Just(json!({"$ref": "https://json-schema.org/draft/2020-12/schema"})),
        1 => Just(json!({"$ref": "other#/definitions/d0"})),
    ]
}

fn pattern() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(vec![
        "a", ".", "[ab]", r"\w", r"\d", "(a|b)", "(?=a)", r"(a)\1", "(a+)+", "(.*)*", "(?:x?)", "^", "$", "[^a]",
        "(?!b)",
    ]);
    let times = prop::sample::select(vec!["", "", "*", "+", "?", "{3}", "{2,50}", "{1000}", "*?"]);
    prop::collection::vec((atom, times), 1..6)
        .prop_map(|parts| parts.into_iter().flat_map(|(atom, times)| [atom, times]).collect::<String>())
        .prop_flat_map(|inner| {
            prop_oneof![
                Just(inner.clone()),
                Just(format!("({inner}){{100}}")),
                Just(format!("(({inner}){{30}}){{30}}$"))
            ]
        })
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        reference(),
        prop::sample::select(vec!["string", "integer", "object", "array", "null"])
            .prop_map(|kind| json!({"type": kind})),
        pattern().prop_map(|pattern| json!({"pattern": pattern})),
        any::<bool>().prop_map(Value::Bool),
        Just(json!({"uniqueItems": true, "enum": [1, "a", []]})),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let many = prop::collection::vec(inner.clone(), 1..5);
        prop_oneof![
            (prop::sample::select(vec!["anyOf", "allOf", "oneOf"]), many.clone())
                .prop_map(|(keyword, schemas)| json!({keyword: schemas})),
            (prop::sample::select(vec!["anyOf", "oneOf"]), reference(), 1..6_usize)
                .prop_map(|(keyword, to, times)| json!({keyword: vec![to; times]})),
            (
                prop::sample::select(vec![
                    "not",
                    "if",
                    "items",
                    "additionalProperties",
                    "contains",
                    "unevaluatedProperties",
                    "unevaluatedItems",
                    "propertyNames",
                ]),
                inner.clone()
            )
                .prop_map(|(keyword, schema)| json!({keyword: schema})),
            prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]), inner.clone()), 1..4).prop_map(
                |fields| {
                    let fields = fields.into_iter().map(|(name, to)| (name.to_owned(), to));
                    json!({"properties": fields.collect::<Map<_, _>>()})
                }
            ),
            (pattern(), inner.clone()).prop_map(|(pattern, schema)| json!({"patternProperties": {pattern: schema}})),
            (inner.clone(), inner).prop_map(|(one, another)| {
                let mut both = one.as_object().cloned().unwrap_or_default();
                both.extend(another.as_object().cloned().unwrap_or_default());
                both.insert("$dynamicAnchor".to_owned(), json!("a0"));
                Value::Object(both)
            }),
        ]
    })
}

fn whole() -> impl Strategy<Value = Value> {
    let plain = prop::collection::vec(schema(), 8);
    // Levels that each lead several times to the next one.
    let levels = (1..40_usize, 1..5_usize, prop::sample::select(vec!["anyOf", "allOf", "oneOf"]), schema()).prop_map(
        |(levels, width, keyword, last)| {
            let level =
                |number| json!({keyword: vec![json!({"$ref": format!("#/definitions/d{}", number + 1)}); width]});
            (0..levels).map(level).chain([last]).collect::<Vec<_>>()
        },
    );
    let chain = (1..3000_usize).prop_map(|length| {
        (0..length).map(|number| json!({"$ref": format!("#/definitions/d{}", number + 1)})).collect()
    });
    let nested = (1..400_usize, schema())
        .prop_map(|(levels, last)| vec![(0..levels).fold(last, |inner, _| json!({"properties": {"a": inner}}))]);
    (prop_oneof![6 => plain, 2 => levels, 1 => chain, 1 => nested], reference()).prop_map(|(definitions, first)| {
        let definitions: Map<_, _> =
            definitions.into_iter().enumerate().map(|(number, one)| (format!("d{number}"), one)).collect();
        let properties = json!({"a": first, "b": {"$ref": "#/definitions/d0", "default": 1}});
        json!({"type": "object", "properties": properties, "required": ["a"], "definitions": definitions})
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        ("[ab1]{0,8}", 1..2000_usize).prop_map(|(text, times)| Value::from(text.repeat(times))),
        Just(Value::Null),
    ];
    let value = leaf.prop_recursive(5, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec(("[abc]", inner.clone()), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            (inner.clone(), 1..3000_usize).prop_map(|(item, times)| {
                let times = times.min(1 + 300_000 / item.to_string().len().max(1));
                Value::Array(vec![item; times])
            }),
            (inner, 1..300_usize).prop_map(|(last, levels)| (0..levels).fold(last, |inner, _| json!({"a": inner}))),
        ]
    });
    value.prop_map(|value| json!({"a": value}))
}

fn hold((schema, value): &(Value, Value)) {
    let (Some(schema), Some(fields)) = (schema.as_object(), value.as_object()) else { return };
    let allowance = Allowance::default();
    drop(validate(value, schema, &allowance));
    drop(validate_incomplete(value, schema, &allowance));
    drop(first_fault(value, schema, &allowance));
    let template = json!({"variables": schema}).as_object().cloned().unwrap_or_default();
    drop(check_defaults(&template, &BlockData::new(), &allowance));
    drop(check_of_flow_run(&template, &BlockData::new(), &Map::new(), fields, &allowance));
}

#[test]
fn any_schema_is_answered_within_bounds() {
    explore("schemas", || (whole(), value()), hold);
}

/// What is bounded is what is asked for at once, not what each schema asks for by itself.
#[test]
fn schemas_that_once_kept_a_server_busy_are_refused() {
    let levels = |levels: usize, width: usize, keyword: &str| {
        let level = |number: usize| {
            let next = vec![json!({"$ref": format!("#/definitions/d{}", number + 1)}); width];
            (format!("d{number}"), if width == 1 { next[0].clone() } else { json!({keyword: next}) })
        };
        let definitions = (0..levels).map(level).chain([(format!("d{levels}"), json!({"type": "string"}))]);
        json!({"properties": {"a": {"$ref": "#/definitions/d0"}}, "definitions": definitions.collect::<Map<_, _>>()})
    };
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"properties": {"a": inner}}));
    let patterns = |count: usize| {
        let patterns = (0..count).map(|number| json!({"pattern": format!("a{{{number}}}")}));
        json!({"anyOf": patterns.collect::<Vec<_>>()})
    };
    let defaults = (0..300).map(|number| (format!("v{number}"), json!({"default": 1})));
    let variables = json!({"properties": defaults.collect::<Map<_, _>>()});
    let table = [
        (levels(14, 3, "anyOf"), json!({"a": 1}), Bound::SchemaSteps),
        (levels(30, 2, "oneOf"), json!({"a": 1}), Bound::SchemaSteps),
        (levels(50_000, 1, ""), json!({"a": 1}), Bound::SchemaDepth),
        (nested(400), json!({"a": 1}), Bound::SchemaNesting),
        (patterns(129), json!(1), Bound::SchemaPatterns),
        (json!({"pattern": "a".repeat(5000)}), json!("a"), Bound::PatternLength),
        (json!({"items": {"pattern": r"^((a+)\2?)+$"}}), json!(["a".repeat(40) + "b"]), Bound::PatternSteps),
        (json!({"items": {"pattern": r"([ab]*a[ab]{900}){10}$"}}), json!(["ab".repeat(20_000)]), Bound::SchemaSteps),
    ];
    for stack in STACKS {
        let (table, variables) = (table.clone(), variables.clone());
        on_stack(stack, move || {
            for (schema, value, bound) in table {
                let fields = schema.as_object().unwrap();
                let (verdict, took) = measured(|| validate(&value, fields, &Allowance::default()));
                assert_eq!(verdict, Err(Exceeded(bound)));
                assert!(check_parameters(&value, &schema).unwrap_err().contains(bound.name()));
                assert!(took.is_little(), "{bound:?} took {took:?}");
            }
            let template = json!({"variables": variables}).as_object().cloned().unwrap();
            let (checked, took) = measured(|| {
                check_of_flow_run(&template, &BlockData::new(), &Map::new(), &Map::new(), &Allowance::default())
            });
            assert!(checked.is_ok() && took.is_little(), "{checked:?} took {took:?}");
        });
    }
}

#[test]
fn as_much_as_prefect_takes_is_held_against_its_schema() {
    let _alone = alone();
    let numbers: Vec<Value> = (0..200_000).map(|number| json!(number % 10)).collect();
    let optional = json!({"items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}});
    let (verdict, took) = measured(|| validate(&json!(numbers), optional.as_object().unwrap(), &Allowance::default()));
    assert_eq!(verdict, Ok(Ok(())));
    assert!(took.is_little(), "{took:?}");
    let next = json!({"anyOf": [{"$ref": "#/$defs/t"}, {"type": "null"}]});
    let tree = json!({"$ref": "#/$defs/t", "$defs": {"t": {"properties": {"next": next}}}});
    let list = (0..100).fold(Value::Null, |next, _| json!({"next": next}));
    assert_eq!(validate(&list, tree.as_object().unwrap(), &Allowance::default()), Ok(Ok(())));
}
