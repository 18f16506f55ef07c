//! The faults of a request, of which as many are listed as an answer has room for.
//!
//! Prefect lists every one, each with the value that it is about: 90 kB of empty objects get an answer of 10 MB. So the
//! list ends with the first [`MOST`] of them, or before, when it has the size of an answer. The first is always listed.
//! A value that there is no room for is left out: what repeats the request has 2.5 MB at most, once in the first fault
//! and once in the answer, and Lambda answers with 6 MB at most.

use serde_json::Value;

use super::fault::{Complaint, Fault, Step, echo};

/// How many faults are listed.
pub(super) const MOST: usize = 100;

/// How many bytes the faults after the first have, about.
const ROOM: usize = 256 * 1024;

/// How many bytes a value has that is repeated, about.
const ECHO: usize = 2_500_000;

/// How many bytes a value counts as at least.
const LEAST: usize = 8;

/// What stands in the place of a value that there is no room for.
const LEFT_OUT: &str = "(left out: too large)";

/// The faults that were found so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    listed: Vec<Fault>,
    found: usize,
    used: usize,
}

/// How many faults there were at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    listed: usize,
    found: usize,
    used: usize,
}

impl Faults {
    /// Adds a fault, unless the list is full; then it counts all the same.
    pub(super) fn add(&mut self, complaint: Complaint, loc: impl FnOnce() -> Vec<Step>, input: &Value) {
        self.found += 1;
        if self.is_full() {
            return;
        }
        let mut fault = complaint.at(loc(), Value::Null);
        if self.listed.is_empty() {
            fault.input = echo_within(input, ECHO);
        } else {
            fault.input = echo_within(input, ROOM.saturating_sub(self.used));
            self.used += weight(&fault);
        }
        if self.used <= ROOM {
            self.listed.push(fault);
        }
    }

    /// Tells whether no more faults are listed.
    pub(super) fn is_full(&self) -> bool {
        self.listed.len() >= MOST || self.used > ROOM
    }

    /// Returns how many there are.
    pub(super) fn mark(&self) -> Mark {
        Mark { listed: self.listed.len(), found: self.found, used: self.used }
    }

    /// Forgets what was found since, of an alternative for which there is another one.
    pub(super) fn forget_since(&mut self, mark: Mark) {
        self.listed.truncate(mark.listed);
        (self.found, self.used) = (mark.found, mark.used);
    }

    /// Returns the list.
    pub(super) fn into_list(self) -> Vec<Fault> {
        self.listed
    }
}

/// Repeats a body in an answer, if there is room for it.
pub(super) fn echo_body(body: &Value) -> Value {
    echo_within(body, ECHO)
}

fn echo_within(value: &Value, room: usize) -> Value {
    let mut left = room;
    if fits(value, &mut left) { echo(value) } else { LEFT_OUT.into() }
}

/// Takes the size of a value from what is left, as far as there is any.
fn fits(value: &Value, left: &mut usize) -> bool {
    // What JSON escapes takes two bytes, or six.
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    let text = |text: &str| text.bytes().map(escaped).sum::<usize>() + LEAST;
    let own = match value {
        Value::String(string) => text(string),
        Value::Object(fields) => fields.keys().map(|key| text(key)).sum(),
        _ => LEAST,
    };
    let Some(rest) = left.checked_sub(own) else { return false };
    *left = rest;
    match value {
        Value::Array(items) => items.iter().all(|item| fits(item, left)),
        Value::Object(fields) => fields.values().all(|field| fits(field, left)),
        _ => true,
    }
}

/// Returns how many bytes a fault has, about.
fn weight(fault: &Fault) -> usize {
    let mut left = usize::MAX;
    fits(&fault.input, &mut left);
    let context = fault.ctx.iter().flatten().map(|(_, value)| match value {
        Value::String(text) => text.len(),
        _ => LEAST,
    });
    let steps = fault.loc.iter().map(|step| match step {
        Step::Key(key) => key.len() + LEAST,
        Step::Index(_) => LEAST,
    });
    usize::MAX - left + fault.msg.len() + context.sum::<usize>() + steps.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(inputs: &[Value]) -> Vec<Fault> {
        let mut faults = Faults::default();
        for input in inputs {
            faults.add(Complaint::new("missing", "Field required"), || vec![Step::Key("body".to_owned())], input);
        }
        assert_eq!(faults.mark().found, inputs.len());
        faults.into_list()
    }

    #[test]
    fn lists_the_first_faults() {
        let inputs: Vec<Value> = (0..1000).map(Value::from).collect();
        let listed: Vec<Value> = list(&inputs).into_iter().map(|fault| fault.input).collect();
        assert_eq!(listed, inputs[..MOST]);
    }

    #[test]
    fn leaves_out_what_is_too_large() {
        let large = json!(vec!["text"; 300_000]);
        let as_large_as_parameters = json!("x".repeat(2_000_000));
        assert_eq!(list(std::slice::from_ref(&large))[0].input, LEFT_OUT);
        assert_eq!(list(std::slice::from_ref(&as_large_as_parameters))[0].input, as_large_as_parameters);
        let listed = list(&[json!(0), as_large_as_parameters, json!(1)]);
        let inputs: Vec<&Value> = listed.iter().map(|fault| &fault.input).collect();
        assert_eq!(inputs, [&json!(0), &json!(LEFT_OUT), &json!(1)]);
        assert_eq!(echo_body(&large), LEFT_OUT);
        assert_eq!(echo_body(&json!({"a": ["text"]})), json!({"a": ["text"]}));
    }

    #[test]
    fn an_answer_is_no_larger_for_more_faults() {
        let input = json!("x".repeat(50_000));
        let list = serde_json::to_string(&list(&vec![input; 1000])).unwrap();
        assert!(list.len() < 2 * ROOM, "{}", list.len());
    }

    #[test]
    fn forgets_what_another_alternative_makes_good() {
        let mut faults = Faults::default();
        let before = faults.mark();
        for _ in 0..200 {
            faults.add(Complaint::new("missing", "Field required"), Vec::new, &Value::Null);
        }
        assert!(faults.is_full() && faults.mark() != before);
        faults.forget_since(before);
        assert!(!faults.is_full() && faults.mark() == before);
    }
}
