//! `GET /flow_runs/{id}/logs/download`: downloads the logs of a flow run as a CSV file.

use axum::{
    body::Body,
    extract::State,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use common::{
    App, Error, Result,
    http::{Path, Route, extract::Id},
    logs_csv,
    model::FlowRunId,
};
use futures::{StreamExt, future, stream};

/// The contract's `download_logs`.
pub static ROUTE: Route = Route::get("download_logs", "/flow_runs/{id}/logs/download", || get(download_logs));

async fn download_logs(State(app): State<App>, Path(path): Path<Id<FlowRunId>>) -> Result<Response> {
    let run = app.store.flow_run(path.id).await?.ok_or_else(|| Error::missing("flow-run"))?;
    // Read before the answer starts, so that a failure is still answered as one.
    let first = app.store.flow_run_logs(path.id, None).await?;
    let start = [logs_csv::header()?, logs_csv::rows(&first.logs)?].concat();
    let rest = stream::try_unfold(first.next, move |from| {
        let store = app.store.clone();
        async move {
            let Some(from) = from else { return Ok::<_, Error>(None) };
            let stretch = store.flow_run_logs(path.id, Some(from)).await?;
            Ok(Some((logs_csv::rows(&stretch.logs)?, stretch.next)))
        }
    });
    let file = stream::once(future::ok(start)).chain(rest);
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, logs_csv::content_disposition(&run.record.name)),
    ];
    Ok((headers, Body::from_stream(file)).into_response())
}
