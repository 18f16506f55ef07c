//! What follows from a worker's hello: its pool, its first heartbeat, and the frame that says that the channel is ready.

use std::collections::HashSet;

use access::{Caller, operations};
use contract::Operation;
use domain::{
    access::Role,
    model::{
        Object, WorkPool, WorkPoolId, WorkQueue,
        work_pool::{StoredWorkPool, WorkPoolStorageConfiguration},
    },
};
use error::{Error, Result};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use schema_tools::{Allowance, job_variables};
use serde_json::{Value, json};
use services::{App, blocks::answers, live::WorkerChannel};
use store::{Versioned, workers::Heartbeat};

use super::{
    CloseReason,
    frame::{self, CLEANUP_DELIVERY, Frame, Hello, REQUIRED, VERSION},
    session::{self, Occasion, Session},
};

/// How often a pool is looked up that another worker makes at the same time.
const ATTEMPTS: usize = 3;

/// A channel that is open.
#[derive(Debug)]
pub struct Opened {
    /// What the channel is about.
    pub session: Session,
    /// What the worker is told of its pool.
    pub channel: WorkerChannel,
    /// The frame that says that the channel is ready.
    pub ready: String,
    /// What the worker is told of next, if the hello itself has changed its pool.
    pub then: Option<Occasion>,
}

/// Opens the channel of the pool called `pool_name` for a worker that begins with `message`.
///
/// What the hello asks for is written in one transaction; after that, there are only reads.
///
/// # Errors
/// How the channel closes. What was asked for is written then only if one of those reads failed; the worker comes again.
pub async fn open(app: &App, caller: Caller, pool_name: &str, message: &str) -> Result<Opened, CloseReason> {
    let Some(Frame::Hello(hello)) = Frame::read(message) else { return Err(CloseReason::ProtocolError) };
    if !hello.supported_channel_versions.iter().any(|version| version == VERSION) {
        return Err(CloseReason::UnsupportedVersion);
    }
    let joined = join(app, caller, pool_name, &hello).await?;
    let Joined { pool, queues, has_set_template } = joined;
    let queue_ids = queues.iter().map(|queue| queue.id).collect();
    let cleanup_kinds = if hello.cleans_up() { hello.handled_cleanup_kinds.clone() } else { Vec::new() };
    // What happens from now on is waited for before the pool is read, so that nothing is missed in between.
    let id = pool.record.pool.id;
    let channel = app.live.worker_channels.join(id, cleanup_kinds, queue_ids);
    let (snapshot, read) = session::snapshot(app, id, 1, "initial")
        .await
        .map_err(|error| failed(&error))?
        .ok_or(CloseReason::AuthorizationFailed)?;
    let session = Session::new(app, pool_name, &hello, &queues, &read).await.map_err(|error| failed(&error))?;
    let ready = frame::write("worker.ready.v1", &ready(&hello, &queues, &snapshot), app.now());
    let ready = ready.map_err(|error| failed(&error.into()))?;
    Ok(Opened { session, channel, ready, then: has_set_template.then_some(Occasion::Updated) })
}

/// The pool of a worker that has said hello.
struct Joined {
    pool: Versioned<StoredWorkPool>,
    /// The queues that the worker polls.
    queues: Vec<WorkQueue>,
    /// Whether the pool had no template before.
    has_set_template: bool,
}

async fn join(app: &App, caller: Caller, name: &str, hello: &Hello) -> Result<Joined, CloseReason> {
    for _ in 0..ATTEMPTS {
        let found = app.store.work_pool_with_queues(name).await.map_err(|error| failed(&error))?;
        let outcome = match found {
            Some(found) => {
                let queues = found.queues.into_iter().map(|queue| queue.record.queue);
                let queues = chosen(queues, &hello.work_queue_names).ok_or(CloseReason::AuthorizationFailed)?;
                join_existing(app, caller, &found.pool.record.pool, hello, queues).await?
            }
            None => join_new(app, caller, name, hello).await?,
        };
        if let Some(joined) = outcome {
            return Ok(joined);
        }
    }
    tracing::warn!(pool = name, "a pool is made and deleted again and again");
    Err(CloseReason::TransientServerError)
}

/// Writes the first heartbeat of a worker of `pool`; none if the pool is gone.
async fn join_existing(
    app: &App,
    caller: Caller,
    pool: &WorkPool,
    hello: &Hello,
    queues: Vec<WorkQueue>,
) -> Result<Option<Joined>, CloseReason> {
    let template = Some(&hello.default_base_job_template)
        .filter(|template| pool.base_job_template.is_empty() && !template.is_empty());
    if let Some(template) = template {
        may(caller, "PATCH", "/work_pools/{name}")?;
        check_template(app, template).await?;
        validate("PATCH", "/work_pools/{name}", &json!({ "base_job_template": template }))?;
    }
    let heartbeat = Heartbeat { template, ..heartbeat(hello) };
    match app.store.record_heartbeat(&pool.name, &heartbeat, app.now()).await {
        Ok(pool) => Ok(Some(Joined { pool, queues, has_set_template: template.is_some() })),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => {
            tracing::error!(%error, "a worker's first heartbeat can't be written");
            Err(CloseReason::HeartbeatPersistenceFailed)
        }
    }
}

