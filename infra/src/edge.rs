//! CloudFront: one address in front of the HTTP API and, by path, of what else there will be.

use serde_json::{Map, Value, json};

use crate::{attribute, firewall, only_if, origin, reference, substitute, websocket};

/// The managed policy `CachingDisabled` (AWS: "Use managed cache policies").
const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
/// The managed policy `AllViewerExceptHostHeader`: API Gateway knows itself only by its own host name.
const ALL_VIEWER_EXCEPT_HOST: &str = "b689b0a8-53d0-40ab-baf2-68738e2966ac";

/// Declares the distribution, for the root stack.
///
/// The websocket `/api/events/in` has a behaviour and an origin of its own. A WebSocket API knows no path but its stage's,
/// so that a function at the edge puts that in the path's place. Other websocket paths of the contract are to follow.
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
                "Origins": [api("http", "HttpApi"), api("websockets", "WebsocketApi")],
                "CacheBehaviors": [{
                    "PathPattern": format!("{}/events/in", common::http::PREFIX),
                    "TargetOriginId": "websockets",
                    "ViewerProtocolPolicy": "https-only",
                    "CachePolicyId": CACHING_DISABLED,
                    "OriginRequestPolicyId": ALL_VIEWER_EXCEPT_HOST,
                    "FunctionAssociations": [
                        { "EventType": "viewer-request", "FunctionARN": attribute("WebsocketPath", "FunctionMetadata.FunctionARN") }
                    ]
                }],
                "DefaultCacheBehavior": {
                    "TargetOriginId": "http",
                    "ViewerProtocolPolicy": "https-only",
                    "AllowedMethods": ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"],
                    "CachePolicyId": CACHING_DISABLED,
                    "OriginRequestPolicyId": ALL_VIEWER_EXCEPT_HOST
                }
            }
        }
    });
    Map::from_iter([("Distribution".into(), distribution), ("WebsocketPath".into(), websocket_path())])
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
    let code =
        format!("function handler(event) {{ event.request.uri = '/{}'; return event.request; }}", websocket::STAGE);
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
