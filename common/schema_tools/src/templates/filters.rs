//! The filters that Prefect adds to Jinja's: links, JSON as Python writes it, and texts for people.

use std::sync::Arc;

use minijinja::{
    Environment, Error, State,
    value::{Kwargs, Value},
};

use super::{
    context::Context,
    humanize, parts, tojson,
    values::{Class, Model},
};

/// Adds the filters to `environment`.
pub(super) fn add(environment: &mut Environment<'_>, context: &Context) {
    let ui_url: Option<Arc<str>> = context.ui_url().map(Arc::from);
    let base = ui_url.clone();
    environment.add_filter("ui_url", move |value: Value| page_of(base.as_deref(), &value));
    environment.add_filter("ui_resource_events_url", move |value: Value| events_of(ui_url.as_deref(), &value));
    environment.add_filter("flow_run_id", |state: &State, value: Value| {
        parts::pay(state, &value)?;
        Ok::<_, Error>(value.as_str().and_then(flow_run_id).map_or(Value::from(()), Value::from))
    });
    environment.add_filter("tojson", |state: &State, value: Value, indent: Option<Value>, options: Kwargs| {
        tojson::to_json(state, &value, indent, &options)
    });
    humanize::add(environment);
}

/// Returns the page of a record in the user interface; none for what is only a resource, as in Prefect.
fn page_of(base: Option<&str>, value: &Value) -> Value {
    let address = || {
        let model = value.downcast_object_ref::<Model>()?;
        let (kind, id) = match model.class {
            Class::ReceivedEvent => ("received-event".to_owned(), model.text_of("id")?),
            Class::WorkPool => ("work-pool".to_owned(), model.text_of("name")?),
            class => (class.kind()?.to_owned(), model.text_of("id")?),
        };
        let id = quoted(&id);
        let path = match kind.as_str() {
            "flow" => format!("flows/flow/{id}"),
            "flow-run" => format!("runs/flow-run/{id}"),
            "task-run" => format!("runs/task-run/{id}"),
            "work-pool" => format!("work-pools/work-pool/{id}"),
            "work-queue" => format!("work-queues/work-queue/{id}"),
            "deployment" => format!("deployments/deployment/{id}"),
            "automation" => format!("automations/automation/{id}"),
            "received-event" => {
                format!("events/event/{}/{id}", model.moment("occurred")?.as_chrono().format("%Y-%m-%d"))
            }
            _ => return None,
        };
        Some(format!("{}/{path}", base?.trim_end_matches('/')))
    };
    address().map_or(Value::from(()), Value::from)
}

/// Quotes a part of a path.
fn quoted(text: &str) -> String {
    let quote = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(quote).collect()
}

/// Returns the page with the events of a record, below the address of the user interface if that is known, as Prefect
/// does.
fn events_of(base: Option<&str>, value: &Value) -> Value {
    let resource = || {
        let model = value.downcast_object_ref::<Model>()?;
        match model.class {
            Class::Resource | Class::RelatedResource => model.text_of("prefect.resource.id"),
            // Prefect looks for the class itself, and what its client reads has others.
            Class::DeploymentResponse | Class::FlowRunResponse => None,
            class => Some(format!("prefect.{}.{}", class.kind()?, model.text_of("id")?)),
        }
    };
    let Some(resource) = resource() else { return Value::from(()) };
    let page = format!("events?resource={resource}");
    Value::from(match base {
        // The last part of the address is replaced, unless it ends with a slash.
        Some(base) => {
            match base.split_once("://").and_then(|(_, rest)| rest.rfind('/').map(|at| base.len() - rest.len() + at)) {
                Some(at) => format!("{}/{page}", &base[..at]),
                None => format!("{base}/{page}"),
            }
        }
        None => page,
    })
}

/// Finds the id of a flow run in a text that has an address of it.
fn flow_run_id(text: &str) -> Option<&str> {
    text.match_indices("flow-run/").find_map(|(at, mark)| {
        let id = text.get(at + mark.len()..at + mark.len() + 36)?;
        let fits = |(place, c): (usize, char)| match place {
            8 | 13 | 18 | 23 => c == '-',
            _ => matches!(c, '0'..='9' | 'a'..='f'),
        };
        id.chars().enumerate().all(fits).then_some(id)
    })
}
