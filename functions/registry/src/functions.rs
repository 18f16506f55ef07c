//! Every function there is: the one list that the samples, the tests and the templates agree with.

use common::http::Route;

/// The function of everything that API Gateway has no route for.
pub const FALLBACK: &str = "fallback";

/// The function that consumes the table's stream.
pub const STREAM_CONSUMER: &str = "stream_consumer";

/// The function that counts what the table's stream tells.
pub const TALLY_CONSUMER: &str = "tally_consumer";

/// The function that runs the jobs of the queue.
pub const JOB_RUNNER: &str = "job_runner";

/// The function that a schedule calls to look for what is due.
pub const FIRE_TIMERS: &str = "fire_timers";

/// The function that tells API Gateway which requests came through CloudFront.
pub const AUTHORIZE_ORIGIN: &str = "authorize_origin";

/// The functions of the websockets.
pub const WEBSOCKETS: [&str; 3] = ["websocket_connect", "websocket_message", "websocket_disconnect"];

/// What invokes a function.
#[derive(Clone, Copy, Debug)]
pub enum Trigger {
    /// A request to its route.
    Route(&'static Route),
    /// A request that no route takes.
    Unrouted,
    /// A batch of the table's stream.
    Stream,
    /// A batch of a window of the table's stream.
    Window,
    /// A connection, a message or a farewell of a websocket.
    Socket,
    /// A batch of the queue of jobs.
    Queue,
    /// A schedule.
    Schedule,
    /// A request to API Gateway, before its function is invoked.
    Gateway,
}

/// A function, as it is built and deployed.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The name of its binary and of its sample in `events/`.
    pub name: &'static str,
    /// What invokes it.
    pub trigger: Trigger,
}

/// Returns every function, those of routes first.
pub fn functions() -> Vec<Function> {
    let routed = crate::routes().into_iter().map(|route| (route.operation, Trigger::Route(route)));
    let others = [
        (FALLBACK, Trigger::Unrouted),
        (STREAM_CONSUMER, Trigger::Stream),
        (TALLY_CONSUMER, Trigger::Window),
        (JOB_RUNNER, Trigger::Queue),
        (FIRE_TIMERS, Trigger::Schedule),
        (AUTHORIZE_ORIGIN, Trigger::Gateway),
    ];
    let sockets = WEBSOCKETS.map(|name| (name, Trigger::Socket));
    routed.chain(others).chain(sockets).map(|(name, trigger)| Function { name, trigger }).collect()
}
