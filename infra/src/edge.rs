//! CloudFront: one address in front of the HTTP API, the WebSocket API and the page, by path.

use common::lambda::PATH_PARAMETER;
use serde_json::{Map, Value, json};

use crate::{attribute, firewall, only_if, origin, page, reference, relay, substitute, websocket};

/// The managed policy `CachingDisabled` (AWS: "Use managed cache policies").
const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
/// The managed policy `AllViewerExceptHostHeader`: API Gateway knows itself only by its own host name.
const ALL_VIEWER_EXCEPT_HOST: &str = "b689b0a8-53d0-40ab-baf2-68738e2966ac";

/// The id of the HTTP API as an origin.
const HTTP: &str = "http";

/// The id of the WebSocket API as an origin.
const WEBSOCKETS: &str = "websockets";

/// What the function `fallback` answers beside the API.
const DOCUMENTS: [&str; 3] = ["/openapi.json", "/redoc", "/ui-settings"];

/// The failures that CloudFront would otherwise go on to tell for ten seconds, also of what is there by then.
///
/// AWS: "HTTP 4xx and 5xx status codes that CloudFront caches".
const FAILURES: [u16; 10] = [400, 403, 404, 405, 414, 500, 501, 502, 503, 504];

/// Declares the distribution, for the root stack.
///
/// What is neither the API's nor one of its documents is the page's. The websockets have behaviours of their own, and
/// one origin. A WebSocket API knows no path but its stage's, so that a function at the edge puts that in the path's
/// place, and the path into a parameter of the query, in the place of what the client may have there.
pub(crate) fn resources() -> Map<String, Value> {
    let distribution = json!({
        "Type": "AWS::CloudFront::Distribution",
        "Properties": {
            "DistributionConfig": {
                "Comment": substitute("Proctor ${Stage}"),
                "Enabled": true,
                "WebACLId": firewall::chosen(),
                "HttpVersion": "http2and3",
                "Aliases": only_if("HasDomain", &json!([reference("CustomDomain")])),
                "ViewerCertificate": only_if("HasDomain", &json!({
                    "AcmCertificateArn": reference("CertificateArn"),
                    "MinimumProtocolVersion": "TLSv1.2_2021",
                    "SslSupportMethod": "sni-only"
                })),
                "Origins": [api(HTTP, "HttpApi"), websockets(), page::origin()],
                "OriginGroups": page::origin_groups(HTTP),
                "CacheBehaviors": behaviours(),
                "DefaultCacheBehavior": page::default_behaviour(),
                "CustomErrorResponses": FAILURES.map(|code| json!({ "ErrorCode": code, "ErrorCachingMinTTL": 0 }))
            }
        }
    });
    Map::from_iter([("Distribution".into(), distribution), ("WebsocketPath".into(), websocket_path())])
}

/// Returns the behaviours of the paths that have one of their own; the first that fits counts.
fn behaviours() -> Vec<Value> {
    let websocket = |path: &str| {
        json!({
            "PathPattern": format!("{}{path}", common::http::PREFIX),
            "TargetOriginId": WEBSOCKETS,
            "ViewerProtocolPolicy": "https-only",
            "CachePolicyId": CACHING_DISABLED,
            "OriginRequestPolicyId": ALL_VIEWER_EXCEPT_HOST,
            "FunctionAssociations": [
                { "EventType": "viewer-request", "FunctionARN": attribute("WebsocketPath", "FunctionMetadata.FunctionARN") }
            ]
        })
    };
    let not_cached = |path: String, origin: &str| {
        json!({
            "PathPattern": path,
            "TargetOriginId": origin,
            "ViewerProtocolPolicy": "https-only",
            "AllowedMethods": page::ALL_METHODS,
            "CachePolicyId": CACHING_DISABLED,
            "OriginRequestPolicyId": ALL_VIEWER_EXCEPT_HOST
        })
    };
    let mut behaviours: Vec<Value> = websocket::PATHS.into_iter().map(websocket).collect();
    behaviours.push(not_cached(format!("{}/*", common::http::PREFIX), HTTP));
    behaviours.extend(DOCUMENTS.map(|path| not_cached(path.to_owned(), HTTP)));
    behaviours.extend(page::behaviours());
    // What functions ask of the relay.
    behaviours.push(only_if("HasRelay", &not_cached(format!("{}/*", relay::PATH), WEBSOCKETS)));
    behaviours
}

/// Declares what holds the websockets as an origin.
fn websockets() -> Value {
    json!({ "Fn::If": ["HasRelay", relay::origin(WEBSOCKETS), api(WEBSOCKETS, "WebsocketApi")] })
}

/// Declares an API as an origin.
fn api(id: &str, api: &str) -> Value {
    json!({
        "Id": id,
        "DomainName": substitute(&format!("${{{api}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}")),
        "OriginCustomHeaders": origin::headers(),
        "CustomOriginConfig": { "OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"] }
    })
}

fn websocket_path() -> Value {
    let code = format!(
        "function handler(event) {{\n  var request = event.request;\n  \
         request.querystring = {{ {PATH_PARAMETER}: {{ value: encodeURIComponent(request.uri) }} }};\n  \
         request.uri = '/{}';\n  return request;\n}}",
        websocket::STAGE
    );
    json!({
        "Type": "AWS::CloudFront::Function",
        "Properties": {
            "Name": substitute("proctor-${Stage}-websocket-path"),
            "AutoPublish": true,
            "FunctionCode": code,
            "FunctionConfig": { "Comment": "The path of the WebSocket API's stage", "Runtime": "cloudfront-js-2.0" }
        }
    })
}
