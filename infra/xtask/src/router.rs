//! The router of `cargo lambda watch`: which binary answers which path.

use std::fmt::Write;

use common::http::PREFIX;

use crate::stale::Files;

pub(crate) fn generate(files: &mut Files<'_>) {
    let mut router = String::from("# Derived from the routes: cargo xtask generate\n");
    for route in registry::routes() {
        let (path, method, function) = (route.path, route.method.as_str(), route.operation);
        let entry = format!("path = \"{PREFIX}{path}\"\nmethods = [\"{method}\"]\nfunction = \"{function}\"\n");
        let _ = write!(router, "\n[[watch.router]]\n{entry}");
    }
    files.put("CargoLambda.toml", router);
}