/// Makes the pool called `name` together with the first heartbeat of its worker; none if another one has made it meanwhile.
async fn join_new(app: &App, caller: Caller, name: &str, hello: &Hello) -> Result<Option<Joined>, CloseReason> {
    if !hello.create_pool_if_not_found || name.to_lowercase().starts_with("prefect") {
        return Err(CloseReason::AuthorizationFailed);
    }
    may(caller, "POST", "/work_pools/")?;
    let template = &hello.default_base_job_template;
    check_template(app, template).await?;
    let body = json!({ "name": name, "type": hello.worker_type, "base_job_template": template });
    validate("POST", "/work_pools/", &body)?;
    let now = app.now();
    let (pool, queue) = StoredWorkPool::with_default_queue(WorkPool {
        id: WorkPoolId::new(),
        created: now,
        updated: now,
        name: name.to_owned(),
        description: None,
        r#type: hello.worker_type.clone(),
        base_job_template: template.clone(),
        is_paused: false,
        concurrency_limit: None,
        status: None,
        default_queue_id: None,
        storage_configuration: WorkPoolStorageConfiguration::default(),
    });
    let queues = chosen([queue.queue.clone()], &hello.work_queue_names).ok_or(CloseReason::AuthorizationFailed)?;
    match app.store.add_work_pool_for(pool, &queue, &heartbeat(hello), now).await {
        Ok(pool) => Ok(Some(Joined { pool, queues, has_set_template: false })),
        Err(Error::Conflict(_)) => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// Returns those of `queues` that are named, in the order of their names; all if none is. None if one is not there.
fn chosen(queues: impl IntoIterator<Item = WorkQueue>, names: &[String]) -> Option<Vec<WorkQueue>> {
    let queues: Vec<WorkQueue> = queues.into_iter().collect();
    if names.is_empty() {
        return Some(queues);
    }
    let mut seen = HashSet::new();
    let names = names.iter().filter(|name| seen.insert(name.as_str()));
    names.map(|name| queues.iter().find(|queue| queue.name == *name).cloned()).collect()
}

fn heartbeat(hello: &Hello) -> Heartbeat<'_> {
    Heartbeat::new(&hello.worker_name, Some(hello.heartbeat_interval_seconds))
}

/// Holds the worker to what it may do by itself, where there are roles.
fn may(caller: Caller, method: &str, path: &str) -> Result<(), CloseReason> {
    let required = operations::required(method, path).unwrap_or(Role::Admin);
    if caller.role >= required { Ok(()) } else { Err(CloseReason::AuthorizationFailed) }
}

async fn check_template(app: &App, template: &Object) -> Result<(), CloseReason> {
    let blocks = answers::with_defaults_of(app, template).await.map_err(|error| refused(&error))?;
    job_variables::check_defaults(template, &blocks, &Allowance::default()).map_err(|error| refused(&error))
}

/// Validates what the worker asks for as the body of the operation that does the same; Prefect says of what is wrong here that
/// it is its own fault.
fn validate(method: &str, path: &str, body: &Value) -> Result<(), CloseReason> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let body = domain::json::to_vec(body).map_err(|error| failed(&error.into()))?;
    let path_parameters: &[(&str, &str)] = if method == "PATCH" { &[("name", "pool")] } else { &[] };
    let request = contract::Request { path: path_parameters, query: "", headers: &headers, body: &body };
    let operation = Operation::find(method, path).ok_or(CloseReason::TransientServerError)?;
    operation.validate(&request).map(drop).map_err(|_| CloseReason::TransientServerError)
}

/// Tells what the worker asks for in vain from what failed here.
fn refused(error: &Error) -> CloseReason {
    if error.status().is_client_error() { CloseReason::ProtocolError } else { failed(error) }
}

fn failed(error: &Error) -> CloseReason {
    tracing::error!(%error, "a worker's channel can't be opened");
    CloseReason::TransientServerError
}

fn ready(hello: &Hello, queues: &[WorkQueue], snapshot: &Value) -> Value {
    let mut accepted = REQUIRED.to_vec();
    accepted.extend(hello.cleans_up().then_some(CLEANUP_DELIVERY));
    let mut seen = HashSet::new();
    let rejected = hello.requested_capabilities.iter().map(String::as_str);
    let rejected: Vec<&str> =
        rejected.filter(|capability| !accepted.contains(capability) && seen.insert(*capability)).collect();
    let queues: Vec<Value> = queues.iter().map(|queue| json!({ "id": queue.id, "name": queue.name })).collect();
    json!({
        "consumer_id": hello.consumer_id,
        "worker_id": null,
        "selected_channel_version": VERSION,
        "effective_heartbeat_interval_seconds": hello.heartbeat_interval_seconds,
        "accepted_capabilities": accepted,
        "rejected_capabilities": rejected,
        "effective_max_cleanup_concurrency": if hello.cleans_up() { hello.max_cleanup_concurrency } else { 0 },
        "resolved_work_queues": queues,
        "initial_snapshot": snapshot,
    })
}
