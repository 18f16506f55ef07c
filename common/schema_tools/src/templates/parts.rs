//! What values have in them, counted where one is put into another.
//!
//! The engine's fuel pays for the items of a list when the list is made, and for nothing when the list is compared,
//! hashed or dropped as an item of another. So whatever makes a value of others counts all that these have in them, the
//! same part as often as it is there: then no value is deeper or larger than its bounds, and whatever is done with it
//! costs what the engine's fuel takes it to cost.
//!
//! And whatever makes a sequence of others makes a list at once. The engine makes a view that looks them up anew each time;
//! a view of views, thirty times over, is looked up a thousand million times, and needs no item for that.

use std::sync::LazyLock;

use minijinja::{
    Environment, Error, ErrorKind, Expression, State, UndefinedBehavior,
    machinery::{Instruction, Instructions},
    value::{Kwargs, Rest, Tuple, Value, ValueKind},
};

use budget::{Bound, Exceeded};

use super::values::{Labels, Model};

/// How many bytes of a text count as a part.
const BYTES_OF_A_PART: usize = 64;

/// What an error says that comes of a bound, which is its source.
const TOO_MUCH: &str = "a value is too large";

/// The names by which templates call what counts; no name that a template can write is one of them.
const LIST: &str = "list of";
const TUPLE: &str = "tuple of";
const MAP: &str = "map of";
const ITEM: &str = "item of";
const IS_IN: &str = "is in";
const SUM: &str = "sum of";
const PRODUCT: &str = "product of";
const PART: &str = "part of";
const CYCLE: &str = "cycle of";

/// Makes the instructions that put values into others, or look them up, calls of what counts them.
pub(super) fn count(environment: &mut Environment<'_>, instructions: &mut Instructions<'_>) {
    environment.add_function(LIST, |state: &State, items: Rest<Value>| {
        check_all(state, &items)?;
        Ok::<_, Error>(Value::from(items.0))
    });
    environment.add_function(TUPLE, |state: &State, items: Rest<Value>| {
        check_all(state, &items)?;
        Ok::<_, Error>(Value::from(Tuple::new(items.0)))
    });
    environment.add_function(MAP, |state: &State, items: Rest<Value>| {
        check_all(state, &items)?;
        let (pairs, _) = items.as_chunks::<2>();
        Ok::<_, Error>(Value::from_pairs(pairs.iter().cloned().map(<(Value, Value)>::from)))
    });
    environment.add_function(ITEM, |state: &State, of: Value, key: Value| {
        pay(state, &key)?;
        // In brackets a label is whole, and its value a text.
        if let (Some(labels), Some(label)) = (of.downcast_object_ref::<Labels>(), key.as_str())
            && let Some(value) = labels.label(label)
        {
            return Ok(Value::from(value));
        }
        Ok::<_, Error>(of.get_item(&key).unwrap_or_default())
    });
    environment.add_function(IS_IN, |state: &mut State, value: Value, of: Value| {
        pay(state, &value)?;
        state.perform_test("in", &[value, of])
    });
    environment
        .add_function(SUM, |state: &State, a: Value, b: Value| operate(state, &SUMS, [a, b, ().into(), ().into()]));
    environment.add_function(PRODUCT, |state: &State, a: Value, b: Value| {
        operate(state, &PRODUCTS, [a, b, ().into(), ().into()])
    });
    environment.add_function(PART, |state: &State, a: Value, b: Value, c: Value, d: Value| {
        operate(state, &SLICES, [a, b, c, d])
    });
    environment.add_function(CYCLE, |state: &mut State, of: Value, items: Rest<Value>| {
        // The engine divides by their number.
        let nothing = || Error::new(ErrorKind::MissingArgument, "there is nothing to cycle");
        if items.is_empty() { Err(nothing()) } else { of.call_method(state, "cycle", &items) }
    });
    environment.add_function("dict", |state: &State, value: Option<Value>, entries: Kwargs| {
        let entries = Value::from(entries);
        check_all(state, value.as_slice())?;
        check(state, &entries)?;
        call(state, "dict", |plain| {
            let mut plain = plain.empty_state();
            let dict = plain.lookup("dict").unwrap_or_default();
            dict.call(&mut plain, &value.iter().cloned().chain([entries.clone()]).collect::<Vec<_>>())
        })
    });
    environment.add_function("namespace", |_: Rest<Value>| {
        // The only values that can change: one could have itself in it, or what has it.
        Err::<Value, _>(Error::new(ErrorKind::InvalidOperation, "namespaces are not available on this server"))
    });
    // Jinja has no such function, and it writes all values there are.
    environment.remove_global("debug");
    for filter in ["batch", "slice", "zip", "groupby", "dictsort", "items"] {
        environment.add_filter(filter, move |state: &State, arguments: Rest<Value>| {
            check_all(state, &arguments)?;
            call(state, filter, |plain| plain.empty_state().apply_filter(filter, &arguments))
        });
    }
    for filter in ["chain", "reverse"] {
        environment.add_filter(filter, move |state: &State, arguments: Rest<Value>| {
            let made = PLAIN.empty_state().apply_filter(filter, &arguments);
            as_list(state, made.map_err(|error| told_anew(&error, filter))?)
        });
    }
    environment.add_filter("pprint", |state: &State, value: Value| {
        pay(state, &value)?;
        Ok::<_, Error>(format!("{value:#?}"))
    });
    let mut at = 0;
    while let Some(instruction) = instructions.get_mut(at) {
        at += 1;
        let call = |name, arguments: usize| u16::try_from(arguments).ok().map(|count| (name, count));
        if let Instruction::CallMethod("cycle", arguments) = *instruction {
            *instruction = Instruction::CallFunction(CYCLE, arguments);
            continue;
        }
        let (name, arguments) = match instruction {
            Instruction::BuildList(Some(items @ 1..)) => call(LIST, *items),
            Instruction::BuildTuple(Some(items @ 1..)) => call(TUPLE, *items),
            Instruction::BuildMap(pairs @ 1..) => call(MAP, pairs.saturating_mul(2)),
            Instruction::GetItem => call(ITEM, 2),
            Instruction::In => call(IS_IN, 2),
            Instruction::Add => call(SUM, 2),
            Instruction::Mul => call(PRODUCT, 2),
            Instruction::Slice => call(PART, 4),
            _ => continue,
        }
        // More items than a call takes are more than a template of the longest length can have.
        .unwrap_or((LIST, u16::MAX));
        *instruction = Instruction::CallFunction(name, Some(arguments));
    }
}

