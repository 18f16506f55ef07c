//! Where an operation is asked for, known without the handler that carries it out.

use contract::Operation;

use super::route::Route;

/// A method and a path that have an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint {
    /// The method, in upper case.
    pub(super) method: &'static str,
    /// The path template under the API's base path.
    pub(super) path: &'static str,
    /// What the contract says of it; a route that is not in the contract has none.
    pub(super) operation: Option<&'static Operation>,
}

impl Endpoint {
    /// Returns the endpoints of the whole contract, whose operations all have a route.
    pub(super) fn all() -> Vec<Self> {
        let all = Operation::all().iter();
        all.map(|found| Self { method: found.method(), path: found.path(), operation: Some(found) }).collect()
    }

    /// Returns the endpoint's place among all, in the order in which Prefect's router tries them.
    pub(super) fn rank(&self) -> usize {
        self.operation.map_or(usize::MAX, Operation::rank)
    }
}

impl From<&Route> for Endpoint {
    fn from(route: &Route) -> Self {
        Self { method: route.method.as_str(), path: route.path, operation: route.contract() }
    }
}
