//! What the load generator itself can do: the same workers against a server that does nothing.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

use crate::compare::CLIENTS;
use crate::http::Endpoint;
use crate::load::round;
use crate::runs::PAGE;
use crate::scenario::{Fixture, Scenario};

const FLOW_RUN: &str = "a209c6d3-dd6b-4efb-b8e0-66b0c8bd990f";

/// Answers made beforehand, as large as the real ones.
struct Canned {
    read: Bytes,
    filter: Bytes,
    transition: Bytes,
}

impl Canned {
    fn new() -> Self {
        // A flow run is about 1,700 bytes on the wire.
        let run = json!({"id": FLOW_RUN, "state_type": "PENDING", "padding": "x".repeat(1_600)});
        Self {
            read: run.to_string().into(),
            filter: json!(vec![run; PAGE]).to_string().into(),
            transition: json!({"status": "ACCEPT", "padding": "x".repeat(700)}).to_string().into(),
        }
    }

    fn answer(&self, path: &str) -> (StatusCode, Bytes) {
        match path {
            "/api/flow_runs/filter" => (StatusCode::OK, self.filter.clone()),
            "/api/flow_runs/count" => (StatusCode::OK, Bytes::from_static(b"10000")),
            "/api/flow_runs/" => (StatusCode::CREATED, self.read.clone()),
            "/api/logs/" => (StatusCode::CREATED, Bytes::from_static(b"null")),
            path if path.ends_with("/set_state") => (StatusCode::CREATED, self.transition.clone()),
            _ => (StatusCode::OK, self.read.clone()),
        }
    }
}

/// Serves canned answers on a port of its own until its runtime ends.
async fn serve() -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let canned = Arc::new(Canned::new());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let canned = Arc::clone(&canned);
            let service = service_fn(move |request: Request<Incoming>| {
                let canned = Arc::clone(&canned);
                async move {
                    let (head, body) = request.into_parts();
                    body.collect().await?;
                    let (status, body) = canned.answer(head.uri.path());
                    let mut response = Response::new(Full::new(body));
                    *response.status_mut() = status;
                    Ok::<_, hyper::Error>(response)
                }
            });
            tokio::spawn(async move {
                // A client that hangs up is how every round ends.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(port)
}

/// Starts the server that does nothing on a thread of its own, as a measured server has its own process.
fn start() -> Result<u16, String> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            runtime.block_on(async {
                // The receiver waits below for as long as the sender lives.
                let _ = sender.send(serve().await);
                std::future::pending::<()>().await;
            });
        }
    });
    let port = receiver.recv().map_err(|_| "the server that does nothing did not start".to_owned())?;
    port.map_err(|error| error.to_string())
}

fn fixture(port: u16) -> Fixture {
    Fixture::new(Endpoint::local(port), FLOW_RUN.to_owned(), vec![FLOW_RUN.to_owned()], 10_000, 10_000)
}

/// Measures each scenario that needs nothing but HTTP answers, and returns the table.
pub(crate) async fn ceiling(limit: Duration) -> Result<String, String> {
    let fixture = Arc::new(fixture(start()?));
    let mut table =
        "| scenario | clients | answers/s | generator CPU µs each | p50 ms | p99 ms |\n|---|--:|--:|--:|--:|--:|\n"
            .to_owned();
    for scenario in [
        Scenario::ReadFlowRun,
        Scenario::CreateFlowRun,
        Scenario::CountFlowRuns,
        Scenario::FilterFlowRuns,
        Scenario::CreateLogs,
    ] {
        for clients in CLIENTS {
            let tally = round(scenario, &fixture, clients, limit).await?;
            if tally.failed() > 0 {
                return Err(format!("{} failed: {:?}", scenario.name(), tally.errors));
            }
            let latency = |percent| tally.percentile(percent).unwrap_or_default().as_secs_f64() * 1_000.0;
            writeln!(
                table,
                "| {} | {clients} | {:.0} | {} | {:.3} | {:.3} |",
                scenario.name(),
                tally.throughput().unwrap_or_default(),
                tally.generator_cost().unwrap_or_default().as_micros(),
                latency(50),
                latency(99)
            )
            .map_err(|error| error.to_string())?;
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_counts_right_answers_and_wrong_ones() {
        let port = serve().await.unwrap();
        let right = Arc::new(fixture(port));
        let tally = round(Scenario::CountFlowRuns, &right, 2, Duration::from_millis(50)).await.unwrap();
        assert!(tally.throughput().unwrap() > 100.0, "{tally:?}");
        assert_eq!(tally.failed(), 0);

        let wrong = Fixture::new(Endpoint::local(port), String::new(), vec![FLOW_RUN.to_owned()], 9_999, 0);
        let tally = round(Scenario::CountFlowRuns, &Arc::new(wrong), 2, Duration::from_millis(50)).await.unwrap();
        assert_eq!(tally.throughput(), Some(0.0));
        assert!(tally.errors["wrong 200"] > 2, "{tally:?}");
    }

    #[tokio::test]
    async fn set_state_stops_when_no_fresh_run_is_left() {
        let fixture = Arc::new(fixture(serve().await.unwrap()));
        fixture.refresh(5, 2).await.unwrap();
        let tally = round(Scenario::SetState, &fixture, 2, Duration::from_secs(20)).await.unwrap();
        assert_eq!(tally.failed(), 0);
        assert_eq!(tally.json()["successes"], 15);
    }
}
