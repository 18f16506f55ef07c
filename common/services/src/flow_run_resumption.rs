//! Resuming a paused flow run, with the input that it waits for.

use domain::{
    json,
    model::{
        self, FlowRunId, FlowRunInput, FlowRunInputId, InputKey, Object, StateCreate, StateDetails, StateType,
        Timestamp,
    },
    orchestration::{Client, OrchestrationResult, Status, Verdict},
};
use error::{Error, Result};
use schema_tools::validation::{Invalid, validate};
use serde_json::Value;
use store::Write;

use crate::{
    App,
    transitions::{Orchestrated, Proposal, propose_flow_run_state_with},
    workspace_variables::WorkspaceVariables,
};

/// The entry of a pause's keys under which the schema of its input is found.
const SCHEMA: &str = "schema";

/// The entry of a pause's keys under which its input is expected.
const RESPONSE: &str = "response";

/// What became of a resumption.
#[derive(Clone, Debug)]
pub enum Resumption {
    /// The run stays in its state.
    Refused {
        /// The state, if that is told.
        state: Option<Box<model::State>>,
        /// What the client is told to do.
        status: Status,
        /// Why, as the details of an abortion whatever the status, as in Prefect.
        details: Verdict,
    },
    /// The state that follows the pause was proposed.
    Proposed(Box<Orchestrated>),
}

impl Resumption {
    /// Says whether the run entered a state.
    pub fn entered(&self) -> bool {
        matches!(self, Self::Proposed(outcome) if outcome.entered)
    }

    /// Returns the answer to the client.
    pub fn result(&self) -> OrchestrationResult<'_> {
        match self {
            Self::Refused { state, status, details } => {
                OrchestrationResult { state: state.as_deref(), status: *status, details }
            }
            Self::Proposed(outcome) => outcome.result(),
        }
    }

    fn refused(state: Option<model::State>, status: Status, reason: String) -> Self {
        Self::Refused { state: state.map(Box::new), status, details: Verdict::Abort { reason } }
    }
}

/// Resumes the flow run `id` with what was `sent` as its input, and writes `beside` together with it if it is resumed.
///
/// # Errors
/// [`Error::NoSuchRun`] without such a run, [`Error::Conflict`] if one of `beside` can't be written, and those of the
/// input. A refusal is no error.
pub async fn resume(
    app: &App,
    id: FlowRunId,
    sent: Object,
    client: Client,
    mut beside: Vec<Write>,
) -> Result<Resumption> {
    let run = app.store.flow_run(id).await?.ok_or_else(|| Error::no_such_run("Flow run", id))?;
    let Some(state) = run.record.state.filter(|state| state.r#type == StateType::Paused) else {
        let reason = "Cannot resume a flow run that is not paused.".to_owned();
        return Ok(Resumption::refused(None, Status::Abort, reason));
    };
    match input(app, id, &state, sent).await? {
        Ok(input) => beside.extend(input),
        Err(reason) => return Ok(Resumption::refused(Some(state), Status::Reject, reason)),
    }
    let proposal = Proposal::new(next(&state, app.now()), false, client);
    let outcome = propose_flow_run_state_with(app, id, &proposal, &beside).await?;
    Ok(Resumption::Proposed(Box::new(outcome)))
}

/// Returns what follows a pause: a suspended run is scheduled, for its process is gone; any other one runs on.
fn next(paused: &model::State, now: Timestamp) -> StateCreate {
    let is_suspended = paused.state_details.pause_reschedule;
    StateCreate {
        r#type: if is_suspended { StateType::Scheduled } else { StateType::Running },
        name: is_suspended.then(|| "Resuming".to_owned()),
        message: None,
        data: None,
        state_details: StateDetails { scheduled_time: is_suspended.then_some(now), ..StateDetails::default() },
    }
}

/// Returns what writes the input of a run that waits for one, or why the run is not to be resumed with it.
async fn input(
    app: &App,
    id: FlowRunId,
    paused: &model::State,
    sent: Object,
) -> Result<std::result::Result<Vec<Write>, String>> {
    let Some(keys) = paused.state_details.run_input_keyset.as_ref().filter(|keys| !keys.is_empty()) else {
        return Ok(Ok(Vec::new()));
    };
    let variables = WorkspaceVariables::new(&app.store);
    let input = match variables.hydrate(&sent).await? {
        Ok(input) => or_nothing(input),
        Err(error) => return Ok(Err(format!("Error hydrating run input: {error}"))),
    };
    let schema = match keys.get(SCHEMA).cloned().map(InputKey::try_from) {
        Some(Ok(key)) => app.store.flow_run_input(id, &key).await?,
        Some(Err(_)) | None => None,
    };
    let Some(schema) = schema else { return Ok(Err("Run input schema not found.".into())) };
    let fits = match serde_json::from_str(&schema.value) {
        Ok(Value::Object(schema)) => validate(&input, &schema, variables.allowance())?,
        Ok(_) => Err(Invalid::NotASchema("a schema is an object".into())),
        Err(_) => return Ok(Err("Run input schema is not valid JSON.".into())),
    };
    match fits {
        Ok(()) => {}
        Err(Invalid::Failed(reason) | Invalid::First(reason)) => return Ok(Err(format!("Reason: {reason}"))),
        Err(Invalid::Circular) => {
            return Ok(Err("Invalid schema: Unable to validate schema with circular references.".into()));
        }
        Err(Invalid::NotASchema(reason)) => return Ok(Err(format!("Invalid schema: {reason}"))),
    }
    if input.as_object().is_some_and(Object::is_empty) {
        return Ok(Ok(Vec::new()));
    }
    let key = keys
        .get(RESPONSE)
        .cloned()
        .ok_or_else(|| Error::Unprocessable("The pause names no key for its input.".into()))?;
    let key = InputKey::try_from(key).map_err(|invalid| Error::Unprocessable(invalid.to_string()))?;
    let now = app.now();
    let value = json::to_string(&input)?;
    let input = FlowRunInput {
        id: FlowRunInputId::new(),
        created: now,
        updated: now,
        flow_run_id: id,
        key,
        value,
        sender: None,
    };
    Ok(Ok(vec![app.store.insert(&input)?]))
}

/// Replaces what is nothing to Python by an empty object.
fn or_nothing(input: Value) -> Value {
    let is_nothing = match &input {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => false,
    };
    if is_nothing { Value::Object(Object::new()) } else { input }
}
