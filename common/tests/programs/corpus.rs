//! The programs that once ended the process or kept it busy.

use common::{budget::Bound, contract::Operation, model::deployment::Schedule, schema_tools::hydration::Unfinished};
use serde::Deserialize;

use super::{STACKS, bodies, measured, on_stack, rules, templates};

/// A program of the corpus.
#[derive(Clone, Debug, Deserialize)]
struct Program {
    kind: String,
    /// Its text, in parts, each so many times.
    parts: Vec<(String, usize)>,
    /// The name of the bound that refuses it, or nothing of one that is small enough.
    bound: Option<String>,
}

fn bound_of(program: &Program, text: &str) -> Option<String> {
    let named = |why: String| Bound::all().iter().map(|bound| bound.name().to_owned()).find(|name| why.contains(name));
    match program.kind.as_str() {
        "template" => match templates::render(text) {
            Err(Unfinished::Exceeded(exceeded)) => named(exceeded.to_string()),
            _ => None,
        },
        "rule" => rules::schedule(&Schedule::RRule { rrule: text.to_owned(), timezone: None }).err().and_then(named),
        "cron" => rules::schedule(&Schedule::Cron { cron: text.to_owned(), timezone: None, day_or: true })
            .err()
            .and_then(named),
        path => bodies::validate(Operation::find("POST", path).unwrap(), text.as_bytes()).err().and_then(named),
    }
}

#[test]
fn each_is_refused_by_its_bound_on_any_stack() {
    let corpus: Vec<Program> = serde_json::from_str(include_str!("corpus.json")).unwrap();
    for stack in STACKS {
        let corpus = corpus.clone();
        on_stack(stack, move || {
            for program in &corpus {
                let text: String = program.parts.iter().map(|(part, times)| part.repeat(*times)).collect();
                let (bound, took) = measured(|| bound_of(program, &text));
                assert_eq!(bound, program.bound, "{program:?}");
                assert!(took.is_little(), "{program:?} took {took:?}");
            }
        });
    }
}
