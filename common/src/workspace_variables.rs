//! Placeholders filled in with the variables that they name, as upstream's `HydrationContext`.
//!
//! Upstream reads all variables whenever parameters are sent; only those that are named are read here.

use tokio::sync::Mutex;

use serde_json::Value;

use crate::{
    error::{Error, Result},
    model::Object,
    schema_tools::hydration::{self, HydrationError, KnownVariables, UnknownVariables},
    store::Store,
};

/// How many times what was read of variables may name further ones.
const MOST_ROUNDS: usize = 16;

/// The variables as one request sees them: each is looked for once.
#[derive(Debug)]
pub struct WorkspaceVariables<'s> {
    store: &'s Store,
    known: Mutex<KnownVariables>,
}

impl<'s> WorkspaceVariables<'s> {
    /// Begins with nothing known.
    pub fn new(store: &'s Store) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Fills in the placeholders of `input`; nothing is read where they name no variables.
    ///
    /// What comes out is a value, or the first placeholder's error that can't be filled in.
    ///
    /// # Errors
    /// Those of the store, and [`Error::BadRequest`] for names within names within names beyond all use.
    pub async fn hydrate(&self, input: &Object) -> Result<Result<Value, HydrationError>> {
        // Flow runs that are made at the same time wait for what one of them reads.
        let mut known = self.known.lock().await;
        for _ in 0..=MOST_ROUNDS {
            match hydration::hydrate(input, &known) {
                Ok(hydrated) => return Ok(hydrated),
                Err(UnknownVariables(names)) => {
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
