//! The automations resource: one verb, one file.
//!
//! How they are evaluated is in [`common::automations`], what they do in [`common::actions`].

pub mod count;
pub mod create;
pub mod delete;
pub mod delete_owned_by;
pub mod filter;
pub mod patch;
pub mod read;
pub mod related_to;
pub mod update;

use common::{
    Error, Result,
    http::Route,
    model::{
        Automation, Timestamp,
        automation::{Action, Trigger},
    },
    schema_tools::{action_parameters, templates},
};
use serde::Deserialize;

/// The routes of this resource.
pub static ROUTES: &[&Route] = &[
    &create::ROUTE,
    &update::ROUTE,
    &patch::ROUTE,
    &delete::ROUTE,
    &read::ROUTE,
    &filter::ROUTE,
    &count::ROUTE,
    &related_to::ROUTE,
    &delete_owned_by::ROUTE,
];

/// What checks the templates in actions.
const TEMPLATES: common::contract::TemplateCheck =
    common::contract::TemplateCheck { text: templates::check_text, parameters: action_parameters::check };

/// What an automation consists of when it is written whole (contract schema `AutomationUpdate`).
#[derive(Clone, Debug, Deserialize)]
struct Definition {
    name: String,
    description: String,
    enabled: bool,
    tags: Vec<String>,
    trigger: Trigger,
    actions: Vec<Action>,
    actions_on_trigger: Vec<Action>,
    actions_on_resolve: Vec<Action>,
}

impl Definition {
    /// Returns all actions, whenever they are due.
    fn all_actions(&self) -> Vec<&Action> {
        self.actions.iter().chain(&self.actions_on_trigger).chain(&self.actions_on_resolve).collect()
    }

    /// Returns the automation of `id` and `created` that is so from `now` on; its triggers have new ids.
    fn into_automation(self, id: common::model::AutomationId, created: Timestamp, now: Timestamp) -> Automation {
        let Self { name, description, enabled, tags, mut trigger, actions, actions_on_trigger, actions_on_resolve } =
            self;
        trigger.renew_ids();
        Automation {
            name,
            description,
            enabled,
            tags,
            trigger,
            actions,
            actions_on_trigger,
            actions_on_resolve,
            id,
            created,
            updated: now,
        }
    }
}

/// Says in Prefect's words, and in the field that it uses here, that there is no such automation.
fn or_missing<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match error {
        Error::NotFound(_) => Error::NoSuchRun("Automation not found".to_owned()),
        other => other,
    })
}