/// What the engine brings along, with fuel of its own for each call.
static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(Bound::TemplateWork.most()));
    environment
});

/// An operation of the engine, which has no other name that could be called.
type Operation = LazyLock<Result<Expression<'static, 'static>, Error>>;

static SUMS: Operation = LazyLock::new(|| PLAIN.compile_expression("a + b"));
static PRODUCTS: Operation = LazyLock::new(|| PLAIN.compile_expression("a * b"));
static SLICES: Operation = LazyLock::new(|| PLAIN.compile_expression("a[b:c:d]"));

/// Carries out an operation of the engine.
fn operate(state: &State, operation: &Operation, operands: [Value; 4]) -> Result<Value, Error> {
    let operation = operation.as_ref().map_err(|error| told_anew(error, "operation"))?;
    let names = ["a", "b", "c", "d"].into_iter().zip(operands);
    let made = operation.eval(Value::from_pairs(names)).map_err(|error| told_anew(&error, "operation"))?;
    as_list(state, made)
}

/// Calls what the engine brings along, and counts what it makes.
fn call(
    state: &State,
    name: &str,
    calling: impl FnOnce(&Environment<'static>) -> Result<Value, Error>,
) -> Result<Value, Error> {
    let made = as_list(state, calling(&PLAIN).map_err(|error| told_anew(&error, name))?)?;
    if matches!(made.kind(), ValueKind::Seq | ValueKind::Map) {
        let items: Vec<Value> = made.try_iter()?.collect();
        check_all(state, &items)?;
    }
    Ok(made)
}

/// Returns an error without the place where it was made, for the engine to say where it was met.
fn told_anew(error: &Error, name: &str) -> Error {
    Error::new(error.kind(), error.detail().unwrap_or(name).to_owned())
}

/// Makes a list, or a map, of what may be a view of others.
fn as_list(state: &State, value: Value) -> Result<Value, Error> {
    let pay = |part: Value| state.consume_fuel(1).map(|()| part);
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable if !value.is_tuple() => {
            value.try_iter()?.map(pay).collect::<Result<Vec<_>, _>>().map(Value::from)
        }
        ValueKind::Map => {
            let keys = value.try_iter()?.map(pay).collect::<Result<Vec<_>, _>>()?;
            Ok(Value::from_pairs(keys.into_iter().map(|key| {
                let part = value.get_item(&key).unwrap_or_default();
                (key, part)
            })))
        }
        _ => Ok(value),
    }
}

fn check_all(state: &State, values: &[Value]) -> Result<(), Error> {
    values.iter().try_for_each(|value| check(state, value))
}

/// Checks a value that becomes a part of another one.
fn check(state: &State, value: &Value) -> Result<(), Error> {
    let mut left = Bound::TemplateValueParts.most();
    let mut take = |parts: u64| {
        left = left.checked_sub(parts).ok_or_else(|| too_much(Bound::TemplateValueParts))?;
        state.consume_fuel(parts)
    };
    walk(value, Bound::TemplateValueDepth.most(), &mut take)
}

/// Takes fuel for all that a value has in it.
pub(super) fn pay(state: &State, value: &Value) -> Result<(), Error> {
    walk(value, Bound::TemplateValueDepth.most(), &mut |parts| state.consume_fuel(parts))
}

fn walk(value: &Value, levels: u64, take: &mut dyn FnMut(u64) -> Result<(), Error>) -> Result<(), Error> {
    let bytes = value.as_str().map_or(0, str::len);
    take(u64::try_from(bytes / BYTES_OF_A_PART).unwrap_or(u64::MAX).saturating_add(1))?;
    if let Some(model) = value.downcast_object_ref::<Model>() {
        return take(model.weight);
    }
    let is_map = match value.kind() {
        ValueKind::Map => true,
        ValueKind::Seq | ValueKind::Iterable => false,
        _ => return Ok(()),
    };
    let levels = levels.checked_sub(1).ok_or_else(|| too_much(Bound::TemplateValueDepth))?;
    for part in value.try_iter().into_iter().flatten() {
        if is_map {
            walk(&value.get_item(&part).unwrap_or_default(), levels, take)?;
        }
        walk(&part, levels, take)?;
    }
    Ok(())
}

fn too_much(bound: Bound) -> Error {
    Error::new(ErrorKind::InvalidOperation, TOO_MUCH).with_source(Exceeded(bound))
}
