//! The sample events of the routes; those of the other functions are written by hand.

use common::{
    contract::{self, Mount},
    http::PREFIX,
};
use registry::functions::{Trigger, functions};

use crate::{Result, sample, stale::Files};

const DIRECTORY: &str = "events";

pub(crate) fn generate(files: &mut Files<'_>) -> Result<()> {
    let functions = functions();
    let others = functions.iter().filter(|function| !matches!(function.trigger, Trigger::Route(_)));
    files.own(DIRECTORY, "json", &others.map(|function| function.name).collect::<Vec<_>>())?;
    let routes = registry::routes();
    let declared: Vec<_> = routes.iter().map(|route| (route.method.as_str(), route.path)).collect();
    let document = contract::document(Mount::App(PREFIX), &declared);
    for route in routes {
        let event = serde_json::to_string_pretty(&sample::event(route, &document))?;
        files.put(format!("{DIRECTORY}/{}.json", route.operation), event + "\n");
    }
    Ok(())
}
