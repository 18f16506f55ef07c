//! What a function is told, in the shape in which API Gateway tells it (AWS: "Lambda proxy integrations for WebSocket
//! APIs").

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use axum::http::{HeaderMap, Uri, header, request::Parts};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use common::{
    lambda::{ORIGIN_HEADER, PATH_PARAMETER, SocketRoute, WEBSOCKET_STAGE},
    runtime::gateway::RELAY_HEADER,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// A request for a connection, of which every later event tells a part.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    headers: HeaderMap,
    query: Vec<(String, String)>,
    host: String,
    source: Option<IpAddr>,
    /// When it came.
    pub(crate) at: DateTime<Utc>,
}

impl Request {
    /// Takes a client's request that came from `peer`; none if it is for no websocket.
    ///
    /// CloudFront has put the client's path into the query, and itself into the list of who has sent the request on.
    pub(crate) fn of(parts: &Parts, peer: SocketAddr) -> Option<Self> {
        let query = query_of(&parts.uri)?;
        let text = |name: header::HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let forwarded = parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
        let source = forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
        let mut headers = parts.headers.clone();
        headers.remove(ORIGIN_HEADER);
        headers.remove(RELAY_HEADER);
        Some(Self {
            headers,
            query,
            host: text(header::HOST).unwrap_or_default().to_owned(),
            source: source.or(Some(peer.ip())),
            at: Utc::now(),
        })
    }

    /// Returns the address of the client.
    pub(crate) fn source(&self) -> String {
        self.source.map(|address| address.to_string()).unwrap_or_default()
    }

    /// Returns what the client calls itself.
    pub(crate) fn agent(&self) -> &str {
        self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Writes the event of the request itself.
    pub(crate) fn connect(&self, id: &str) -> Bytes {
        let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.headers {
            if let Ok(value) = value.to_str() {
                headers.entry(name.as_str()).or_default().push(value);
            }
        }
        let mut query: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, value) in &self.query {
            query.entry(name).or_default().push(value);
        }
        let event = json!({
            "headers": last(&headers),
            "multiValueHeaders": headers,
            "queryStringParameters": last(&query),
            "multiValueQueryStringParameters": query,
            "requestContext": self.context(SocketRoute::Connect, id),
            "isBase64Encoded": false
        });
        event.to_string().into()
    }

    /// Writes the event of a message.
    pub(crate) fn message(&self, id: &str, text: &str) -> Bytes {
        let mut context = self.context(SocketRoute::Message, id);
        context["messageId"] = Uuid::new_v4().to_string().into();
        json!({ "requestContext": context, "body": text, "isBase64Encoded": false }).to_string().into()
    }

    /// Writes the event of the connection's end.
    pub(crate) fn disconnect(&self, id: &str, code: u16, reason: &str) -> Bytes {
        let mut context = self.context(SocketRoute::Disconnect, id);
        context["disconnectStatusCode"] = code.into();
        context["disconnectReason"] = reason.into();
        json!({
            "headers": { "Host": self.host },
            "multiValueHeaders": { "Host": [self.host] },
            "requestContext": context,
            "isBase64Encoded": false
        })
        .to_string()
        .into()
    }

    fn context(&self, route: SocketRoute, id: &str) -> Value {
        let (request, now) = (Uuid::new_v4().to_string(), Utc::now());
        json!({
            "routeKey": route.key(),
            "eventType": route.event_type(),
            "extendedRequestId": request,
            "requestTime": now.format("%d/%b/%Y:%H:%M:%S %z").to_string(),
            "messageDirection": "IN",
            "stage": WEBSOCKET_STAGE,
            "connectedAt": self.at.timestamp_millis(),
            "requestTimeEpoch": now.timestamp_millis(),
            "identity": { "sourceIp": self.source(), "userAgent": self.agent() },
            "requestId": request,
            "domainName": self.host,
            "connectionId": id,
            "apiId": "relay"
        })
    }
}

