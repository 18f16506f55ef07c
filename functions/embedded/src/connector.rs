//! The HTTP client of the AWS SDK that answers from the embedded database.

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde_json::json;

use crate::{EmbeddedDatabase, dispatch::Call};

#[derive(Clone)]
struct Connector(EmbeddedDatabase);

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Connector").field(&self.0.location).finish()
    }
}

pub(crate) fn http_client(database: EmbeddedDatabase) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(database));
    http_client_fn(move |_settings, _components| connector.clone())
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let database = self.0.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let body = request
                .body()
                .bytes()
                .ok_or_else(|| ConnectorError::user("the embedded database takes no streamed bodies".into()))?;
            let (status, body) = database.answer(target, body).await;
            respond(status, body)
        })
    }
}

impl EmbeddedDatabase {
    /// Answers a request as DynamoDB's endpoint does: `target` is its `x-amz-target`, `body` JSON.
    ///
    /// Returns the status and the JSON of the answer. Only the operations that the store uses are there.
    pub async fn answer(&self, target: &str, body: &[u8]) -> (u16, String) {
        let call = Call::new(target, body);
        if call.asks_for_the_state()
            && let Err(problem) = self.writability().await
        {
            // Of DynamoDB's refusals the one that the SDK doesn't repeat.
            return (400, refusal("ResourceInUseException", &problem));
        }
        let engines = &self.engines;
        let mut turn = if call.only_reads() { engines.to_read(call.is_long()).await } else { engines.to_write().await };
        let answer = if call.is_long() {
            let (target, body) = (target.to_owned(), body.to_owned());
            match tokio::task::spawn_blocking(move || Call::new(&target, &body).run(&turn)).await {
                Ok(answer) => answer,
                Err(error) => return (500, refusal("InternalServerError", &error.to_string())),
            }
        } else {
            let answer = call.run(&turn);
            if !call.only_reads() && answer.met_a_read_only_file() && self.reopen(&mut turn) {
                call.run(&turn)
            } else {
                answer
            }
        };
        if answer.wrote {
            self.written.notify_one();
            self.note_write(Ok(()));
        } else if let Some(fault) = answer.fault().filter(|_| !call.only_reads()) {
            self.note_write(Err(fault));
        }
        (answer.status, answer.body)
    }
}

/// Writes one of DynamoDB's refusals.
fn refusal(code: &str, message: &str) -> String {
    json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message }).to_string()
}

/// Builds an SDK response from a status and DynamoDB's JSON.
pub(crate) fn respond(status: u16, body: String) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    Ok(response)
}
