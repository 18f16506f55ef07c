//! Placeholders filled in with the variables that they name, as Prefect's `HydrationContext`.
//!
//! Prefect reads all variables whenever parameters are sent; only those that are named are read here.

use tokio::sync::Mutex;

use serde_json::Value;

use domain::model::Object;
use error::{Error, Result};
use schema_tools::{
    Allowance,
    hydration::{self, Form, HydrationError, KnownVariables, Unfinished},
    templates::Context,
};
use store::Store;

/// How many times what was read of variables may name further ones.
const MOST_ROUNDS: usize = 16;

/// The variables as one request sees them: each is looked for once.
#[derive(Debug)]
pub struct WorkspaceVariables<'s> {
    store: &'s Store,
    known: Mutex<KnownVariables>,
    allowance: Allowance,
}

impl<'s> WorkspaceVariables<'s> {
    /// Begins with nothing known.
    pub fn new(store: &'s Store) -> Self {
        Self { store, known: Mutex::default(), allowance: Allowance::default() }
    }

    /// Returns what the request may still spend on templates, placeholders and schemas.
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// Fills in the placeholders of `input`; nothing is read where they name no variables.
    ///
    /// What comes out is a value, or the first placeholder's error that can't be filled in.
    ///
    /// # Errors
    /// Those of the store, [`Error::Exceeded`] for placeholders that are too much, and [`Error::BadRequest`] for names
    /// within names within names beyond all use.
    pub async fn hydrate(&self, input: &Object) -> Result<Result<Value, HydrationError>> {
        self.fill_in(|known| hydration::hydrate(input, known, &self.allowance)).await
    }

    /// Fills in the placeholders of `input` as [`Self::hydrate`] does, with what templates can name in `context`.
    ///
    /// # Errors
    /// Those of [`WorkspaceVariables::hydrate`].
    pub async fn hydrate_with(&self, input: &Object, context: &Context) -> Result<Result<Value, HydrationError>> {
        self.fill_in(|known| hydration::hydrate_with(input, known, context, &self.allowance)).await
    }

    /// Fills in the placeholders of `input` as far as they can be, for a form that is being filled in.
    ///
    /// # Errors
    /// Those of [`WorkspaceVariables::hydrate`].
    pub async fn hydrate_form(&self, input: &Object) -> Result<Form> {
        self.fill_in(|known| hydration::hydrate_form(input, known, &self.allowance)).await
    }

    async fn fill_in<T>(&self, hydrate: impl Fn(&KnownVariables) -> std::result::Result<T, Unfinished>) -> Result<T> {
        // Flow runs that are made at the same time wait for what one of them reads.
        let mut known = self.known.lock().await;
        for _ in 0..=MOST_ROUNDS {
            match hydrate(&known) {
                Ok(hydrated) => return Ok(hydrated),
                Err(Unfinished::Exceeded(exceeded)) => return Err(exceeded.into()),
                Err(Unfinished::UnknownVariables(names)) => {
                    let names: Vec<String> = names.into_iter().collect();
                    let mut values = self.store.variable_values(&names).await?;
                    known.extend(names.into_iter().map(|name| {
                        let value = values.remove(&name);
                        (name, value)
                    }));
                }
            }
        }
        Err(Error::BadRequest(format!("Variables are named by variables more than {MOST_ROUNDS} times over.")))
    }
}

#[cfg(test)]
mod tests {
    use embedded::EmbeddedDatabase;
    use serde_json::json;

    use super::*;
    use domain::model::{Timestamp, Variable, VariableId};
    use store::{Shards, cost::measured};

    async fn store(variables: &[(&str, Value)]) -> Store {
        let config = EmbeddedDatabase::in_memory().unwrap().sdk_config();
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(config), "proctor-records", Shards(1));
        store.create_table().await.unwrap();
        let now = Timestamp::now();
        for (name, value) in variables {
            let (name, value, id) = ((*name).to_owned(), value.clone(), VariableId::new());
            let variable = Variable { id, created: now, updated: now, name, value, tags: Vec::new() };
            store.add(&variable).await.unwrap();
        }
        store
    }

    fn variable(name: &Value) -> Value {
        json!({"__prefect_kind": "workspace_variable", "variable_name": name})
    }

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    #[tokio::test]
    async fn reads_what_is_named_once_and_nothing_else() {
        let store = store(&[("a", json!(1)), ("b", json!("a")), ("c", json!([]))]).await;
        let variables = WorkspaceVariables::new(&store);
        let one = variable(&json!("a"));
        let both = json!([one, variable(&json!("b"))]);
        let one_by_the_other = variable(&variable(&json!("b")));
        let table = [
            (json!({"p": "{{ a }}", "q": [1]}), json!({"p": "{{ a }}", "q": [1]}), 0),
            (json!({"p": both}), json!({"p": [1, "a"]}), 2),
            (json!({"p": both}), json!({"p": [1, "a"]}), 0),
            (json!({"p": one_by_the_other}), json!({"p": 1}), 0),
        ];
        for (input, expected, round_trips) in table {
            let (hydrated, cost) = measured(variables.hydrate(&object(input))).await;
            assert_eq!(hydrated.unwrap(), Ok(expected));
            assert_eq!(cost.round_trips, round_trips);
        }
        let missing = object(json!({"p": variable(&json!("nobody"))}));
        for round_trips in [1, 0] {
            let (hydrated, cost) = measured(variables.hydrate(&missing)).await;
            assert_eq!(hydrated.unwrap(), Err(HydrationError::VariableNotFound("nobody".into())));
            assert_eq!(cost.round_trips, round_trips);
        }
    }

    #[tokio::test]
    async fn reads_many_in_batches() {
        let store = store(&[("a", json!(1))]).await;
        let names = (0..150).map(|number| variable(&json!(format!("nobody-{number}")))).chain([variable(&json!("a"))]);
        let input = object(json!({"p": names.collect::<Vec<_>>()}));
        let (hydrated, cost) = measured(WorkspaceVariables::new(&store).hydrate(&input)).await;
        assert_eq!(hydrated.unwrap(), Err(HydrationError::VariableNotFound("nobody-0".into())));
        assert_eq!(cost.round_trips, 3);
    }

    #[tokio::test]
    async fn follows_names_within_names_so_far_and_no_further() {
        let names: Vec<String> = (0..40).map(|number| format!("v{number}")).collect();
        let chain: Vec<(&str, Value)> =
            names.iter().zip(names.iter().skip(1)).map(|(name, next)| (name.as_str(), json!(next))).collect();
        let store = store(&chain).await;
        let nested = |levels| (0..levels).fold(json!("v0"), |name, _| variable(&name));
        let hydrate = async |levels| {
            let input = object(json!({"p": nested(levels)}));
            WorkspaceVariables::new(&store).hydrate(&input).await
        };
        assert_eq!(hydrate(MOST_ROUNDS).await.unwrap(), Ok(json!({"p": format!("v{MOST_ROUNDS}")})));
        assert!(matches!(hydrate(MOST_ROUNDS + 1).await, Err(Error::BadRequest(_))));
    }
}
