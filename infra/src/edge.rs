//! CloudFront: one address in front of the HTTP API and, by path, of what else there will be.

use serde_json::{Map, Value, json};

use crate::{only_if, reference, substitute};

/// The managed policy `CachingDisabled` (AWS: "Use managed cache policies").
const CACHING_DISABLED: &str = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad";
/// The managed policy `AllViewerExceptHostHeader`: API Gateway knows itself only by its own host name.
const ALL_VIEWER_EXCEPT_HOST: &str = "b689b0a8-53d0-40ab-baf2-68738e2966ac";

/// Declares the distribution, for the root stack.
///
/// The websocket paths of the contract (`/api/events/in`, …) get a behaviour and an origin of their own in `Origins`
/// and `CacheBehaviors` once there is a WebSocket API; until then they reach the HTTP API, which knows none of them.
pub(crate) fn resources() -> Map<String, Value> {
    let domain = "${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}";
    let distribution = json!({
        "Type": "AWS::CloudFront::Distribution",
        "Properties": {
            "DistributionConfig": {
                "Comment": substitute("Proctor ${Stage}"),
                "Enabled": true,
                "HttpVersion": "http2and3",
                "Aliases": only_if("HasDomain", &json!([reference("CustomDomain")])),
                "ViewerCertificate": only_if("HasDomain", &json!({
                    "AcmCertificateArn": reference("CertificateArn"),
                    "MinimumProtocolVersion": "TLSv1.2_2021",
                    "SslSupportMethod": "sni-only"
                })),
                "Origins": [{
                    "Id": "http",
                    "DomainName": substitute(domain),
                    "CustomOriginConfig": { "OriginProtocolPolicy": "https-only", "OriginSSLProtocols": ["TLSv1.2"] }
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
    Map::from_iter([("Distribution".into(), distribution)])
}