/// Returns the parameters that the functions know: the path that the client asked for is one of them.
fn query_of(uri: &Uri) -> Option<Vec<(String, String)>> {
    let path = uri.path();
    if path.strip_prefix('/') == Some(WEBSOCKET_STAGE) {
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        return Some(query.into_owned().collect());
    }
    // Without CloudFront, such as in tests.
    let is_of_the_api = path.strip_prefix(common::http::PREFIX).is_some_and(|rest| rest.starts_with('/'));
    is_of_the_api.then(|| vec![(PATH_PARAMETER.to_owned(), path.to_owned())])
}

/// Returns the last value of each name.
fn last(values: &BTreeMap<&str, Vec<&str>>) -> Value {
    let last = values.iter().filter_map(|(name, values)| Some(((*name).to_owned(), (*values.last()?).into())));
    Value::Object(last.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> Option<Request> {
        let request = axum::http::Request::get(uri)
            .header("host", "d1.cloudfront.net")
            .header("sec-websocket-protocol", "prefect")
            .header("x-forwarded-for", "192.0.2.9, 203.0.113.5")
            .header(ORIGIN_HEADER, "a secret")
            .header(RELAY_HEADER, "another")
            .body(())
            .unwrap();
        Request::of(&request.into_parts().0, "10.0.0.1:80".parse().unwrap())
    }

    fn read(event: &Bytes) -> Value {
        serde_json::from_slice(event).unwrap()
    }

    /// Returns the names within a value, however deep.
    fn names(value: &Value, at: &str) -> Vec<String> {
        let fields = value.as_object().into_iter().flatten();
        fields
            .flat_map(|(name, value)| [vec![format!("{at}.{name}")], names(value, &format!("{at}.{name}"))])
            .flatten()
            .collect()
    }

    #[test]
    fn events_have_all_that_api_gateway_s_have() {
        let asked = request("/websockets?path=%2Fapi%2Fevents%2Fin").unwrap();
        for (sample, event) in [
            (include_str!("../../../events/websocket_connect.json"), asked.connect("relay.0")),
            (include_str!("../../../events/websocket_message.json"), asked.message("relay.0", "{}")),
            (include_str!("../../../events/websocket_disconnect.json"), asked.disconnect("relay.0", 1006, "gone")),
        ] {
            let (sample, event): (Value, Value) = (serde_json::from_str(sample).unwrap(), read(&event));
            let has = names(&event, "");
            let is_of_all = |name: &&String| !name.to_lowercase().contains("headers.");
            for name in names(&sample, "").iter().filter(is_of_all) {
                assert!(has.contains(name), "{name} in {event}");
            }
            for name in ["routeKey", "eventType", "stage", "messageDirection"] {
                assert_eq!(event["requestContext"][name], sample["requestContext"][name]);
            }
        }
    }

    #[test]
    fn a_function_is_told_the_client_s_path_and_address_and_no_secret() {
        let asked = request("/websockets?path=%2Fapi%2Fwork_pools%2Fa%2520b%2Fworkers%2Fconnect").unwrap();
        let event = read(&asked.connect("relay.0"));
        assert_eq!(event["queryStringParameters"]["path"], "/api/work_pools/a%20b/workers/connect");
        assert_eq!(event["requestContext"]["identity"]["sourceIp"], "203.0.113.5", "CloudFront has seen it");
        assert_eq!(event["requestContext"]["domainName"], "d1.cloudfront.net");
        assert!(!event.to_string().contains("secret") && !event.to_string().contains("another"));
    }

    #[test]
    fn what_is_no_websocket_s_path_is_no_request_for_a_connection() {
        assert_eq!(
            read(&request("/api/logs/out?path=/api/events/in").unwrap().connect("c"))["queryStringParameters"],
            json!({ "path": "/api/logs/out" })
        );
        for path in ["/", "/websockets/more", "/apis/events/in", "/relay/@connections/relay.0"] {
            assert!(request(path).is_none(), "{path}");
        }
    }
}
